//! The one writer: a bounded queue, and a task that takes everything that waits and commits it
//! once. Never SQL, and never an answer before the commit it speaks of.

mod doubt;
mod journal;
mod task;
mod work;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    base::{
        id::{ClientId, DecisionId, WriterId},
        time::Timestamp,
    },
    model::{
        checkpoint::Place,
        delegation::{Delegation, Receipt},
        effect::{Conflict, Effects},
        event::{Committed, Event},
        revocation::{Bar, Target},
        subject::Subject,
    },
};

use self::journal::Journal;
use super::{Options, connect::Address, error::Error};

/// How long an operator's change waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// The handle to the writer. Every change has its event, or is housekeeping.
pub struct Writer {
    changes: mpsc::Sender<Change>,
    journal: Arc<Journal>,
    /// How often somebody was erased since the start.
    erased: Arc<AtomicU64>,
}

/// What became of a delegation.
#[derive(Debug, PartialEq, Eq)]
pub enum Delegated {
    /// It is recorded, with its event.
    Recorded(Receipt),
    /// Something was revoked or configured since it was judged; nothing was recorded.
    Moved {
        /// The revision to judge it at again, at least.
        revision: u64,
    },
    /// What it would use up is used up; nothing was recorded.
    Refused(Conflict),
}

/// What became of a decision.
#[derive(Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is recorded, with all that it uses up, or was recorded before: see
    /// [`Committed::repeats`].
    Recorded(Committed),
    /// What it would use up is used up; nothing was recorded.
    Refused(Conflict),
}

/// What became of a configuration change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// All of it is in force.
    Done {
        /// The revision that it made.
        revision: u64,
    },
    /// A document is not what was expected; nothing was changed.
    Conflict {
        /// The document's kind.
        kind: String,
        /// The document's id.
        id: String,
        /// Its version; `None` if it does not exist.
        current: Option<u64>,
    },
    /// Something was configured since the change was checked; nothing was changed.
    Moved,
}

/// One document to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its kind.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The version that it replaces; `None` creates it.
    pub expected: Option<u64>,
    /// Its JSON text.
    pub body: String,
}

/// A checkpoint of the audit log, signed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCheckpoint {
    /// Its number.
    pub n: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// Itself.
    pub jws: String,
    /// The links that it covers.
    pub heads: Vec<Place>,
    /// Where chains begin from now on, as it says.
    pub bases: Vec<Place>,
    /// Chains that have no link any more, of which it says nothing.
    pub gone: Vec<Arc<str>>,
    /// The first checkpoint that is kept from now on, where it says so.
    pub begins: Option<u64>,
    /// Which key signed it.
    pub kid: String,
    /// The key's public half.
    pub jwk: String,
    /// What shows that the key was ours.
    pub tag: String,
}

/// What an erasure destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Keys: without them nothing leads from a record to the person.
    pub keys: u64,
    /// Rows of delegations.
    pub delegations: u64,
    /// Whether there is probably more: call again.
    pub more: bool,
}

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Delegations.
    pub delegations: u64,
    /// Revocations.
    pub revocations: u64,
    /// Versions of documents.
    pub versions: u64,
    /// Rows that remember what happened once, and budgets.
    pub effects: u64,
    /// Links of the audit log, with all that stands beside them.
    pub links: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Keys of subjects.
    pub keys: u64,
    /// Whether there is probably more: call again.
    pub more: bool,
}

/// Until when rows must have ended to be swept.
#[derive(Clone, Copy, Debug)]
pub(super) struct SweepUntil {
    pub delegations: Timestamp,
    pub revocations: Timestamp,
    pub versions: Timestamp,
    pub effects: Timestamp,
    /// `None` where the audit log is kept for ever.
    pub log: Option<LogUntil>,
}

