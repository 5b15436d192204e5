//! The signature algorithms that Deputy knows: asymmetric, one meaning for each name.

use std::fmt;

use crate::model::signing::SigningAlgorithm;

/// A signature algorithm (RFC 7518 section 3.1, RFC 9864).
///
/// `none` and the HMAC family are not here, so no input can select them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSA PKCS #1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    Rs512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// `EdDSA` on edwards25519.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 7] = [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ed25519,
    ];

    /// The name that we write. RFC 9864 section 2.2: the fully specified `Ed25519`, not `EdDSA`.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm that a header, a JWK or a registration names, compared character by
    /// character (RFC 7515 section 4.1.1: case-sensitive). `EdDSA` is read as `Ed25519`: Ed448,
    /// the other thing it could mean, has no key here.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        if name == "EdDSA" {
            return Some(Algorithm::Ed25519);
        }
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether the key is an RSA key, which by itself fits several algorithms.
    pub const fn is_rsa(self) -> bool {
        match self {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => true,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => false,
        }
    }
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(signing: SigningAlgorithm) -> Algorithm {
        match signing {
            SigningAlgorithm::Es256 => Algorithm::Es256,
            SigningAlgorithm::Rs256 => Algorithm::Rs256,
            SigningAlgorithm::Ed25519 => Algorithm::Ed25519,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
