//! One issuer's slot: the set in use, when it may be fetched again, and the one flight that may be
//! under way. Readers never wait: the set in use is swapped behind their backs, and no lock is
//! held while anything is fetched.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::{Ages, COOLDOWN, COOLDOWN_MAX, Counts, Fetched, KeysUnavailable, Source};
use crate::{
    base::{
        secret::Fingerprint,
        time::{Seconds, Timestamp},
    },
    jose::{Algorithm, KeySet},
    model::issuer::KeySource,
    service::remote::{
        discovery,
        error::{FetchError, shown},
        fetch::Fetcher,
    },
};

/// What a caller does next.
pub enum Step {
    /// Use this set.
    Use(Arc<Fetched>),
    /// Use this set and have it refreshed meanwhile.
    UseAndRefresh(Arc<Fetched>),
    /// Have it refreshed, wait, then settle for what there is.
    Refresh,
}

/// Closes when the flight has landed.
pub type Flight = watch::Receiver<()>;

/// One issuer's keys.
pub struct Slot {
    issuer: String,
    source: KeySource,
    names: BTreeSet<String>,
    algorithms: Vec<Algorithm>,
    current: ArcSwapOption<Fetched>,
    log: Mutex<Log>,
    generations: Arc<AtomicU64>,
    fetches: AtomicU64,
    failures: AtomicU64,
}

/// What has been tried. Locked for a few instructions, never across an await.
#[derive(Default)]
struct Log {
    /// When the last refresh began.
    began: Option<Timestamp>,
    /// Why the last refresh failed; none when it did not.
    failure: Option<FetchError>,
    /// How many refreshes in a row have failed.
    failures_in_a_row: u32,
    /// The bytes of the current set.
    fingerprint: Option<Fingerprint>,
    flight: Option<Flight>,
}

