//! The beat: the only place that sleeps. Everything periodic is a `tick` that a test can call.

use std::{
    future::Future,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use super::{Deputy, Fault};
use crate::{
    base::time::{Seconds, Timestamp},
    store::Keep,
};

/// How often the beat looks whether something is due.
const EVERY: Duration = Duration::from_secs(1);
/// How often the refusals before authentication are summed up.
const SUMMARY_S: i64 = 60;
/// How often one of us signs how far the audit log is, if it has grown.
const CHECKPOINT_S: i64 = 10;
/// How often old rows are swept.
const SWEEP_S: i64 = 300;
/// Sweeps within one second; each deletes up to a thousand rows of a kind.
const SWEEPS_MAX: usize = 10;
/// How often the audit log is shortened, where it is not kept for ever.
const SHORTEN_S: i64 = 3_600;
/// How long dead delegations, revocations and replaced documents are kept: so long can a decision
/// be judged again. Events are kept longer. Never less than any foreign token is accepted, because
/// a revocation bars it.
const KEEP_HISTORY: Seconds = Seconds::new(7 * 86_400);
/// How long a revocation is kept in memory, for those that happen now: longer than any foreign
/// token is accepted, and its leeway.
const REMEMBER_REVOCATIONS: Seconds = Seconds::new(2 * 86_400);

/// When everything periodic was done last.
#[derive(Debug)]
pub struct Last {
    summed_up: Stretch,
    shortened: Stretch,
    swept: Stretch,
    signed: Stretch,
}

impl Last {
    /// Everything is done at this moment.
    pub fn at(now: Timestamp) -> Last {
        Last {
            summed_up: Stretch::at(now, SUMMARY_S),
            shortened: Stretch::at(now, SHORTEN_S),
            swept: Stretch::at(now, SWEEP_S),
            signed: Stretch::at(now, CHECKPOINT_S),
        }
    }
}

/// A stretch of time of some length, by its number: something is done once in each, however late.
#[derive(Debug)]
struct Stretch {
    length_s: i64,
    last: AtomicI64,
}

impl Stretch {
    /// The one that a moment is in.
    const fn at(now: Timestamp, length_s: i64) -> Stretch {
        Stretch { length_s, last: AtomicI64::new(now.epoch_s().div_euclid(length_s)) }
    }

    /// Whether it is another one now.
    fn is_over(&self, now: Timestamp) -> bool {
        let new = now.epoch_s().div_euclid(self.length_s);
        self.last.swap(new, Ordering::Relaxed) != new
    }
}

impl Deputy {
    /// Beats until `stop` is done, and keeps this instance's lease meanwhile.
    pub async fn beat(&self, stop: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = stop => {}
            () = self.tick_for_ever() => {}
            () = self.keep_lease() => {}
        }
    }

    /// Waits.
    #[expect(clippy::disallowed_methods, reason = "this is the place where it is allowed")]
    pub(super) async fn pause(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }

    async fn tick_for_ever(&self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            if let Err(error) = self.tick(self.now()).await {
                tracing::warn!(%error, "periodic work failed and will be tried again");
            }
        }
    }

    /// Deletes old rows: as many as a second has time for. What is left is the next one's.
    async fn sweep(&self, now: Timestamp) -> Result<(), Fault> {
        let keep = Keep {
            delegations: KEEP_HISTORY,
            revocations: KEEP_HISTORY,
            versions: KEEP_HISTORY,
            log: self.options().keep_audit,
        };
        for _ in 0..SWEEPS_MAX {
            let swept = self.store().sweep(now, keep).await?;
            self.0.unswept.store(swept.more, Ordering::Relaxed);
            if !swept.more {
                break;
            }
        }
        Ok(())
    }

    /// Does what is due at `now`.
    pub async fn tick(&self, now: Timestamp) -> Result<(), Fault> {
        // Another process may have changed the configuration: nothing waits for this.
        self.catch_up().await?;
        if self.0.last.summed_up.is_over(now) {
            self.sum_up_refusals();
            self.tell_of_the_clock();
            // What else is due does not wait for this; the next minute tries again.
            if let Err(error) = self.rotate_by_schedule().await {
                tracing::warn!(%error, "the signing keys were not replaced, and their time is over");
            }
        }
        if self.0.last.shortened.is_over(now)
            && let Err(error) = self.shorten_log(now).await
        {
            tracing::warn!(%error, "the audit log was not shortened, and will be in an hour");
        }
        let sweep = self.0.last.swept.is_over(now);
        if sweep {
            self.forget_revocations(now.minus(REMEMBER_REVOCATIONS)).await;
        }
        if sweep || self.0.unswept.load(Ordering::Relaxed) {
            self.sweep(now).await?;
        }
        if self.0.last.signed.is_over(now) {
            self.checkpoint().await?;
            self.note_epoch().await;
        }
        Ok(())
    }
}
