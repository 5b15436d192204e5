//! How several instances say one thing: an instance answers from memory only while it holds a
//! lease, and a change is answered only when every lease that does not rest on it is renewed or has
//! run out. The rules are `model::lease`; here are the waits. `docs/REVOCATION.md` has the proof.
//!
//! On SQLite there is one instance, which the lock on the file makes sure of, and none of this.

use std::{
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{DATABASE, Deputy, Fault};
use crate::{
    base::{id::WriterId, time::Clock},
    model::lease::{Lease, Pending, Standing, Watch},
    store,
};

/// How often a lease is renewed: three times in its life, so that one answer may be lost.
const RENEW_EVERY: Duration = Duration::from_millis(300);
/// How long a request waits for an instance without a lease to catch up.
const PATIENCE: Duration = Duration::from_millis(700);
/// How long after its first look a change looks again whether it is in force everywhere, unless an
/// instance says that it is there; twice as long each time, up to [`LOOK_MAX`].
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(25);
/// How often in a row news may be found by looking, which should have been heard, before the ear
/// is thought deaf.
const UNHEARD_MAX: u64 = 3;

/// This instance among the others.
#[derive(Debug)]
pub struct Coherence {
    writer: WriterId,
    lease: ArcSwapOption<Lease>,
    turn: AtomicU64,
    watch: Mutex<Watch>,
    /// The greatest revision that is known to be in force everywhere.
    everywhere: AtomicU64,
    /// The greatest revision of which somebody may wait to see that it is taken in here.
    owed: AtomicU64,
    /// The greatest that the others can see to be.
    said: AtomicU64,
    heard: Notify,
    /// Another instance has taken something in.
    applied: Notify,
    deaf: Notify,
    unheard: AtomicU64,
    /// Whether the last renewal failed, so that an outage is told once.
    down: AtomicBool,
}

impl Coherence {
    /// An instance that holds no lease yet.
    pub fn new(writer: WriterId) -> Coherence {
        Coherence {
            writer,
            lease: ArcSwapOption::empty(),
            turn: AtomicU64::new(0),
            watch: Mutex::default(),
            everywhere: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            said: AtomicU64::new(0),
            heard: Notify::new(),
            applied: Notify::new(),
            deaf: Notify::new(),
            unheard: AtomicU64::new(0),
            down: AtomicBool::new(false),
        }
    }

    /// Whether there is a lease that has not run out. The lease is loaded before the clock is read,
    /// and whoever asks loads the snapshot afterwards.
    fn holds(&self, clock: &Clock) -> bool {
        self.lease.load().as_ref().is_some_and(|lease| lease.holds(clock.moment()))
    }

    /// Which run of which process this is.
    pub(super) const fn writer(&self) -> WriterId {
        self.writer
    }

    /// What this instance says of itself next.
    pub(super) fn standing(&self, applied: u64) -> Standing {
        // Never twice the same, whatever becomes of it: others tell by it who still moves.
        let turn = self.turn.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        Standing { writer: self.writer, turn, applied }
    }

    /// Somebody may wait to see that this instance has taken in everything up to a revision.
    pub(super) fn owe(&self, applied: u64) {
        self.owed.fetch_max(applied, Ordering::AcqRel);
    }

    /// Whether the others cannot see yet what they may wait for.
    pub(super) fn owes(&self) -> bool {
        self.said.load(Ordering::Acquire) < self.owed.load(Ordering::Acquire)
    }

    /// The others can see how far this instance is.
    pub(super) fn said(&self, applied: u64) {
        self.said.fetch_max(applied, Ordering::AcqRel);
    }

    /// Takes a lease. The snapshot was stored before this.
    pub(super) fn take(&self, lease: Lease) {
        self.lease.store(Some(lease.into()));
    }

    /// An ear that misses what looking finds has a connection that is dead and does not say so.
    fn mind_the_ear(&self, news: bool) {
        if news && self.unheard.fetch_add(1, Ordering::Relaxed) >= UNHEARD_MAX {
            self.unheard.store(0, Ordering::Relaxed);
            self.deaf.notify_one();
        }
    }

    fn saw(&self, others: &[Standing], clock: &Clock) {
        if let Ok(mut watch) = self.watch.lock() {
            watch.see(others, clock.boot());
        }
    }

    /// Which of them hold no lease any more.
    fn lapsed(&self, others: Vec<Standing>, clock: &Clock) -> Vec<Standing> {
        let Ok(watch) = self.watch.lock() else { return Vec::new() };
        others.into_iter().filter(|other| watch.has_lapsed(other, clock.boot())).collect()
    }

    /// Whether one of them may still answer without knowing of a change.
    fn awaits(&self, pending: Pending, others: &[Standing], clock: &Clock) -> bool {
        let Ok(watch) = self.watch.lock() else { return true };
        others.iter().any(|other| pending.awaits(other, &watch, clock.boot()))
    }
}

impl Deputy {
    /// Returns when this instance may answer a request that is here: it holds a lease, or has
    /// caught up with the database meanwhile. Every decision takes its snapshot after this.
    ///
    /// Costs two clock readings and one atomic load where there is a lease.
    pub async fn coherent(&self) -> Result<(), Fault> {
        let Some(coherence) = &self.0.coherence else { return Ok(()) };
        if coherence.holds(self.clock()) {
            return Ok(());
        }
        // Boxed: it is rare, and every request would carry its room.
        match timeout(PATIENCE, Box::pin(self.catch_up_or_lease(coherence))).await {
            Ok(caught_up) => caught_up,
            Err(_too_late) => Err(Fault::Unavailable(DATABASE, None)),
        }
    }

    async fn catch_up_or_lease(&self, coherence: &Coherence) -> Result<(), Fault> {
        let _one_at_a_time = self.0.catching_up.lock().await;
        // Whoever waited for the same finds it done.
        if coherence.holds(self.clock()) {
            return Ok(());
        }
        self.follow().await
    }

    /// Returns when a change that was committed is in force: no instance says anything to a later
    /// request that rests on an older revision.
    pub(super) async fn in_force(&self, revision: u64) -> Result<(), Fault> {
        let committed = self.clock().boot();
        let pending = Pending { revision, committed };
        let (here, ()) = tokio::join!(self.catch_up_to(revision), self.everywhere(pending));
        here
    }

    /// Waits for the others. Never fails: where it cannot see them it waits for as long as a lease
    /// lasts.
    async fn everywhere(&self, pending: Pending) {
        let Some(coherence) = &self.0.coherence else { return };
        let mut pause = LOOK_MIN;
        while coherence.everywhere.load(Ordering::Acquire) < pending.revision {
            // From before the look: who tells of it meanwhile is heard.
            let mut told = pin!(coherence.applied.notified());
            told.as_mut().enable();
            let awaits = match self.others(coherence).await {
                Ok(others) => coherence.awaits(pending, &others, self.clock()),
                Err(_unseen) => !pending.is_over(self.clock().boot()),
            };
            if awaits {
                tokio::select! {
                    () = told => {}
                    () = self.pause(pause) => pause = pause.saturating_mul(2).min(LOOK_MAX),
                }
            } else {
                // In force for good: whoever registers later starts from a later revision.
                coherence.everywhere.fetch_max(pending.revision, Ordering::AcqRel);
            }
        }
    }

    /// The other instances as they stand now.
    async fn others(&self, coherence: &Coherence) -> Result<Vec<Standing>, store::Error> {
        let mut watching = self.store().watch().await?;
        let mut others = watching.instances().await?;
        watching.keep();
        others.retain(|other| other.writer != coherence.writer);
        coherence.saw(&others, self.clock());
        Ok(others)
    }

    /// Strikes off instances that died, so that the next change does not wait for them.
    async fn strike_off(&self, coherence: &Coherence) -> Result<(), store::Error> {
        let others = self.others(coherence).await?;
        for dead in coherence.lapsed(others, self.clock()) {
            let mut watching = self.store().watch().await?;
            watching.lapse(&dead).await?;
            watching.keep();
            tracing::info!(instance = %dead.writer, "an instance has not renewed its lease: forgotten");
        }
        Ok(())
    }

    /// Renews the lease for ever.
    pub(super) async fn keep_lease(&self) {
        let Some(coherence) = &self.0.coherence else { return std::future::pending().await };
        tokio::join!(self.renew_for_ever(coherence), self.listen_for_ever(coherence));
    }

    async fn renew_for_ever(&self, coherence: &Coherence) {
        let mut every = interval(RENEW_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let by_ear = tokio::select! {
                () = coherence.heard.notified() => true,
                _ = every.tick() => false,
            };
            let before = self.snapshot().revision;
            let renewed = if by_ear { self.hear().await } else { self.catch_up().await };
            if !by_ear {
                let news = self.snapshot().revision > before;
                coherence.mind_the_ear(news);
                // Whoever cannot be seen cannot be struck off; the next round looks again.
                _ = self.strike_off(coherence).await;
            }
            tell_once(coherence, renewed.err());
        }
    }

    async fn listen_for_ever(&self, coherence: &Coherence) {
        loop {
            if let Ok(Some(mut listener)) = self.store().listen().await {
                // What was committed before there was an ear.
                coherence.heard.notify_one();
                loop {
                    let heard = tokio::select! {
                        heard = listener.heard() => heard,
                        () = coherence.deaf.notified() => break,
                    };
                    let Ok(heard) = heard else { break };
                    if heard.applied {
                        coherence.applied.notify_waiters();
                    }
                    if heard.changed {
                        coherence.unheard.store(0, Ordering::Relaxed);
                        coherence.heard.notify_one();
                    }
                }
            }
            self.pause(RENEW_EVERY).await;
        }
    }

    /// Gives up the lease, and says so to the others.
    pub(super) async fn leave(&self) {
        let Some(coherence) = &self.0.coherence else { return };
        let _nobody_renews = self.0.catching_up.lock().await;
        coherence.lease.store(None);
        let left = async {
            let mut watching = self.store().watch().await?;
            watching.leave(coherence.writer).await?;
            watching.keep();
            Ok::<(), store::Error>(())
        };
        if let Err(error) = left.await {
            tracing::warn!(%error, "the others will wait for this instance's lease to run out");
        }
    }
}

/// One line when the lease is lost, and one when it is back.
fn tell_once(coherence: &Coherence, failed: Option<Fault>) {
    let was_down = coherence.down.swap(failed.is_some(), Ordering::Relaxed);
    match failed {
        Some(error) if !was_down => {
            tracing::error!(%error, "the lease cannot be renewed: no answers from memory");
        }
        None if was_down => tracing::info!("the lease is renewed again"),
        Some(_) | None => {}
    }
}
