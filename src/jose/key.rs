//! Keys that sign and keys that verify. Each is bound to exactly one algorithm for life
//! (RFC 8725 section 3.1). How a public key is read from a JWK is in `jwk`.

use std::fmt;

use josekit::{
    jwk::{KeyPair as _, alg::rsa::RsaKeyPair},
    jws::{JwsSigner as _, RS256, alg::rsassa::RsassaJwsSigner},
};
use ring::{
    digest,
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

use crate::{
    base::{json, secret::Secret},
    jose::{Algorithm, to_base64url},
};

/// RSA keys that we generate: what every verifier accepts, and still 112 bits of strength, in a
/// key that signs for weeks. Larger ones sign three times slower.
const RSA_BITS: u32 = 2048;

/// Why a signing key could not be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Deputy verifies this algorithm but does not sign with it.
    #[error("`{0}` is not an algorithm to sign with: use `ES256`, `Ed25519` or `RS256`")]
    NotForSigning(Algorithm),
    /// The bytes are not a PKCS #8 private key for the algorithm.
    #[error("the private key is not a PKCS #8 key for `{0}`")]
    Malformed(Algorithm),
    /// The library failed: no randomness or no memory.
    #[error("the cryptographic library could not use `{0}`")]
    Failed(Algorithm),
}

/// The signature is not that of this key over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A private key, its algorithm and its name.
pub struct SigningKey {
    private: Private,
    pkcs8: Secret<Vec<u8>>,
    kid: String,
    verifying: VerifyingKey,
}

enum Private {
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    /// OpenSSL signs RSA twice as fast as ring.
    Rsa(RsassaJwsSigner),
}

impl SigningKey {
    /// A fresh key for `ES256`, `Ed25519` or `RS256` (which takes about a tenth of a second).
    ///
    /// The libraries draw from the operating system themselves: neither takes our
    /// [`Random`](crate::base::random::Random).
    pub fn generate(alg: Algorithm) -> Result<SigningKey, KeyError> {
        let failed = KeyError::Failed(alg);
        let pkcs8 = match alg {
            Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &SystemRandom::new(),
            )
            .map_err(|_| failed)?
            .as_ref()
            .to_vec(),
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|_| failed)?
                .as_ref()
                .to_vec(),
            Algorithm::Rs256 => {
                RsaKeyPair::generate(RSA_BITS).map_err(|_| failed)?.to_der_private_key()
            }
            Algorithm::Es384 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => {
                return Err(KeyError::NotForSigning(alg));
            }
        };
        SigningKey::from_pkcs8(alg, &Secret::new(pkcs8))
    }

    /// The key that was stored as [`SigningKey::to_pkcs8`].
    pub fn from_pkcs8(alg: Algorithm, pkcs8: &Secret<Vec<u8>>) -> Result<SigningKey, KeyError> {
        let (private, public) = match alg {
            Algorithm::Es256 => load_ecdsa(pkcs8.expose()),
            Algorithm::Ed25519 => load_ed25519(pkcs8.expose()),
            Algorithm::Rs256 => load_rsa(pkcs8.expose()),
            Algorithm::Es384 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => {
                return Err(KeyError::NotForSigning(alg));
            }
        }
        .ok_or(KeyError::Malformed(alg))?;
        let mut verifying = VerifyingKey { kid: None, alg, public };
        let kid = verifying.thumbprint();
        verifying.kid = Some(kid.clone());
        Ok(SigningKey { private, pkcs8: pkcs8.clone(), kid, verifying })
    }

    /// The private key, to be sealed before it is stored.
    pub fn to_pkcs8(&self) -> Secret<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// Signs `message`. The signature has the form of RFC 7518 section 3 (ECDSA: `r ‖ s`).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = KeyError::Failed(self.alg());
        match &self.private {
            Private::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Private::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Private::Rsa(signer) => signer.sign(message).map_err(|_| failed),
        }
    }

    /// The name of the key: its JWK thumbprint (RFC 7638), so that no two keys share one.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm.
    pub const fn alg(&self) -> Algorithm {
        self.verifying.alg
    }

    /// The public half.
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The public half as it is published. See [`VerifyingKey::to_jwk`].
    pub fn public_jwk(&self) -> String {
        self.verifying.to_jwk()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.alg(), self.kid)
    }
}

