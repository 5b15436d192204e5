//! Our signing keys, as operators see and rotate them.

use super::Refused;
use crate::{
    base::time::Timestamp,
    engine::{admin, revoke::Intent},
    jose::ring::RingKey,
    model::{
        event::{Event, Kind},
        revocation::Target,
    },
    registry::operator::Operator,
    service::{Deputy, Fault, keys},
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
        let by = ("operator", operator.name.to_string());
        self.rotate(by).await?;
        Ok(self.signing_keys())
    }

    /// Seals anew whatever another key-encryption key sealed: how many. Afterwards that one opens
    /// nothing any more.
    pub async fn reseal_keys(&self, operator: &Operator) -> Result<u64, Refused> {
        let snapshot = self.newest_alone().await?;
        let documents = self.store().documents().await?;
        let puts = keys::resealed(&documents, &self.0.kek, self.random())?;
        let count = u64::try_from(puts.len()).unwrap_or(u64::MAX);
        let mut event = admin::event(&snapshot, operator, "keys.resealed", self.now());
        event.detail.push(("keys".into(), count.to_string()));
        self.configure(puts, event).await?;
        Ok(count)
    }

    /// The same when the newest key has signed for so long. Every instance looks, and the database
    /// lets one of them do it: the others find a key that waits.
    ///
    /// What a key may do is told by the wall clock of whoever asks. Clocks agree within a minute,
    /// or tokens would not pass between instances; a new key is known everywhere for ten before it
    /// signs anywhere.
    pub(in crate::service) async fn rotate_by_schedule(&self) -> Result<(), Fault> {
        let Some(every) = self.options().rotate_keys_every else { return Ok(()) };
        let now = self.now();
        let due = {
            let keys = &self.snapshot().config.keys;
            let newest = keys.keys().iter().map(|key| key.signs_from).max();
            newest.is_some_and(|newest| newest.plus(every) <= now)
        };
        if !due {
            return Ok(());
        }
        match self.rotate(("by", "schedule".to_owned())).await {
            // Another instance, or an operator, was faster.
            Ok(()) | Err(Refused::Conflict(_)) => Ok(()),
            Err(Refused::Fault(fault)) => Err(fault),
            Err(_) => Err(Fault::Internal("the keys were not rotated", None)),
        }
    }

    async fn rotate(&self, by: (&'static str, String)) -> Result<(), Refused> {
        let snapshot = self.newest_alone().await?;
        if let Some(next) = snapshot.config.keys.waiting(self.now()) {
            return Err(Refused::Conflict(format!(
                "the key `{}` is published and signs from {} on: rotate again after that",
                next.key.kid(),
                next.signs_from
            )));
        }
        let (mut puts, signs_from) = self.next_signing_keys(&snapshot.config.keys).await?;
        let mut event =
            Event::new(Kind::Configuration, "key.rotated", self.now(), snapshot.revision);
        event.detail.push((by.0.into(), by.1));
        event.detail.extend(puts.iter().map(|put| ("kid".into(), put.id.clone())));
        event.detail.push(("signs_from".into(), signs_from.to_string()));
        puts.extend(self.worn_out_keys(&snapshot.config.keys).await?);
        self.configure(puts, event).await
    }

    /// Takes a key out that somebody else may have: its tokens are worth nothing at once, at every
    /// instance, another key signs at once, and what was ever issued ends, because what grew from a
    /// forged token bears the signature of another key. Nobody need log in again.
    ///
    /// Servers that verify offline go on taking its tokens until they fetch the key set again.
    pub async fn retire_signing_key(
        &self,
        operator: &Operator,
        kid: &str,
    ) -> Result<Vec<KeyView>, Refused> {
        {
            let snapshot = self.newest_alone().await?;
            let puts = self.without_key(&snapshot.config.keys, kid).await?;
            let puts = puts.ok_or_else(|| Refused::Missing(format!("key `{kid}`")))?;
            let mut event = admin::event(&snapshot, operator, "key.retired", self.now());
            event.detail.push(("kid".into(), kid.to_owned()));
            // Asked a second time, the key is gone; what was issued is ended once more.
            if !puts.is_empty() {
                self.configure(puts, event).await?;
            }
        }
        let now = self.now();
        let revision = self.snapshot().revision;
        let mut event = Event::new(Kind::Revocation, "key_retired", now, revision);
        event.detail.push(("operator".into(), operator.name.to_string()));
        event.detail.push(("kid".into(), kid.to_owned()));
        self.revoke(Intent { target: Target::Everything, bar: None, event }, now).await?;
        Ok(self.signing_keys())
    }
}
