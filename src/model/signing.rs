//! The algorithms that we sign with. Where the keys are and how they sign is not known here.

/// What one of our signing keys is for. Other algorithms are verified, never written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256: small, fast, and read by every verifier that we know.
    #[default]
    Es256,
    /// RSA PKCS #1 v1.5: for verifiers that read nothing newer.
    Rs256,
    /// `EdDSA` on edwards25519 (RFC 9864: the fully specified name).
    Ed25519,
}

impl SigningAlgorithm {
    /// Every algorithm, the default first, as metadata lists them.
    pub const ALL: [SigningAlgorithm; 3] =
        [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::Ed25519];

    /// The registered name (RFC 7518 section 3.1, RFC 9864 section 2.2).
    pub const fn as_str(self) -> &'static str {
        match self {
            SigningAlgorithm::Es256 => "ES256",
            SigningAlgorithm::Rs256 => "RS256",
            SigningAlgorithm::Ed25519 => "Ed25519",
        }
    }
}
