//! The beat: the only place that sleeps. Everything periodic is a `tick` that a test can call.

use std::{future::Future, time::Duration};

use super::{Deputy, Fault};
use crate::{
    base::time::{Seconds, Timestamp},
    store::Keep,
};

/// How often the beat looks whether something is due.
const EVERY: Duration = Duration::from_secs(1);
/// How often the refusals before authentication are summed up.
const SUMMARY_S: i64 = 60;
/// How often old rows are swept.
const SWEEP_S: i64 = 300;
/// How long dead delegations, revocations and replaced documents are kept: so long can a decision
/// be judged again. Events are kept longer. Never less than any foreign token is accepted, because
/// a revocation bars it.
const KEEP_HISTORY: Seconds = Seconds::new(7 * 86_400);

impl Deputy {
    /// Beats until `stop` is done.
    pub async fn beat(&self, stop: impl Future<Output = ()> + Send) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = every.tick() => {
                    if let Err(error) = self.tick(self.now()).await {
                        tracing::warn!(%error, "periodic work failed and will be tried again");
                    }
                }
            }
        }
    }

    /// Does what is due at `now`.
    pub async fn tick(&self, now: Timestamp) -> Result<(), Fault> {
        // Another process may have changed the configuration: nothing waits for this.
        self.catch_up().await?;
        if now.epoch_s().rem_euclid(SUMMARY_S) == 0 {
            self.sum_up_refusals();
        }
        if now.epoch_s().rem_euclid(SWEEP_S) == 0 {
            let keep = Keep {
                delegations: KEEP_HISTORY,
                revocations: KEEP_HISTORY,
                versions: KEEP_HISTORY,
            };
            self.store().sweep(now, keep).await?;
        }
        Ok(())
    }
}
