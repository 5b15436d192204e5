//! The key sets of trusted issuers, each issuer in a slot of its own: a slow, failing or hostile
//! issuer costs the others nothing. A set is swapped whole, so a key its issuer removed dies with
//! the next fetch. What a key may sign is decided by who asks for it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    error::{FetchError, shown},
    fetch::Fetcher,
    keys::slot::{Slot, Step},
};
use crate::{
    base::time::{Seconds, Timestamp},
    jose::KeySet,
    model::issuer::{KeySource, TrustedIssuer},
};

pub mod slot;

/// Whose keys, and where they come from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The issuer's URL, exactly as its tokens name it.
    pub issuer: &'a str,
    /// Where its keys come from.
    pub keys: &'a KeySource,
    /// The names of the algorithms it may use; keys of others are skipped.
    pub algorithms: &'a BTreeSet<String>,
}

impl<'a> From<&'a TrustedIssuer> for Source<'a> {
    fn from(issuer: &'a TrustedIssuer) -> Source<'a> {
        Source { issuer: &issuer.url, keys: &issuer.keys, algorithms: &issuer.algorithms }
    }
}

/// A key set as it was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The keys.
    pub keys: KeySet,
    /// Differs whenever the set differs; never used twice in the life of a process.
    pub generation: u64,
    /// When the fetch that brought this set began.
    pub fetched_at: Timestamp,
}

/// There are no keys to check a token of this issuer with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no keys of `{issuer}`: {cause}")]
pub struct KeysUnavailable {
    /// The issuer.
    pub issuer: String,
    /// Why the last fetch failed.
    pub cause: FetchError,
    /// When asking again can help.
    pub retry_after: Seconds,
}

/// What an issuer has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Refreshes begun.
    pub fetches: u64,
    /// Refreshes that brought no usable set.
    pub failures: u64,
}

/// How long keys live and how often an issuer is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// From this age on a set is refreshed in the background.
    pub refresh: Seconds,
    /// From this age on a caller waits for the refresh: how long a removed key may live.
    pub max: Seconds,
    /// From this age on a set is not used even when its issuer is down.
    pub stale_max: Seconds,
}

impl Default for Ages {
    /// 5 minutes, 15 minutes, 24 hours: a rotation is seen soon, a removed key dies within a
    /// quarter of an hour, and an issuer may be down for a day.
    fn default() -> Ages {
        Ages { refresh: Seconds::new(300), max: Seconds::new(900), stale_max: Seconds::new(86_400) }
    }
}

/// The least time between two refreshes of one issuer, whatever callers present: a flood of
/// unknown key ids costs one fetch in this time.
pub const COOLDOWN: Seconds = Seconds::new(10);
/// What the time between two refreshes doubles to while they fail.
pub const COOLDOWN_MAX: Seconds = Seconds::new(60);
/// The most issuers that keys are held for: far beyond what one administrator registers.
pub const ISSUERS_MAX: usize = 1_024;

type Slots = HashMap<String, Arc<Slot>>;

/// The keys of all trusted issuers.
pub struct IssuerKeys {
    fetcher: Arc<Fetcher>,
    ages: Ages,
    slots: ArcSwap<Slots>,
    generations: Arc<AtomicU64>,
}

impl IssuerKeys {
    /// An empty store that fetches through `fetcher`.
    pub fn new(fetcher: Arc<Fetcher>, ages: Ages) -> IssuerKeys {
        let slots = ArcSwap::from_pointee(Slots::new());
        IssuerKeys { fetcher, ages, slots, generations: Arc::new(AtomicU64::new(0)) }
    }

    /// The keys behind `source`. When `kid` is not among them, they are fetched again first if the
    /// issuer's [`COOLDOWN`] allows; an answer may therefore still lack `kid`. Waits at most one
    /// total timeout of the fetcher.
    pub async fn keys(
        &self,
        source: Source<'_>,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Fetched>, KeysUnavailable> {
        let slot = self.slot(source, now)?;
        match slot.step(kid, now, &self.ages) {
            Step::Use(fetched) => Ok(fetched),
            Step::UseAndRefresh(fetched) => {
                slot.refresh(&self.fetcher, now);
                Ok(fetched)
            }
            Step::Refresh => {
                let flight = slot.refresh(&self.fetcher, now);
                slot.await_flight(flight, self.patience()).await;
                slot.settle(now, &self.ages)
            }
        }
    }

    /// The keys held for `issuer`, however old, without waiting for anything.
    pub fn cached(&self, issuer: &str) -> Option<Arc<Fetched>> {
        self.slots.load().get(issuer)?.current()
    }

    /// Drops what is held for `issuer`: call it when its registration changes or ends.
    pub fn forget(&self, issuer: &str) {
        self.slots.rcu(|slots| {
            let mut slots = Slots::clone(slots);
            slots.remove(issuer);
            slots
        });
    }

    /// What `issuer` has cost since it was first asked or last forgotten.
    pub fn counts(&self, issuer: &str) -> Counts {
        self.slots.load().get(issuer).map(|slot| slot.counts()).unwrap_or_default()
    }

    /// The slot of `source`; a new one when the issuer is new or its registration has changed.
    fn slot(&self, source: Source<'_>, now: Timestamp) -> Result<Arc<Slot>, KeysUnavailable> {
        let held = self.slots.load().get(source.issuer).map(Arc::clone);
        if let Some(slot) = held.filter(|slot| slot.serves(source)) {
            return Ok(slot);
        }
        let fresh = Arc::new(Slot::new(source, Arc::clone(&self.generations)));
        if let KeySource::Inline(text) = source.keys {
            fresh.pin(text, now)?;
        }
        self.slots.rcu(|slots| with_slot(slots, source, &fresh));
        // Another caller may have been first; all must share one slot.
        let shared = self.slots.load().get(source.issuer).map(Arc::clone);
        shared.filter(|slot| slot.serves(source)).ok_or_else(|| KeysUnavailable {
            issuer: source.issuer.to_owned(),
            cause: FetchError::BadKeys {
                issuer: shown(source.issuer),
                why: format!("keys of {ISSUERS_MAX} issuers are held already"),
            },
            retry_after: COOLDOWN_MAX,
        })
    }

    /// How long one caller waits for a refresh: the refresh's own deadline and a little, so that
    /// the refresh ends first and says why.
    fn patience(&self) -> Duration {
        self.fetcher.options().total_timeout.saturating_add(Duration::from_millis(250))
    }
}

/// `slots` with `fresh` in it, unless an equal slot is there already or there is no room.
fn with_slot(slots: &Slots, source: Source<'_>, fresh: &Arc<Slot>) -> Slots {
    let mut slots = slots.clone();
    let held = slots.get(source.issuer);
    let same = held.is_some_and(|held| held.serves(source));
    if !same && (held.is_some() || slots.len() < ISSUERS_MAX) {
        slots.insert(source.issuer.to_owned(), Arc::clone(fresh));
    }
    slots
}

impl std::fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKeys")
            .field("issuers", &self.slots.load().len())
            .finish_non_exhaustive()
    }
}
