//! Our signing keys over time: published before they sign, kept after they stop (JW-9).

use std::sync::Arc;

use super::{Algorithm, KeySet, SigningKey};
use crate::base::time::Timestamp;

/// One of our keys, with its place in time.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// The key.
    pub key: Arc<SigningKey>,
    /// It is published at once, and signs from here on.
    pub signs_from: Timestamp,
}

/// All keys that verify, and which of them signs. Never JOSE's own live key set: there a removed
/// key can still be found.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
    verifying: KeySet,
    jwks: String,
}

impl KeyRing {
    /// A ring of these keys.
    pub fn new(mut keys: Vec<RingKey>) -> KeyRing {
        keys.sort_by_key(|k| std::cmp::Reverse(k.signs_from));
        let verifying = KeySet::from_keys(keys.iter().map(|k| k.key.verifying().clone()).collect());
        let public: Vec<String> = keys.iter().map(|k| k.key.public_jwk()).collect();
        // JW-8: public members only, unique `kid`, `use` and `alg`.
        let jwks = format!(r#"{{"keys":[{}]}}"#, public.join(","));
        KeyRing { keys, verifying, jwks }
    }

    /// The key that signs with `alg` now: the newest whose time has come.
    pub fn signer(&self, alg: Algorithm, now: Timestamp) -> Option<&Arc<SigningKey>> {
        let usable = |k: &&RingKey| k.key.alg() == alg && k.signs_from <= now;
        self.keys.iter().find(usable).map(|k| &k.key)
    }

    /// The keys that verify our own tokens.
    pub const fn verifying(&self) -> &KeySet {
        &self.verifying
    }

    /// The keys, newest first.
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The published JWK Set.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }
}