/// The same for the audit log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogUntil {
    /// Since when a chain must begin later, for the links before that to go.
    pub shortened: Timestamp,
    /// When a subject's key must have been drawn.
    pub keys: Timestamp,
}

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// One thing to write. None that decides anything can be built without its event.
enum Change {
    Delegate(Box<Mint>),
    Decide(Box<Decide>),
    Revoke(Box<Revoke>),
    Configure(Box<Configure>),
    Sweep { until: SweepUntil, reply: Reply<Swept> },
    Checkpoint { new: Box<NewCheckpoint>, reply: Reply<bool> },
    RaiseTo { revision: u64, reply: Reply<()> },
    Erase { subject: Subject, reply: Reply<Erased> },
    Flush { reply: Reply<()> },
    Close { reply: Reply<()> },
}

struct Mint {
    delegation: Delegation,
    event: Event,
    effects: Effects,
    reply: Reply<Delegated>,
}

struct Decide {
    /// `None` for what is recorded elsewhere, or was recorded before.
    event: Option<Event>,
    effects: Effects,
    /// The decision that it turned out to repeat.
    repeats: Option<DecisionId>,
    reply: Reply<Decided>,
}

struct Revoke {
    target: Target,
    bar: Option<Bar>,
    at: Timestamp,
    event: Event,
    reply: Reply<u64>,
}

struct Configure {
    puts: Vec<Put>,
    /// The revision that the documents were checked against all others at.
    checked_at: Option<u64>,
    event: Event,
    reply: Reply<Configured>,
}

/// Connects, registers this run and starts the task.
pub(super) async fn start(
    address: Address,
    options: &Options,
    id: WriterId,
) -> Result<Writer, Error> {
    let (changes, changes_in) = mpsc::channel(options.changes_max.max(1));
    let journal = Arc::new(Journal::new(options.journal_max.max(1)));
    let erased = Arc::new(AtomicU64::new(0));
    let inbox = task::Inbox {
        changes: changes_in,
        journal: Arc::clone(&journal),
        erased: Arc::clone(&erased),
    };
    let task = task::Task::begin(address, options, id, inbox).await?;
    tokio::spawn(task.run());
    Ok(Writer { changes, journal, erased })
}

impl Writer {
    /// Records a delegation, its event and what it uses up, if nothing was revoked or configured
    /// since the revision in its claims and everything can be had. Durable when this returns
    /// [`Delegated::Recorded`]; otherwise nothing of it was done.
    pub async fn delegate(
        &self,
        delegation: Delegation,
        event: Event,
        effects: Effects,
    ) -> Result<Delegated, Error> {
        bounded(&effects)?;
        let mint = |reply| Change::Delegate(Box::new(Mint { delegation, event, effects, reply }));
        self.ask(mint).await
    }

    /// Records a decision that must be durable before its answer, and what it uses up, all or none.
    pub async fn decide(&self, event: Event, effects: Effects) -> Result<Decided, Error> {
        self.settle(Some(event), effects).await
    }

    /// Uses something up for a request that is not itself recorded here, such as the assertion by
    /// which a client authenticates to ask whether a token is live. Durable when this returns
    /// [`Decided::Recorded`].
    pub async fn use_up(&self, effects: Effects) -> Result<Decided, Error> {
        self.settle(None, effects).await
    }

    async fn settle(&self, event: Option<Event>, effects: Effects) -> Result<Decided, Error> {
        bounded(&effects)?;
        let decide =
            |reply| Change::Decide(Box::new(Decide { event, effects, repeats: None, reply }));
        self.ask(decide).await
    }

    /// Revokes. Returns the revocation's number, which is also the revision its event names: what
    /// was judged at a smaller one is ended.
    pub async fn revoke(
        &self,
        target: Target,
        bar: Option<Bar>,
        at: Timestamp,
        event: Event,
    ) -> Result<u64, Error> {
        let revoke = |reply| Change::Revoke(Box::new(Revoke { target, bar, at, event, reply }));
        self.ask_patiently(revoke).await
    }

    /// Writes documents, all or none. Its event names the revision that it makes.
    pub async fn configure(&self, puts: Vec<Put>, event: Event) -> Result<Configured, Error> {
        self.ask_to_configure(puts, None, event).await
    }

    /// The same for documents that were checked against all others at the revision that the event
    /// names: two processes cannot both find a name free.
    pub async fn configure_checked(
        &self,
        puts: Vec<Put>,
        event: Event,
    ) -> Result<Configured, Error> {
        self.ask_to_configure(puts, Some(event.revision), event).await
    }

