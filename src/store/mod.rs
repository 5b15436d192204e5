//! L3. Everything that lasts: one database, SQLite or PostgreSQL, behind one set of verbs.
//!
//! Reads go through a small pool, all writes through the one [`Writer`]. SQL lives nowhere else,
//! and nothing here decides who may do what: it keeps, in the order of one number, what others
//! decided. Differences between the engines stand in `twin` and `connect`.

mod chain;
mod commit;
mod connect;
mod effects;
mod error;
mod events;
mod follow;
mod pack;
mod persons;
mod proof;
mod record;
mod rows;
pub mod sql;
mod step;
pub mod twin;
mod walk;
mod writer;

use std::{
    fmt,
    fs::File,
    sync::{Arc, Mutex},
};

use self::{
    connect::{Address, DelegationQuery, Pool},
    follow::Line,
    rows::{Revocations, count, number},
    writer::{LogUntil, SweepUntil},
};
pub use self::{
    error::Error,
    events::{EventFilter, StoredEvent},
    follow::{Follow, Listener},
    proof::{Broken, BrokenPlace, ChainReport, Proof, Why},
    rows::{Document, DocumentVersion, Head, StoredDelegation},
    step::{Link, Step},
    walk::Walk,
    writer::{Configured, Decided, Delegated, Erased, NewCheckpoint, Put, Swept, Writer},
};
use crate::{
    base::{
        id::{ClientId, DecisionId, DelegationId, TransactionId, WriterId},
        random::Random,
        secret::Fingerprint,
        time::{Seconds, Timestamp},
    },
    model::{
        checkpoint::{PLACES_MAX, Place},
        revocation::Revocation,
        subject::Subject,
    },
};

/// Revocations are kept at least this long after they were made: the longest life of a token of
/// ours (900 s) and an hour for clocks that differ.
const REVOCATIONS_KEPT_MIN: Seconds = Seconds::new(4_500);

/// How much later than it expired an effect is forgotten: an instance whose clock is slow may still
/// accept what another, whose clock is fast, would sweep.
const CLOCKS_DIFFER: Seconds = Seconds::new(300);

/// How long links are still there that a chain no longer begins with: longer than anybody takes to
/// read the log who began before.
const SHORTENED_FOR: Seconds = Seconds::new(3_600);

/// The kinds of document of which every version is kept, so that what was decided under it can be
/// judged again. Only these: a sealed key or the hash of a secret must not outlive its replacement,
/// and no decision rests on one. A kind that is added here begins its history with its next change,
/// unless a migration begins it.
pub const KINDS_WITH_HISTORY: [&str; 6] =
    ["client", "resource", "tool", "issuer", "edge", "policy_set"];

/// The database.
pub struct Store {
    address: Address,
    pool: Pool,
    state: Line,
    others: Line,
    writer: Writer,
    claim: Mutex<Option<File>>,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The wall time now: when this run of the writer began.
    pub started_at: Timestamp,
    /// Where the keys of subjects come from.
    pub random: Arc<Random>,
    /// Changes that may wait; one more is refused with [`Error::Busy`].
    pub changes_max: usize,
    /// Journalled events that may wait; one more is lost and counted.
    pub journal_max: usize,
}

/// What is kept for how long.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Delegations after they expired.
    pub delegations: Seconds,
    /// Revocations after they were made: the longest accepted age of a foreign token. Never less
    /// than an hour and a quarter.
    pub revocations: Seconds,
    /// Versions of documents after they were replaced.
    pub versions: Seconds,
    /// The audit log; `None` for ever.
    pub log: Option<Seconds>,
}

/// Which delegations are listed; `None` means any.
#[derive(Clone, Debug, Default)]
pub struct DelegationFilter {
    /// Of this transaction.
    pub txn: Option<TransactionId>,
    /// For this subject.
    pub subject: Option<Subject>,
    /// Held by this client.
    pub holder: Option<ClientId>,
    /// Grown directly from this one.
    pub parent: Option<DelegationId>,
    /// Not expired at this moment. Whether they were revoked is not looked at.
    pub live_at: Option<Timestamp>,
}

