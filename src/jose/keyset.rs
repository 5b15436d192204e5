//! The public keys of one issuer. Immutable: a refreshed set is a new value, so a key that is
//! gone is gone.

use std::collections::HashSet;

use crate::{
    base::json::{self, Limits},
    jose::{Algorithm, JwkError, VerifyingKey, jwk},
};

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
            usable.extend(jwk::read(key, allowed)?);
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
        let mut found =
            self.0.iter().filter(|key| key.alg() == alg && (kid.is_none() || key.kid() == kid));
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