impl Slot {
    /// An empty slot.
    pub fn new(source: Source<'_>, generations: Arc<AtomicU64>) -> Slot {
        Slot {
            issuer: source.issuer.to_owned(),
            source: source.keys.clone(),
            names: source.algorithms.clone(),
            // A name that we do not know has no keys here.
            algorithms: source
                .algorithms
                .iter()
                .filter_map(|it| Algorithm::from_name(it))
                .collect(),
            current: ArcSwapOption::empty(),
            log: Mutex::new(Log::default()),
            generations,
            fetches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Whether this slot's keys are the ones that `source` means.
    pub fn serves(&self, source: Source<'_>) -> bool {
        self.issuer == source.issuer
            && self.source == *source.keys
            && self.names == *source.algorithms
    }

    /// The set in use.
    pub fn current(&self) -> Option<Arc<Fetched>> {
        self.current.load_full()
    }

    /// What this slot has cost.
    pub fn counts(&self) -> Counts {
        Counts {
            fetches: self.fetches.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    /// Puts a registered set in place.
    pub fn pin(&self, text: &str, now: Timestamp) -> Result<(), KeysUnavailable> {
        match self.read(text.as_bytes()) {
            Ok(keys) => {
                self.swap(keys, text.as_bytes(), now);
                Ok(())
            }
            Err(cause) => Err(self.unavailable(cause, COOLDOWN_MAX)),
        }
    }

    /// What to do for a caller who needs `kid` (or any key) at `now`.
    pub fn step(&self, kid: Option<&str>, now: Timestamp, ages: &Ages) -> Step {
        let Some(current) = self.current() else { return Step::Refresh };
        if matches!(self.source, KeySource::Inline(_)) {
            return Step::Use(current);
        }
        let age = apart(current.fetched_at, now);
        let known = kid.is_none_or(|kid| current.keys.contains_kid(kid));
        let overdue = age >= ages.max && !self.log().is_down(now);
        if !known || overdue || age >= ages.stale_max {
            Step::Refresh
        } else if age >= ages.refresh {
            Step::UseAndRefresh(current)
        } else {
            Step::Use(current)
        }
    }

    /// Begins a refresh, joins the one under way, or, while cooling down, does nothing.
    pub fn refresh(self: &Arc<Self>, fetcher: &Arc<Fetcher>, now: Timestamp) -> Option<Flight> {
        let mut log = self.log();
        // A flight whose task died without landing has closed its end; it does not count.
        if let Some(flight) = log.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return Some(flight.clone());
        }
        if log.cooling(now).is_some() {
            return None;
        }
        let (landed, flight) = watch::channel(());
        log.began = Some(now);
        log.flight = Some(flight.clone());
        drop(log);
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let (slot, fetcher) = (Arc::clone(self), Arc::clone(fetcher));
        // A task of its own: a caller who goes away does not waste what others wait for.
        tokio::spawn(async move {
            let outcome = slot.load(&fetcher).await;
            slot.land(outcome, now);
            drop(landed);
        });
        Some(flight)
    }

    /// Waits until the flight has landed, `patience` at most.
    pub async fn await_flight(&self, flight: Option<Flight>, patience: Duration) {
        if let Some(mut flight) = flight {
            // Both ends of the wait mean the same: look at what there is now.
            let _ = tokio::time::timeout(patience, flight.changed()).await;
        }
    }

    /// What there is: the last good set while it is not too old, else why there is none.
    pub fn settle(&self, now: Timestamp, ages: &Ages) -> Result<Arc<Fetched>, KeysUnavailable> {
        if let Some(current) =
            self.current().filter(|it| apart(it.fetched_at, now) < ages.stale_max)
        {
            return Ok(current);
        }
        let log = self.log();
        let cause = log.failure.clone();
        let retry_after = log.cooling(now).unwrap_or(COOLDOWN);
        drop(log);
        // No failure is on record when the first flight is still in the air.
        let cause = cause.unwrap_or_else(|| FetchError::Timeout { host: shown(&self.issuer) });
        Err(self.unavailable(cause, retry_after))
    }

    /// One refresh, all of it within the deadline of one fetch, however many documents it needs.
    async fn load(&self, fetcher: &Fetcher) -> Result<(KeySet, Vec<u8>), FetchError> {
        let deadline = fetcher.options().total_timeout;
        let bytes = tokio::time::timeout(deadline, self.fetch(fetcher))
            .await
            .map_err(|_| FetchError::Timeout { host: shown(&self.issuer) })??;
        Ok((self.read(&bytes)?, bytes))
    }

    async fn fetch(&self, fetcher: &Fetcher) -> Result<Vec<u8>, FetchError> {
        match &self.source {
            KeySource::Discovery => {
                let uri = discovery::jwks_uri(fetcher, &self.issuer).await?;
                fetcher.get(&uri).await
            }
            KeySource::JwksUri(uri) => fetcher.get(uri).await,
            KeySource::Inline(text) => Ok(text.clone().into_bytes()),
        }
    }

    fn read(&self, bytes: &[u8]) -> Result<KeySet, FetchError> {
        KeySet::parse_jwks(bytes, &self.algorithms).map_err(|error| FetchError::BadKeys {
            issuer: shown(&self.issuer),
            why: shown(&error.to_string()),
        })
    }

    /// Records the outcome. A failure keeps the set in use and lengthens the pause.
    fn land(&self, outcome: Result<(KeySet, Vec<u8>), FetchError>, began: Timestamp) {
        match outcome {
            Ok((keys, bytes)) => self.swap(keys, &bytes, began),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    issuer = %shown(&self.issuer),
                    code = error.code(),
                    "keys were not refreshed: {error}"
                );
                let mut log = self.log();
                log.failure = Some(error);
                log.failures_in_a_row = log.failures_in_a_row.saturating_add(1);
            }
        }
        self.log().flight = None;
    }

    /// Swaps the whole set: nothing of the old one stays.
    fn swap(&self, keys: KeySet, bytes: &[u8], fetched_at: Timestamp) {
        let fingerprint = Fingerprint::of(bytes);
        let mut log = self.log();
        let same = log.fingerprint == Some(fingerprint);
        let generation = match self.current().filter(|_| same) {
            Some(current) => current.generation,
            None => self.generations.fetch_add(1, Ordering::Relaxed).saturating_add(1),
        };
        log.fingerprint = Some(fingerprint);
        log.failure = None;
        log.failures_in_a_row = 0;
        self.current.store(Some(Arc::new(Fetched { keys, generation, fetched_at })));
    }

    fn unavailable(&self, cause: FetchError, retry_after: Seconds) -> KeysUnavailable {
        KeysUnavailable { issuer: self.issuer.clone(), cause, retry_after }
    }

    /// The log, also after a panic elsewhere: every state of it is usable.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// How much longer no refresh may begin.
    fn cooling(&self, now: Timestamp) -> Option<Seconds> {
        let (began, pause) = (self.began?, self.pause());
        (apart(began, now) < pause).then(|| now.until(began.plus(pause)))
    }

    /// The least time from one refresh to the next: doubles while they fail.
    const fn pause(&self) -> Seconds {
        match self.failures_in_a_row {
            0 | 1 => COOLDOWN,
            2 => Seconds::new(20),
            3 => Seconds::new(40),
            _ => COOLDOWN_MAX,
        }
    }

    /// Whether the issuer was found failing a moment ago, so that waiting for it again would only
    /// delay a caller whom the last good set serves.
    fn is_down(&self, now: Timestamp) -> bool {
        let recent = self.began.is_some_and(|began| apart(began, now) < RECENT);
        recent && self.failure.is_some()
    }
}

/// How long a failure says something about now: two pauses.
const RECENT: Seconds = Seconds::new(120);

/// How far two moments are apart, whichever is later: a wall clock that jumps either way ends a
/// pause and ages a set, and two callers a tick apart agree.
fn apart(one: Timestamp, other: Timestamp) -> Seconds {
    one.until(other).max(other.until(one))
}