/// One page of a list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Behind this place; `None` for the first page.
    pub after: Option<Cursor>,
    /// How many, at most [`Page::LIMIT_MAX`].
    pub limit: u16,
}

/// A place in a list, newest first. Stays good while rows come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: i64,
    id: String,
    seq: i64,
    n: i64,
}

/// What a page holds, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    /// The page; it may be short, even empty, while `next` is there: a call reads a bounded amount.
    pub items: Vec<T>,
    /// Behind which place the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Options {
    /// The most changes that wait: four batches, some milliseconds each.
    pub const CHANGES_MAX: usize = 1_024;
    /// The most journalled events that wait: at 1 KiB each, 16 MiB, half of it for one client.
    pub const JOURNAL_MAX: usize = 16_384;

    /// The usual bounds.
    pub fn new(started_at: Timestamp, random: Arc<Random>) -> Options {
        let (changes_max, journal_max) = (Self::CHANGES_MAX, Self::JOURNAL_MAX);
        Options { started_at, random, changes_max, journal_max }
    }
}

impl Page {
    /// The most items of one page.
    pub const LIMIT_MAX: u16 = 500;

    fn limit(&self) -> usize {
        usize::from(self.limit.clamp(1, Self::LIMIT_MAX))
    }

    fn before(&self) -> Cursor {
        let newest = Cursor { at: i64::MAX, id: String::new(), seq: 0, n: 0 };
        self.after.clone().unwrap_or(newest)
    }
}