    async fn ask_to_configure(
        &self,
        puts: Vec<Put>,
        checked_at: Option<u64>,
        event: Event,
    ) -> Result<Configured, Error> {
        let change =
            |reply| Change::Configure(Box::new(Configure { puts, checked_at, event, reply }));
        self.ask_patiently(change).await
    }

    /// Takes an event that need not be durable before its answer; it is written within about
    /// 50 ms. Never waits; whether there was room. What finds none is lost, and counted.
    pub fn journal(&self, event: Event) -> bool {
        self.journal.push(event)
    }

    /// Whether this client asks faster than can be written down, and should wait for [`Self::room`].
    pub fn is_crowded_for(&self, client: &ClientId) -> bool {
        self.journal.is_crowded_for(client)
    }

    /// Returns when there is room for the next journalled events of a client, or half a second later.
    pub async fn room(&self, client: &ClientId) {
        self.journal.room(client).await;
    }

    /// Journalled events that were lost since the start.
    pub fn lost(&self) -> u64 {
        self.journal.lost()
    }

    /// Returns when every event journalled before is written.
    pub async fn flush(&self) -> Result<(), Error> {
        self.ask(|reply| Change::Flush { reply }).await
    }

    /// Forgets which key is whose: somebody was erased, here or by another instance. What is written
    /// from now on is written under new keys.
    pub fn forget_persons(&self) {
        self.erased.fetch_add(1, Ordering::AcqRel);
    }

    /// Destroys the keys of a subject, and the rows of its delegations, a bounded amount per call.
    pub async fn erase(&self, subject: Subject) -> Result<Erased, Error> {
        self.ask_patiently(|reply| Change::Erase { subject, reply }).await
    }

    /// Raises the revision to at least this, for a database that has lost the changes up to it.
    pub async fn raise_to(&self, revision: u64) -> Result<(), Error> {
        self.ask(|reply| Change::RaiseTo { revision, reply }).await
    }

    /// Keeps a checkpoint; false if another instance was faster, and nothing was kept.
    pub async fn checkpoint(&self, new: NewCheckpoint) -> Result<bool, Error> {
        self.ask(|reply| Change::Checkpoint { new: Box::new(new), reply }).await
    }

    pub(super) async fn sweep(&self, until: SweepUntil) -> Result<Swept, Error> {
        self.ask(|reply| Change::Sweep { until, reply }).await
    }

    pub(super) async fn close(&self) -> Result<(), Error> {
        match self.ask(|reply| Change::Close { reply }).await {
            Err(Error::Closed) => Ok(()),
            written => written,
        }
    }

    /// The same for an operator's change, which waits for its turn where others are told to come
    /// again: what is flooding is what has to be revoked.
    async fn ask_patiently<T>(&self, change: impl FnOnce(Reply<T>) -> Change) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let sent = self.changes.send_timeout(change(reply), PATIENCE).await;
        sent.map_err(|refused| match refused {
            mpsc::error::SendTimeoutError::Timeout(_) => Error::Busy,
            mpsc::error::SendTimeoutError::Closed(_) => Error::Closed,
        })?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    async fn ask<T>(&self, change: impl FnOnce(Reply<T>) -> Change) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.changes.try_send(change(reply)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        // The task answers every change; it drops one only when it ends.
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

impl Configured {
    /// The revision that was made. A revocation never conflicts; if it did, it was not made.
    fn revision(self) -> Result<u64, Error> {
        match self {
            Configured::Done { revision } => Ok(revision),
            Configured::Conflict { .. } | Configured::Moved => Err(Error::Busy),
        }
    }
}

/// No request of ours has more effects; a bug must not make a batch without end.
fn bounded(effects: &Effects) -> Result<(), Error> {
    if effects.len() <= Effects::MAX { Ok(()) } else { Err(Error::TooManyEffects) }
}

/// Answers somebody who may have stopped waiting; the change stands all the same.
fn answer<T>(reply: Reply<T>, result: Result<T, Error>) {
    drop(reply.send(result));
}
