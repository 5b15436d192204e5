//! The public keys of one issuer. Immutable: a refreshed set is a new value, so a key that is
//! gone is gone. How one key is read, and which are good enough, is in `read`.

use std::collections::HashSet;

use crate::{
    base::json::{self, Limits},
    jose::{algorithm::Algorithm, key::VerifyingKey},
};

pub(super) mod read;

/// The longest `kid` in bytes, in a key set and in a header.
pub(super) const MAX_KID: usize = 256;

/// The keys with which one issuer signs.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// The most keys of one set: four times the largest seen at a big provider.
    pub const MAX_KEYS: usize = 100;
    /// The largest set in bytes: room for that many keys with their certificates.
    pub const MAX_BYTES: usize = 262_144;

    /// Reads a JWK Set (RFC 7517 section 5) and keeps the keys that verify one of `allowed`.
    ///
    /// # Errors
    /// [`JwkError`], and then nothing of the set is used: broken JSON, a private or symmetric key
    /// anywhere, two keys of one `kid`, or a key that would be used but is weak or malformed.
    pub fn parse_jwks(bytes: &[u8], allowed: &[Algorithm]) -> Result<KeySet, JwkError> {
        let limits = Limits { max_bytes: KeySet::MAX_BYTES, max_depth: 8, ..Limits::DEFAULT };
        let document = json::parse(bytes, &limits)?;
        let keys = document.as_object().and_then(|set| set.get("keys")?.as_array());
        let keys = keys.ok_or(JwkError::NotAKeySet)?;
        if keys.len() > KeySet::MAX_KEYS {
            return Err(JwkError::TooManyKeys);
        }
        let mut usable = Vec::new();
        for key in keys {
            let key = key.as_object().ok_or(JwkError::NotAKeySet)?;
            usable.extend(read::read(key, allowed)?);
        }
        let mut kids = HashSet::new();
        if usable.iter().filter_map(VerifyingKey::kid).any(|kid| !kids.insert(kid)) {
            return Err(JwkError::DuplicateKid);
        }
        Ok(KeySet(usable))
    }

    /// A set of keys that we hold ourselves.
    pub const fn from_keys(keys: Vec<VerifyingKey>) -> KeySet {
        KeySet(keys)
    }

    /// The key that a header means: that `kid`, exactly, and bound to that algorithm. A header
    /// without `kid` means the only key of its algorithm, and nothing when there are several.
    pub fn find(&self, kid: Option<&str>, alg: Algorithm) -> Option<&VerifyingKey> {
        let mut found = self
            .0
            .iter()
            .filter(|key| key.algorithm() == alg && (kid.is_none() || key.kid() == kid));
        match (found.next(), found.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }

    /// Whether a key of that name is here: if not, the set may have been refreshed since.
    pub fn contains_kid(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid() == Some(kid))
    }

    /// The keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &VerifyingKey> {
        self.0.iter()
    }

    /// Whether no key is usable.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a JWK or a set of them is refused. Nothing of a refused set is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not the JSON that we read.
    #[error("the key set is not acceptable JSON: {0}")]
    Json(#[from] json::JsonError),
    /// Not an object with an array `keys` of objects (RFC 7517 section 5).
    #[error("a key set is an object with an array `keys` of objects")]
    NotAKeySet,
    /// Too many keys.
    #[error("the key set has more than {} keys", KeySet::MAX_KEYS)]
    TooManyKeys,
    /// A private or symmetric key lies in the open: everything near it is suspect.
    #[error("the JWK has the private or symmetric member `{0}`: publish public keys only")]
    NotPublic(&'static str),
    /// Two keys share a `kid`.
    #[error("two keys have the same `kid`")]
    DuplicateKid,
    /// A member has the wrong type, length or encoding.
    #[error("the JWK member `{0}` is malformed")]
    Malformed(&'static str),
    /// RSA moduli must have 2048 to 4096 bits.
    #[error("the RSA modulus has {bits} bits: 2048 to 4096 are accepted")]
    RsaSize {
        /// The size found.
        bits: usize,
    },
    /// Small exponents sign what nobody signed (Wycheproof: exponent 1).
    #[error("the RSA exponent must be odd, at least 65537 and at most 32 bits long")]
    RsaExponent,
    /// The modulus carries the fingerprint of CVE-2017-15361.
    #[error("the RSA key was made by a flawed generator (ROCA): replace it")]
    Roca,
    /// An Ed25519 key for which anyone can make signatures.
    #[error("the Ed25519 key is a point of small order")]
    SmallOrder,
    /// `alg` names an algorithm of another kind of key.
    #[error("the JWK member `alg` does not fit its `kty` and `crv`")]
    AlgorithmMismatch,
    /// There is no such key here, or it is of a kind that we do not use.
    #[error("the JWK is not a signature key of a kind that is accepted")]
    Unusable,
}
