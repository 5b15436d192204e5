//! The task behind the writer's queue: what is taken together, what is tried again, who is told
//! what. It alone knows the state of the chain and owns the connection that writes.
//!
//! After a failure nothing is assumed: the connection is dropped, those who wait are told
//! `Unavailable`, and the next batch connects anew and reads from the database how far the chain
//! has come.

mod effects;
mod line;
mod upkeep;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    base::{id::WriterId, time::Timestamp},
    model::event::Event,
};

use super::{
    super::{
        Options,
        chain::Chain,
        commit::{Draft, SEGMENT_EVENTS, Sent},
        connect::{Address, Connection, in_time},
        effects::Found,
        error::Error,
        record::Sealer,
        rows::{DocumentRow, Head, HeadRow, RevocationRow, count, number},
        twin,
    },
    Change, Configure, Configured, Put, Reply, Revoke, SweepUntil, Swept, answer,
    doubt::Doubts,
    journal::{self, Journal},
    work::{Sorted, Work},
};

/// Changes that share a commit: beyond this a commit takes longer, and not less time per change.
const BATCH_MAX: usize = 256;
/// Journalled events that share a commit: eight links.
const JOURNAL_BATCH: usize = 8 * SEGMENT_EVENTS;
/// How old a journalled event may get before it is written.
const SEGMENT_AGE: Duration = Duration::from_millis(50);
/// How long after a failure the journal is tried again, unless a change comes first.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long one commit may take; longer than the server's own limit for a statement.
const COMMIT_MAX: Duration = Duration::from_millis(1_500);
/// How often a revocation or configuration change gives way to another instance's. Each time one
/// of theirs was done.
const BUMPS_MAX: usize = 32;
/// How often what was refused is tried again because the chain stood elsewhere, or because another
/// instance may have been faster.
const TRIES_MAX: usize = 3;
/// Rows that one sweep deletes per table, so that it holds nobody up.
const SWEEP_ROWS: i64 = 1_000;

/// What comes in.
pub(super) struct Inbox {
    pub changes: mpsc::Receiver<Change>,
    pub journal: Arc<Journal>,
    pub erased: Arc<AtomicU64>,
}

pub(super) struct Task {
    address: Address,
    inbox: Inbox,
    db: Option<Connection>,
    /// Why there is no connection; asked for anew with the next batch.
    down: Option<Error>,
    chain: Chain,
    /// Commits whose answer was lost.
    doubts: Doubts,
    /// When the connection was last of use.
    used: Instant,
    sealer: Sealer,
    /// Journalled events that are not written yet, oldest first.
    pending: VecDeque<Event>,
    /// When `pending` must be written.
    due: Option<Instant>,
}

/// Why a batch went no further.
enum Failure {
    /// The database, or we, will not take it; the chain stands where it stood.
    Refused(Error),
    /// There is no connection; nothing was sent.
    Down(Error),
    /// It was sent, and nobody knows whether it was done. The connection is gone.
    Lost(Error),
}

/// Where the chain is seen to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Where it was thought to.
    Here,
    /// Elsewhere; so many of the oldest journalled events are written.
    Elsewhere { written: usize },
}

/// How far a batch came.
enum Attempt {
    /// All of it is committed.
    Done,
    /// All but the delegations, because the revision is this by now.
    Moved(Result<u64, Error>),
    /// Nothing of it, because of this.
    InTheWay(Found),
}

/// What raises the revision.
enum Raise<'a> {
    Revocation(&'a Revoke),
    Documents { puts: &'a [Put], checked_at: Option<u64> },
}

impl Raise<'_> {
    /// Whether something was configured after this was checked.
    fn is_overtaken(&self, configured: i64) -> bool {
        match self {
            Raise::Revocation(_) | Raise::Documents { checked_at: None, .. } => false,
            Raise::Documents { checked_at: Some(at), .. } => number(*at) < configured,
        }
    }
}

impl Task {
    /// Connects and registers this run.
    pub async fn begin(
        address: Address,
        options: &Options,
        id: WriterId,
        inbox: Inbox,
    ) -> Result<Task, Error> {
        let chain = Chain::begin(id);
        let sealer = Sealer::new(Arc::clone(&options.random), Arc::clone(&inbox.erased));
        let mut db = address.connect().await?;
        in_time(COMMIT_MAX, db.register(chain.writer(), options.started_at)).await?;
        Ok(Task {
            address,
            inbox,
            db: Some(db),
            down: None,
            chain,
            doubts: Doubts::default(),
            used: Instant::now(),
            sealer,
            pending: VecDeque::new(),
            due: None,
        })
    }