fn load_ecdsa(pkcs8: &[u8]) -> Option<(Private, Public)> {
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new()).ok()?;
    let public = Public::Bytes(pair.public_key().as_ref().to_vec());
    Some((Private::Ecdsa(Box::new(pair)), public))
}

fn load_ed25519(pkcs8: &[u8]) -> Option<(Private, Public)> {
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8).ok()?;
    let public = Public::Bytes(pair.public_key().as_ref().to_vec());
    Some((Private::Ed25519(Box::new(pair)), public))
}

/// Through ring first: it checks the key (2048 to 4096 bits, factors, exponents) and knows its
/// public members.
fn load_rsa(pkcs8: &[u8]) -> Option<(Private, Public)> {
    let pair = rsa::KeyPair::from_pkcs8(pkcs8).ok()?;
    let rsa::PublicKeyComponents { n, e } = pair.public().into();
    let signer = RS256.signer_from_der(pkcs8).ok()?;
    Some((Private::Rsa(signer), Public::Rsa { n, e }))
}

/// A public key, bound to one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    /// The name that headers use for it.
    pub(super) kid: Option<String>,
    pub(super) alg: Algorithm,
    pub(super) public: Public,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Public {
    /// As ring takes it: an uncompressed point (`4 ‖ x ‖ y`), or 32 bytes for Ed25519.
    Bytes(Vec<u8>),
    /// Big-endian without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl VerifyingKey {
    /// Whether `signature` is this key's over `message`. All checks on the form of a signature
    /// (lengths, ranges of `r` and `s`, curve membership of the key) are the primitive's.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let result = match &self.public {
            Public::Bytes(bytes) => {
                UnparsedPublicKey::new(curve(self.alg)?, bytes).verify(message, signature)
            }
            Public::Rsa { n, e } => {
                rsa::PublicKeyComponents { n, e }.verify(rsa_form(self.alg)?, message, signature)
            }
        };
        result.map_err(|_| BadSignature)
    }

    /// The name that headers use for it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm that it is used with.
    pub const fn alg(&self) -> Algorithm {
        self.alg
    }

    /// RFC 7638: base64url of SHA-256 over the required members in lexicographic order. The `jkt`
    /// of RFC 9449 section 6.1.
    pub fn thumbprint(&self) -> String {
        let text = match self.members() {
            Members::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Members::Okp { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Members::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        to_base64url(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    }

    /// The key as a JWK (RFC 7517): public members, `kid`, `use` and `alg`.
    pub fn to_jwk(&self) -> String {
        let key = match self.members() {
            Members::Ec { crv, x, y } => {
                format!(r#""kty":"EC","crv":"{crv}","x":"{x}","y":"{y}""#)
            }
            Members::Okp { x } => format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
            Members::Rsa { n, e } => format!(r#""kty":"RSA","n":"{n}","e":"{e}""#),
        };
        let kid = self.kid().map(|kid| format!(r#""kid":{},"#, json::quote(kid)));
        format!(r#"{{{key},{}"use":"sig","alg":"{}"}}"#, kid.unwrap_or_default(), self.alg)
    }

    fn members(&self) -> Members {
        match &self.public {
            Public::Rsa { n, e } => Members::Rsa { n: to_base64url(n), e: to_base64url(e) },
            Public::Bytes(bytes) if self.alg == Algorithm::Ed25519 => {
                Members::Okp { x: to_base64url(bytes) }
            }
            Public::Bytes(bytes) => {
                let coordinates = bytes.get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let crv = if self.alg == Algorithm::Es384 { "P-384" } else { "P-256" };
                Members::Ec { crv, x: to_base64url(x), y: to_base64url(y) }
            }
        }
    }
}

enum Members {
    Ec { crv: &'static str, x: String, y: String },
    Okp { x: String },
    Rsa { n: String, e: String },
}

/// How ring calls an algorithm whose key is one string of bytes.
fn curve(alg: Algorithm) -> Result<&'static dyn signature::VerificationAlgorithm, BadSignature> {
    match alg {
        Algorithm::Es256 => Ok(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Ok(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::Ed25519 => Ok(&signature::ED25519),
        Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 => {
            Err(BadSignature)
        }
    }
}

/// How ring calls an RSA algorithm.
fn rsa_form(alg: Algorithm) -> Result<&'static signature::RsaParameters, BadSignature> {
    match alg {
        Algorithm::Rs256 => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Ok(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Ok(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Ok(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Ed25519 => Err(BadSignature),
    }
}
