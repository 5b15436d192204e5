//! Our signing keys, as operators see and rotate them.

use super::Refused;
use crate::{
    base::time::Timestamp, engine::admin, jose::ring::RingKey, registry::operator::Operator,
    service::Deputy,
};

/// One of our signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its name in the published set.
    pub kid: String,
    /// Its algorithm.
    pub alg: &'static str,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// What it does now.
    pub state: KeyState,
}

/// What a signing key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and does not sign yet.
    Next,
    /// It signs.
    Current,
    /// It only verifies, until its last token is dead.
    Retiring,
}

impl KeyState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyState::Next => "next",
            KeyState::Current => "current",
            KeyState::Retiring => "retiring",
        }
    }
}

impl Deputy {
    /// The published signing keys, newest first.
    pub fn signing_keys(&self) -> Vec<KeyView> {
        let now = self.now();
        let snapshot = self.snapshot();
        let ring = &snapshot.config.keys;
        let view = |key: &RingKey| {
            let signer = ring.signer(key.key.alg(), now);
            let state = if now < key.signs_from {
                KeyState::Next
            } else if signer.is_some_and(|signer| signer.kid() == key.key.kid()) {
                KeyState::Current
            } else {
                KeyState::Retiring
            };
            let (kid, alg) = (key.key.kid().to_owned(), key.key.alg().name());
            KeyView { kid, alg, signs_from: key.signs_from, state }
        };
        ring.keys().iter().map(view).collect()
    }

    /// Makes the next signing key of every algorithm that has one. One at a time: the next one
    /// must have begun to sign first.
    pub async fn rotate_signing_key(&self, operator: &Operator) -> Result<Vec<KeyView>, Refused> {
        let snapshot = self.newest_alone().await?;
        if let Some(next) = snapshot.config.keys.waiting(self.now()) {
            return Err(Refused::Conflict(format!(
                "the key `{}` is published and signs from {} on: rotate again after that",
                next.key.kid(),
                next.signs_from
            )));
        }
        let (puts, signs_from) = self.next_signing_keys(&snapshot.config.keys).await?;
        let mut event = admin::event(&snapshot, operator, "key.rotated", self.now());
        event.detail.extend(puts.iter().map(|put| ("kid".into(), put.id.clone())));
        event.detail.push(("signs_from".into(), signs_from.to_string()));
        self.configure(puts, event).await?;
        Ok(self.signing_keys())
    }
}