    /// Serves until the store is closed or dropped.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut closing = Vec::new();
        while closing.is_empty() && self.receive(&mut batch).await {
            self.serve(&mut batch, &mut closing).await;
        }
        // Whatever was taken in before the end is still answered.
        self.inbox.changes.close();
        self.inbox.journal.close();
        while self.inbox.changes.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.serve(&mut batch, &mut closing).await;
        }
        let written = self.flush().await;
        self.inbox.journal.lose(self.unwritten());
        if let Some(db) = self.db.take() {
            // Everything is committed; a connection that cannot say good-bye changes nothing.
            let _ = in_time(COMMIT_MAX, db.close()).await;
        }
        for reply in closing {
            answer(reply, written.clone());
        }
    }

    /// Waits for something to do; false when nothing will ever come.
    async fn receive(&mut self, batch: &mut Vec<Change>) -> bool {
        loop {
            let inbox = &mut self.inbox;
            let next = async {
                tokio::select! {
                    biased;
                    n = inbox.changes.recv_many(batch, BATCH_MAX) => Some(n > 0),
                    () = inbox.journal.changed() => None,
                }
            };
            let heard = match self.due {
                Some(due) => tokio::time::timeout_at(due, next).await.unwrap_or(Some(true)),
                None => next.await,
            };
            if let Some(more) = heard {
                return more;
            }
            if self.unwritten() >= journal::FULL && self.db.is_some() {
                return true;
            }
            self.due = self.due.or_else(|| Instant::now().checked_add(SEGMENT_AGE));
        }
    }

    /// Writes a batch, and the journal on its way.
    async fn serve(&mut self, batch: &mut Vec<Change>, closing: &mut Vec<Reply<()>>) {
        self.down = None;
        self.top_up();
        // Before anything is taken from `pending`: connecting settles what of it is written.
        let connected = self.connect().await.is_ok();
        let sorted = Sorted::of(batch);
        for mut work in sorted.appends {
            work.journal.extend(self.pending.drain(..));
            self.append(work).await;
        }
        if connected && !self.pending.is_empty() && self.db.is_some() {
            let journal = self.pending.drain(..).collect();
            self.append(Work { journal, ..Work::default() }).await;
        }
        for revoke in sorted.revokes {
            let raised = self.raise(&Raise::Revocation(&revoke), &revoke.event).await;
            answer(revoke.reply, raised.and_then(Configured::revision));
        }
        for change in sorted.configures {
            let Configure { puts, checked_at, event, reply } = change;
            let raise = Raise::Documents { puts: &puts, checked_at };
            answer(reply, self.raise(&raise, &event).await);
        }
        for (until, reply) in sorted.sweeps {
            answer(reply, self.sweep(until).await);
        }
        for (new, reply) in sorted.checkpoints {
            answer(reply, self.checkpoint(&new).await);
        }
        for (subject, reply) in sorted.erasures {
            answer(reply, self.erase(&subject).await);
        }
        for (revision, reply) in sorted.raises {
            answer(reply, self.raise_to(revision).await);
        }
        for reply in sorted.flushes {
            answer(reply, self.flush().await);
        }
        closing.extend(sorted.closing);
        self.inbox.journal.moves(self.db.is_some());
        let again = match self.db {
            None => RETRY_AFTER,
            // Who waits for room does not wake us again.
            Some(_) if self.unwritten() >= journal::FULL => Duration::ZERO,
            Some(_) => SEGMENT_AGE,
        };
        self.due = Instant::now().checked_add(again).filter(|_| self.unwritten() > 0);
    }

    /// Commits one work. What the database refuses is parted, until only the guilty one is refused.
    async fn append(&mut self, work: Work) {
        let mut todo = vec![work];
        while let Some(mut work) = todo.pop() {
            if work.has_effects() && !work.sifted {
                todo.extend(Some(work.sift(None)).filter(|later| later.len() > 0));
            }
            match self.attempt(&work).await {
                Ok(Attempt::Done) => work.done(None),
                Ok(Attempt::Moved(now)) => work.done(Some(&now)),
                Ok(Attempt::InTheWay(found)) => todo.extend(self.make_way(work, &found).await),
                Err(Failure::Refused(error)) => {
                    let stands = self.resync().await;
                    if let Stands::Elsewhere { written } = stands {
                        work.journal.drain(..written.min(work.journal.len()));
                    }
                    // Another instance may have been faster with what may happen once.
                    let again = stands != Stands::Here || work.has_effects();
                    work.tries = work.tries.saturating_add(usize::from(again));
                    if again && work.tries <= TRIES_MAX {
                        todo.push(work);
                    } else if work.len() > 1 {
                        todo.extend(work.part());
                    } else {
                        tracing::error!(%error, "refused one change");
                        let lost = work.fail(&error);
                        self.inbox.journal.lose(lost.len());
                    }
                }
                // The oldest stay the oldest: of those it may turn out that they are written.
                Err(Failure::Down(error) | Failure::Lost(error)) => {
                    for event in work.fail(&error).into_iter().rev() {
                        self.pending.push_front(event);
                    }
                }
            }
        }
    }

    /// Commits one work, or as much of it as the revision lets.
    async fn attempt(&mut self, work: &Work) -> Result<Attempt, Failure> {
        self.connect().await.map_err(Failure::Down)?;
        let drafted = work.draft(Draft::new(self.chain.clone(), &mut self.sealer)).await;
        let (sent, free) = drafted.map_err(|error| {
            self.sealer.settle(false);
            Failure::Refused(error)
        })?;
        let whole = sent.chain.clone();
        let events = work.journal.len();
        if work.has_effects() {
            let done = self.commit_with_effects(sent, work.revision()).await;
            let (written, found) = self.or_doubt(done, [&whole], events)?;
            if !written {
                return Ok(Attempt::InTheWay(found));
            }
            self.stands(whole);
            return Ok(Attempt::Done);
        }
        let place = (work.revision(), free.seq().saturating_add(1));
        let done = self.commit(&twin::APPEND, sent, place).await;
        let held = self.or_doubt(done, [&free, &whole], events)?;
        let moved = !held && !work.mints.is_empty();
        self.stands(if moved { free } else { whole });
        if !moved {
            return Ok(Attempt::Done);
        }
        let now = self.head().await;
        Ok(Attempt::Moved(now.and_then(|row| Head::try_from(row).map(|head| head.revision))))
    }

    /// Raises the revision for a revocation or a configuration change: reads it, and commits if it
    /// still stands. Another instance may be faster; then again.
    async fn raise(&mut self, what: &Raise<'_>, event: &Event) -> Result<Configured, Error> {
        let mut resyncs = 0_usize;
        for _ in 0..BUMPS_MAX {
            self.connect().await?;
            // The number first: documents read afterwards are at least as new.
            let HeadRow { revision, configured } = self.head().await?;
            if what.is_overtaken(configured) {
                return Ok(Configured::Moved);
            }
            let mut event = event.clone();
            event.revision = count(revision.saturating_add(1)).unwrap_or(0);
            let done = Configured::Done { revision: event.revision };
            let documents = match what {
                Raise::Revocation(_) => Vec::new(),
                Raise::Documents { puts, .. } => match self.documents(puts, event.at).await? {
                    Ok(documents) => documents,
                    Err(conflict) => return Ok(conflict),
                },
            };
            let draft = Draft::new(self.chain.clone(), &mut self.sealer);
            let sent = drafted(draft, what, documents, &event).inspect_err(|_| {
                self.sealer.settle(false);
            })?;
            let whole = sent.chain.clone();
            match self.commit(&twin::BUMP, sent, (revision, i64::MAX)).await {
                Ok(true) => {
                    self.stands(whole);
                    return Ok(done);
                }
                Ok(false) => {}
                Err(Failure::Refused(error)) => {
                    resyncs = resyncs.saturating_add(1);
                    let stands = self.resync().await;
                    if let Stands::Elsewhere { written } = stands {
                        self.pending.drain(..written.min(self.pending.len()));
                    }
                    if stands == Stands::Here || resyncs > TRIES_MAX {
                        return Err(error);
                    }
                }
                Err(Failure::Down(error) | Failure::Lost(error)) => return Err(error),
            }
        }
        Err(Error::Busy)
    }

    /// The rows of a configuration change, or the document that is not what was expected.
    async fn documents<'a>(
        &mut self,
        puts: &'a [Put],
        at: Timestamp,
    ) -> Result<Result<Vec<DocumentRow<'a>>, Configured>, Error> {
        let mut rows: Vec<DocumentRow<'a>> = Vec::with_capacity(puts.len());
        for put in puts {
            let db = self.db.as_mut().ok_or(Error::Closed)?;
            let stored = in_time(COMMIT_MAX, db.version(&put.kind, &put.id)).await;
            let stored = stored.map_err(|error| self.broken(error))?.and_then(count);
            let twice = rows.iter().find(|row| row.kind == put.kind && row.id == put.id);
            let current = twice.map_or(stored, |row| count(row.version));
            if twice.is_some() || current != put.expected {
                let (kind, id) = (put.kind.clone(), put.id.clone());
                return Ok(Err(Configured::Conflict { kind, id, current }));
            }
            let version = number(current.unwrap_or(0).saturating_add(1));
            let Put { kind, id, body, .. } = put;
            rows.push(DocumentRow { kind, id, version, at: at.epoch_s(), body });
        }
        Ok(Ok(rows))
    }

    /// Writes every event that was journalled before now.
    async fn flush(&mut self) -> Result<(), Error> {
        let mut left = self.unwritten();
        while left > 0 {
            self.connect().await?;
            self.top_up();
            let journal: Vec<Event> = self.pending.drain(..).collect();
            left = left.saturating_sub(journal.len());
            self.append(Work { journal, ..Work::default() }).await;
        }
        match &self.down {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn top_up(&mut self) {
        let room = JOURNAL_BATCH.saturating_sub(self.pending.len());
        self.inbox.journal.take(room, &mut self.pending);
    }

    /// How many journalled events wait, here and in the queue.
    fn unwritten(&self) -> usize {
        self.pending.len().saturating_add(self.inbox.journal.len())
    }
}

fn drafted<'a>(
    mut draft: Draft<'_, 'a>,
    what: &Raise<'a>,
    documents: Vec<DocumentRow<'a>>,
    event: &Event,
) -> Result<Sent<'a>, Error> {
    if let Raise::Revocation(revoke) = what {
        draft.revocation(RevocationRow::of(&revoke.target, revoke.bar.as_ref(), revoke.at));
    }
    for document in documents {
        draft.document(document);
    }
    draft.events(std::iter::once(event), true)?;
    Ok(draft.finish())
}