impl Cursor {
    /// Reads a cursor as it was printed.
    pub fn parse(text: &str) -> Option<Cursor> {
        let mut parts = text.splitn(4, '.');
        let mut number = || parts.next()?.parse::<i64>().ok().filter(|n| *n >= 0);
        let (at, seq, n) = (number()?, number()?, number()?);
        let id = parts.next()?;
        let ok = id.len() <= 64 && id.bytes().all(|b| b.is_ascii_graphic());
        ok.then(|| Cursor { at, id: id.to_owned(), seq, n })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.at, self.seq, self.n, self.id)
    }
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH`, made if missing, or `postgres://…`), brings the
    /// schema up to date and starts the writer. `writer` names this run in the audit log and must
    /// be new.
    pub async fn open(url: &str, options: &Options, writer: WriterId) -> Result<Store, Error> {
        let address = Address::parse(url)?;
        address.migrate().await?;
        let pool = address.pool();
        let (state, others) = (Line::new(address.clone()), Line::new(address.clone()));
        let writer = writer::start(address.clone(), options, writer).await?;
        Ok(Store { address, pool, state, others, writer, claim: Mutex::default() })
    }

    /// Whether other instances may serve the same database: PostgreSQL, yes; SQLite, no.
    pub const fn is_shared(&self) -> bool {
        self.address.is_shared()
    }

    /// Makes sure that nobody else serves an SQLite file, until the store is closed or the process
    /// ends. Refused with [`Error::Served`].
    pub async fn claim(&self) -> Result<(), Error> {
        let file = self.address.claim().await?;
        if let Ok(mut claim) = self.claim.lock() {
            *claim = file;
        }
        Ok(())
    }

    /// The connection by which the snapshot follows the database; one turn at a time.
    pub async fn follow(&self) -> Result<Follow<'_>, Error> {
        self.state.open().await
    }

    /// A second one, to see how far the other instances are while the first has a long turn.
    pub async fn watch(&self) -> Result<Follow<'_>, Error> {
        self.others.open().await
    }

    /// An ear on what other instances commit; `None` on SQLite.
    pub async fn listen(&self) -> Result<Option<Listener>, Error> {
        Listener::on(&self.address).await
    }

    /// Only brings the schema up to date.
    pub async fn migrate(url: &str) -> Result<(), Error> {
        Address::parse(url)?.migrate().await
    }

    /// The names of the migrations that the database still wants, in order. Changes nothing; refuses
    /// a schema that this program does not know with [`Error::Newer`].
    pub async fn pending(url: &str) -> Result<Vec<String>, Error> {
        Address::parse(url)?.pending().await
    }

    /// The revision. Whoever loads more reads this first: what is loaded afterwards is then never
    /// older than the number says.
    pub async fn head(&self) -> Result<Head, Error> {
        self.pool.head().await?.try_into()
    }

    /// The whole registry, in order of kind and id.
    pub async fn documents(&self) -> Result<Vec<Document>, Error> {
        self.pool.documents().await?.into_iter().map(TryInto::try_into).collect()
    }

    /// The documents of [`KINDS_WITH_HISTORY`] as they stood at a revision, in order of kind and id;
    /// `None` if the history does not reach back so far.
    pub async fn documents_at(&self, revision: u64) -> Result<Option<Vec<Document>>, Error> {
        let revision = number(revision);
        let rows = self.pool.documents_at(revision).await?;
        // Asked afterwards, so that what a sweep took meanwhile is noticed.
        if self.pool.documents_lost_at(revision).await? > 0 {
            return Ok(None);
        }
        rows.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>().map(Some)
    }

    /// The kept versions of one document before a version, newest first.
    pub async fn versions(
        &self,
        (kind, id): (&str, &str),
        before: u64,
        limit: usize,
    ) -> Result<Vec<DocumentVersion>, Error> {
        let rows = self.pool.versions((kind, id), number(before), number(limit)).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Every kept revocation with a greater number, in order of number.
    pub async fn revocations_after(&self, revision: u64) -> Result<Vec<Revocation>, Error> {
        let mut all = Revocations::after(revision);
        while let Some(after) = all.next() {
            all.take(self.pool.revocations(after, Revocations::PAGE).await?)?;
        }
        Ok(all.done())
    }

    /// One delegation.
    pub async fn delegation(&self, id: DelegationId) -> Result<Option<StoredDelegation>, Error> {
        let row = self.pool.delegation(&id.to_string()).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Delegations, newest first.
    pub async fn delegations(
        &self,
        filter: &DelegationFilter,
        page: &Page,
    ) -> Result<Listing<StoredDelegation>, Error> {
        let before = page.before();
        let query = DelegationQuery {
            before: (before.at, &before.id),
            holder: filter.holder.as_ref().map(ClientId::as_str),
            parent: filter.parent.map(|id| id.to_string()),
            // Live means now < expires_at.
            live_at: filter.live_at.map_or(-1, Timestamp::epoch_s),
            txn: filter.txn.map(|id| id.to_string()),
            subject: filter.subject.as_ref().map(|s| (&*s.issuer, &*s.sub)),
            limit: number(page.limit()),
        };
        let rows = self.pool.delegations(&query).await?;
        let items: Vec<StoredDelegation> =
            rows.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>()?;
        let full = items.len() == page.limit();
        let next = items.last().filter(|_| full).map(|last| Cursor {
            at: last.issued_at.epoch_s(),
            id: last.id.to_string(),
            seq: 0,
            n: 0,
        });
        Ok(Listing { items, next })
    }

    /// Audit events, newest first. Reads a bounded amount per call: a page may be short although
    /// there is a next one.
    pub async fn events(
        &self,
        filter: &EventFilter,
        page: &Page,
    ) -> Result<Listing<StoredEvent>, Error> {
        events::list(&self.pool, filter, page).await
    }

    /// The event of one decision, if the log still has it. Reads a bounded amount.
    pub async fn decision(&self, id: DecisionId) -> Result<Option<StoredEvent>, Error> {
        events::of_decision(&self.pool, id).await
    }

    /// Deletes what need not be kept any longer, a bounded amount per call.
    pub async fn sweep(&self, now: Timestamp, keep: Keep) -> Result<Swept, Error> {
        let revocations = keep.revocations.max(REVOCATIONS_KEPT_MIN);
        let until = SweepUntil {
            delegations: now.minus(keep.delegations),
            revocations: now.minus(revocations),
            versions: now.minus(keep.versions),
            effects: now.minus(CLOCKS_DIFFER),
            log: keep.log.map(|keep| LogUntil {
                shortened: now.minus(SHORTENED_FOR),
                keys: now.minus(keep).minus(persons::SERVES),
            }),
        };
        self.writer.sweep(until).await
    }

    /// A walk through the audit log as it stands now, with the checkpoints that there are: one that
    /// comes meanwhile may be signed with a key that whoever walks does not know yet, if he asks for
    /// the keys after this.
    pub async fn walk(&self) -> Result<Walk<'_>, Error> {
        Walk::begin(&self.pool).await
    }

    /// The checkpoints after a number, in order, some at a time: each as it was signed.
    pub async fn checkpoints(&self, after: u64) -> Result<Vec<(u64, String)>, Error> {
        const AT_ONCE: i64 = 64;
        let page = self.pool.checkpoints(number(after), AT_ONCE).await?;
        Ok(page.into_iter().map(|(n, jws)| (count(n).unwrap_or(0), jws)).collect())
    }

    /// Whether the audit log has a link of this chain.
    pub async fn has_links(&self, writer: &str) -> Result<bool, Error> {
        self.pool.has_links(writer).await
    }

    /// The last checkpoint: its number, and itself as it was signed.
    pub async fn last_checkpoint(&self) -> Result<Option<(u64, String)>, Error> {
        let last = self.pool.last_checkpoint().await?;
        Ok(last.map(|(n, jws)| (count(n).unwrap_or(0), jws)))
    }

    /// When the last checkpoint was signed.
    pub async fn last_checkpoint_at(&self) -> Result<Option<Timestamp>, Error> {
        let at = self.pool.last_checkpoint_at().await?;
        Ok(at.and_then(Timestamp::from_epoch_s))
    }

    /// The last links of the chains that have grown since the last checkpoint, as many as the next
    /// one may name.
    pub async fn uncovered(&self) -> Result<Vec<Place>, Error> {
        let bad = Error::Corrupt { table: "journal", what: "a hash has 32 bytes" };
        let place = |(writer, seq, hash): (String, i64, Vec<u8>)| {
            let hash = <[u8; 32]>::try_from(hash).map_err(|_| bad.clone())?;
            let (writer, seq) = (writer.into(), count(seq).unwrap_or(0));
            Ok(Place { writer, seq, hash: Fingerprint::from_bytes(hash) })
        };
        let rows = self.pool.uncovered(number(PLACES_MAX)).await?;
        rows.into_iter().map(place).collect()
    }

    /// The keys that ever signed a checkpoint: `kid`, JWK, and what shows that it was ours.
    pub async fn checkpoint_keys(&self) -> Result<Vec<(String, String, String)>, Error> {
        self.pool.checkpoint_keys().await
    }

    /// How many keys a subject has in the audit log; of very many, a lower bound.
    pub async fn keys_of(&self, subject: &Subject) -> Result<u64, Error> {
        const MOST: i64 = 100_000;
        let keys = self.pool.subject_keys(&subject.issuer, &subject.sub, MOST).await?;
        Ok(count(number(keys.len())).unwrap_or(0))
    }

    /// The one that writes.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Closes, and writes what waits. Changes asked for later are refused.
    pub async fn close(&self) -> Result<(), Error> {
        self.state.close().await;
        self.others.close().await;
        self.pool.close().await;
        // Last: whoever leaves an SQLite file last, and may write, leaves everything in that one file.
        let written = self.writer.close().await;
        if let Ok(mut claim) = self.claim.lock() {
            *claim = None;
        }
        written
    }
}
