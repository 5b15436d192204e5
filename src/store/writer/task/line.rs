//! The connection that writes: made, asked whether it lives, given up at the first doubt; and where
//! the chain is seen to stand when it is made again. Never what is written over it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    super::super::{
        chain::Chain, commit::Sent, connect::in_time, error::Error, rows::HeadRow, twin,
    },
    COMMIT_MAX, Failure, Stands, Task,
};

/// How long a connection may be idle and is still trusted.
const IDLE: Duration = Duration::from_secs(1);
/// How long an idle one may take to say that it lives.
const PING_MAX: Duration = Duration::from_millis(300);

impl Task {
    pub(super) async fn commit(
        &mut self,
        twin: &twin::Twin,
        sent: Sent<'_>,
        place: (i64, i64),
    ) -> Result<bool, Failure> {
        let Some(db) = self.db.as_mut() else { return Err(Failure::Down(Error::Closed)) };
        let held = in_time(COMMIT_MAX, db.batch(twin, sent, place)).await;
        self.sealer.settle(held.as_ref().is_ok_and(|held| *held || !twin.or_nothing));
        held.map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&mut self, error: sqlx::Error) -> Failure {
        match Error::from(error) {
            error @ Error::Refused { .. } => Failure::Refused(error),
            error => Failure::Lost(self.disconnect(error)),
        }
    }

    pub(super) async fn head(&mut self) -> Result<HeadRow, Error> {
        let db = self.db.as_mut().ok_or(Error::Closed)?;
        in_time(COMMIT_MAX, db.head()).await.map_err(|error| self.broken(error))
    }

    /// Connects if there is no connection, once per batch. One that was idle is asked first whether it
    /// still is one: what was never sent can be sent over the next, and nobody need be told.
    pub(super) async fn connect(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.down {
            return Err(error.clone());
        }
        if self.used.elapsed() > IDLE
            && let Some(db) = self.db.as_mut()
            && in_time(PING_MAX, db.ping()).await.is_err()
        {
            tracing::warn!("the writer's connection died while it was idle");
            self.db = None;
        }
        self.used = Instant::now();
        if self.db.is_none() {
            let mut db = self.address.connect().await.map_err(|error| self.broken(error))?;
            let head = in_time(COMMIT_MAX, db.chain_head(self.chain.writer())).await;
            let head = head.map_err(|error| self.broken(error))?;
            self.db = Some(db);
            if let Stands::Elsewhere { written } = self.stand_at(head) {
                self.pending.drain(..written.min(self.pending.len()));
            }
            tracing::info!(seq = self.chain.seq(), "the writer is connected again");
        }
        Ok(())
    }

    /// Reads how far the chain has come.
    pub(super) async fn resync(&mut self) -> Stands {
        let Some(db) = self.db.as_mut() else { return Stands::Here };
        match in_time(COMMIT_MAX, db.chain_head(self.chain.writer())).await {
            Ok(head) => self.stand_at(head),
            Err(error) => {
                self.broken(error);
                Stands::Here
            }
        }
    }

    /// A commit of ours was made, and the chain stands there.
    pub(super) fn stands(&mut self, chain: Chain) {
        if chain.seq() > self.chain.seq() {
            self.doubts.clear();
        }
        self.chain = chain;
    }

    /// What came of a commit; if its answer was lost, it is remembered where the chain stands if it
    /// was made, and how many journalled events are written then.
    pub(super) fn or_doubt<T, const N: usize>(
        &mut self,
        done: Result<T, Failure>,
        chains: [&Chain; N],
        events: usize,
    ) -> Result<T, Failure> {
        if matches!(done, Err(Failure::Lost(_))) {
            for chain in chains {
                self.doubts.add(chain.clone(), events);
            }
        }
        done
    }

    fn stand_at(&mut self, head: Option<(i64, Vec<u8>)>) -> Stands {
        let stored = match head {
            Some((seq, hash)) => self.chain.at(seq, &hash),
            None => Some(self.chain.restarted()),
        };
        let Some(stored) = stored.filter(|stored| *stored != self.chain) else {
            return Stands::Here;
        };
        let written = self.doubts.settle(&self.chain, &stored);
        self.chain = stored;
        Stands::Elsewhere { written }
    }

    pub(super) fn broken(&mut self, error: sqlx::Error) -> Error {
        self.disconnect(error.into())
    }

    pub(super) fn disconnect(&mut self, error: Error) -> Error {
        self.db = None;
        let cause = match error {
            Error::Unavailable(cause) => cause,
            // Anything odd from the database is an outage for those who wait.
            odd => Arc::new(sqlx::Error::Protocol(odd.to_string())),
        };
        tracing::error!(%cause, "the writer lost its database");
        let error = Error::Unavailable(cause);
        self.down = Some(error.clone());
        error
    }
}
