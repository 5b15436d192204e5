//! Following the database: what one instance asks to keep its snapshot true, on connections of its
//! own, so that neither a person's long list nor a full pool comes between. After a failure nothing
//! is assumed: the connection is dropped, and the next question connects anew.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    connect::{Address, Connection, in_time},
    error::Error,
    rows::{Document, Head, InstanceRow, NewsRow, Revocations, number},
    twin::APPLIED,
};
use crate::{
    base::{id::WriterId, time::Timestamp},
    model::{lease::Standing, revocation::Revocation},
};

/// How long the renewal of a lease may take: longer than that, and little of it is left.
const RENEW_MAX: Duration = Duration::from_millis(500);
/// How long reading what changed may take.
const READ_MAX: Duration = Duration::from_secs(5);

/// A connection that is kept from one question to the next.
pub(super) struct Line {
    address: Address,
    kept: Mutex<Kept>,
}

/// What is kept of a line between two turns.
enum Kept {
    /// The connection, unless the last turn dropped it.
    Open(Option<Connection>),
    /// Nothing any more.
    Closed,
}

impl Line {
    /// One that connects when it is first used.
    pub fn new(address: Address) -> Line {
        Line { address, kept: Mutex::new(Kept::Open(None)) }
    }

    /// Waits for its turn, and connects if need be.
    pub async fn open(&self) -> Result<Follow<'_>, Error> {
        let mut kept = self.kept.lock().await;
        let db = match &mut *kept {
            Kept::Open(db) => db.take(),
            Kept::Closed => return Err(Error::Closed),
        };
        let db = match db {
            Some(db) => db,
            None => self.address.follow().await?,
        };
        Ok(Follow { db, kept })
    }

    /// Says good-bye; nobody asks anything afterwards.
    pub async fn close(&self) {
        let kept = std::mem::replace(&mut *self.kept.lock().await, Kept::Closed);
        if let Kept::Open(Some(db)) = kept {
            // Nothing is in flight; a connection that cannot say good-bye changes nothing.
            _ = in_time(RENEW_MAX, db.close()).await;
        }
    }
}

/// The questions of one turn. Dropped without [`Follow::keep`], its connection is dropped with it:
/// nobody knows what is still on its way there.
pub struct Follow<'a> {
    db: Connection,
    kept: MutexGuard<'a, Kept>,
}

impl Follow<'_> {
    /// Every question had its answer: the connection is good for the next turn.
    pub fn keep(mut self) {
        *self.kept = Kept::Open(Some(self.db));
    }

    /// The revision. What is read afterwards is never older than it says.
    pub async fn head(&mut self) -> Result<Head, Error> {
        in_time(RENEW_MAX, self.db.head()).await?.try_into()
    }

    /// Renews the lease of an instance that has taken in everything up to `standing.applied`. How
    /// far the database was when it looked; `None` if the instance is not registered.
    pub async fn renew(&mut self, standing: &Standing) -> Result<Option<Head>, Error> {
        let Standing { writer, turn, applied } = standing;
        let (writer, turn, applied) = (writer.to_string(), number(*turn), number(*applied));
        let row = in_time(RENEW_MAX, self.db.renew(&writer, turn, applied)).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Says that an instance has taken in everything up to a revision, to whoever waits for that. It
    /// renews no lease.
    pub async fn tell(&mut self, writer: WriterId, applied: u64) -> Result<(), Error> {
        Ok(in_time(RENEW_MAX, self.db.tell(&writer.to_string(), number(applied))).await?)
    }

    /// Registers an instance at a turn. Committed when it returns: whoever is not in the table is
    /// not waited for.
    pub async fn enter(&mut self, standing: &Standing, at: Timestamp) -> Result<(), Error> {
        let (writer, turn) = (standing.writer.to_string(), number(standing.turn));
        Ok(in_time(RENEW_MAX, self.db.enter(&writer, turn, at)).await?)
    }

    /// Every registered instance.
    pub async fn instances(&mut self) -> Result<Vec<Standing>, Error> {
        let rows = in_time(RENEW_MAX, self.db.instances()).await?;
        rows.into_iter().map(InstanceRow::standing).collect()
    }

    /// Forgets an instance, unless it moved on from that turn.
    pub async fn lapse(&mut self, standing: &Standing) -> Result<(), Error> {
        let (writer, turn) = (standing.writer.to_string(), number(standing.turn));
        Ok(in_time(RENEW_MAX, self.db.lapse(&writer, turn)).await?)
    }

    /// Forgets an instance, which holds no lease any more.
    pub async fn leave(&mut self, writer: WriterId) -> Result<(), Error> {
        Ok(in_time(RENEW_MAX, self.db.leave(&writer.to_string())).await?)
    }

    /// The whole registry, in order of kind and id.
    pub async fn documents(&mut self) -> Result<Vec<Document>, Error> {
        let rows = in_time(READ_MAX, self.db.documents()).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How far the database is, and every kept revocation with a greater number, in order of
    /// number: at least all that the first answer counts.
    pub async fn news(&mut self, revision: u64) -> Result<(Head, Vec<Revocation>), Error> {
        let mut all = Revocations::after(revision);
        let rows = in_time(READ_MAX, self.db.news(number(revision), Revocations::PAGE)).await?;
        let nothing = Error::Corrupt { table: "head", what: "it has no row" };
        let head = rows.first().ok_or(nothing)?.head().try_into()?;
        all.take(rows.into_iter().filter_map(NewsRow::revocation).collect())?;
        while let Some(after) = all.next() {
            let rows = self.db.revocations(after, Revocations::PAGE);
            all.take(in_time(READ_MAX, rows).await?)?;
        }
        Ok((head, all.done()))
    }
}

/// An ear on the database.
pub struct Listener(PgListener);

/// What was heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// Somebody raised the revision, or it is not known whether somebody did.
    pub changed: bool,
    /// An instance has taken in what somebody changed.
    pub applied: bool,
}

impl Heard {
    fn also(self, channel: &str) -> Heard {
        match channel {
            APPLIED => Heard { applied: true, ..self },
            _ => Heard { changed: true, ..self },
        }
    }
}

impl Listener {
    /// Listens.
    pub(super) async fn on(address: &Address) -> Result<Option<Listener>, Error> {
        Ok(address.listen().await?.map(Listener))
    }

    /// Returns when there is something to hear. An error ends this listener; what happens until there
    /// is another is not heard.
    pub async fn heard(&mut self) -> Result<Heard, Error> {
        let mut heard = match self.0.try_recv().await? {
            Some(told) => Heard::default().also(told.channel()),
            None => Heard { changed: true, applied: true },
        };
        while let Some(told) = self.0.next_buffered() {
            heard = heard.also(told.channel());
        }
        Ok(heard)
    }
}
