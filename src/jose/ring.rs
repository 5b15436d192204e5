//! Our signing keys over time: published before they sign, kept after they stop (JW-9).

use std::{collections::BTreeSet, sync::Arc};

use super::{Algorithm, KeySet, SigningKey};
use crate::base::time::{Seconds, Timestamp};

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
    /// A ring of those of these keys that still verify: all but the ones that a newer key of the
    /// same algorithm replaced so long ago.
    pub fn at(now: Timestamp, verifies_after: Seconds, keys: &[RingKey]) -> KeyRing {
        let verifies = |key: &&RingKey| !is_retired(keys, key, now, verifies_after);
        KeyRing::new(keys.iter().filter(verifies).cloned().collect())
    }

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

    /// Whether a key waits for its time to sign.
    pub fn waiting(&self, now: Timestamp) -> Option<&RingKey> {
        self.keys.iter().find(|k| now < k.signs_from)
    }

    /// Whether some key was replaced so long ago that its last token is dead.
    pub fn has_retired(&self, now: Timestamp, verifies_after: Seconds) -> bool {
        self.keys.iter().any(|key| is_retired(&self.keys, key, now, verifies_after))
    }

    /// The algorithms that have a key.
    pub fn algorithms(&self) -> BTreeSet<Algorithm> {
        self.keys.iter().map(|k| k.key.alg()).collect()
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

/// Whether a newer key of the same algorithm has signed for so long that no token of this one lives.
fn is_retired(keys: &[RingKey], key: &RingKey, now: Timestamp, verifies_after: Seconds) -> bool {
    keys.iter().any(|newer| {
        newer.key.alg() == key.key.alg()
            && key.signs_from < newer.signs_from
            && newer.signs_from.plus(verifies_after) <= now
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(signs_from: i64) -> RingKey {
        key_of(Algorithm::Es256, signs_from)
    }

    fn key_of(alg: Algorithm, signs_from: i64) -> RingKey {
        let key = Arc::new(SigningKey::generate(alg).unwrap());
        RingKey { key, signs_from: Timestamp::from_epoch_s(signs_from).unwrap() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_epoch_s(seconds).unwrap()
    }

    #[test]
    fn jw9_a_new_key_is_published_before_it_signs_and_an_old_one_verifies_after() {
        let (old, new) = (key(100), key(1_000));
        let ring = KeyRing::new(vec![old.clone(), new.clone()]);
        let signer = |now| ring.signer(Algorithm::Es256, at(now)).map(|k| k.kid().to_owned());
        assert!(ring.jwks().contains(new.key.kid()) && ring.jwks().contains(old.key.kid()));
        assert_eq!(signer(999).as_deref(), Some(old.key.kid()));
        assert_eq!(signer(1_000).as_deref(), Some(new.key.kid()));
        assert_eq!(signer(99), None);
        assert!(ring.verifying().contains_kid(old.key.kid()));
        assert!(ring.waiting(at(999)).is_some() && ring.waiting(at(1_000)).is_none());
        assert!(!ring.has_retired(at(1_959), Seconds::new(960)));
        assert!(ring.has_retired(at(1_960), Seconds::new(960)));
    }

    #[test]
    fn jw9_a_key_is_replaced_by_one_of_its_own_algorithm_only() {
        let keys = [key(100), key_of(Algorithm::Ed25519, 1_000), key(2_000)];
        let kids = |now: i64| {
            let ring = KeyRing::at(at(now), Seconds::new(960), &keys);
            ring.keys().iter().map(|k| k.key.kid().to_owned()).collect::<Vec<_>>()
        };
        let [old, other, new] = keys.each_ref().map(|k| k.key.kid().to_owned());
        assert_eq!(kids(2_959), [new.clone(), other.clone(), old]);
        assert_eq!(kids(2_960), [new, other]);
        let ring = KeyRing::new(keys[..2].to_vec());
        assert!(!ring.has_retired(at(90_000), Seconds::new(960)));
        assert_eq!(ring.signer(Algorithm::Es256, at(90_000)).unwrap().kid(), keys[0].key.kid());
    }
}
