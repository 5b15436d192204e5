//! What no caller's answer waits for: sweeping, checkpoints, retention. Nothing here is chained.

use crate::{base::time::Timestamp, model::subject::Subject};

use super::{
    super::super::{
        connect::in_time,
        error::Error,
        rows::number,
        sql::{self, retention},
    },
    super::{Erased, LogUntil, NewCheckpoint},
    COMMIT_MAX, SWEEP_ROWS, SweepUntil, Swept, Task,
};

/// Links that one sweep deletes: at most 4,096 events.
const SWEEP_LINKS: i64 = 16;

impl Task {
    pub(super) async fn checkpoint(&mut self, new: &NewCheckpoint) -> Result<bool, Error> {
        self.connect().await?;
        let db = self.db.as_mut().ok_or(Error::Closed)?;
        let kept = in_time(COMMIT_MAX, db.checkpoint(new)).await;
        kept.map_err(|error| self.broken(error))
    }

    /// First the rows, then the keys: whoever is cut off in between finds the person still there.
    pub(super) async fn erase(&mut self, subject: &Subject) -> Result<Erased, Error> {
        let mut erased = [0_u64; 2];
        let texts = [sql::ERASE_DELEGATIONS, sql::ERASE_KEYS];
        for (text, rows) in texts.into_iter().zip(&mut erased) {
            self.connect().await?;
            let db = self.db.as_mut().ok_or(Error::Closed)?;
            let deleted = in_time(COMMIT_MAX, db.erase(text, subject, SWEEP_ROWS)).await;
            *rows = deleted.map_err(|error| self.broken(error))?;
        }
        let [delegations, keys] = erased;
        let more = erased.iter().any(|rows| number(*rows) >= SWEEP_ROWS);
        Ok(Erased { keys, delegations, more })
    }

    pub(super) async fn raise_to(&mut self, revision: u64) -> Result<(), Error> {
        self.connect().await?;
        let db = self.db.as_mut().ok_or(Error::Closed)?;
        let raised = in_time(COMMIT_MAX, db.raise_to(revision)).await;
        raised.map_err(|error| self.broken(error))
    }

    pub(super) async fn sweep(&mut self, until: SweepUntil) -> Result<Swept, Error> {
        let mut swept = [0_u64; 5];
        let texts = [
            (sql::SWEEP_DELEGATIONS, until.delegations),
            (sql::SWEEP_REVOCATIONS, until.revocations),
            (sql::SWEEP_VERSIONS, until.versions),
            (sql::SWEEP_ONCE, until.effects),
            (sql::SWEEP_BUDGETS, until.effects),
        ];
        for ((text, until), rows) in texts.into_iter().zip(&mut swept) {
            *rows = self.deleted(text, until, SWEEP_ROWS).await?;
        }
        let [delegations, revocations, versions, once, budgets] = swept;
        let more = swept.iter().any(|rows| number(*rows) >= SWEEP_ROWS);
        let effects = once.saturating_add(budgets);
        let mut swept =
            Swept { delegations, revocations, versions, effects, more, ..Swept::default() };
        if let Some(until) = until.log {
            self.sweep_log(until, &mut swept).await?;
        }
        Ok(swept)
    }

    async fn sweep_log(&mut self, until: LogUntil, swept: &mut Swept) -> Result<(), Error> {
        self.connect().await?;
        let db = self.db.as_mut().ok_or(Error::Closed)?;
        let links = in_time(COMMIT_MAX, db.sweep_links(until.shortened, SWEEP_LINKS)).await;
        let links = links.map_err(|error| self.broken(error))?;
        let checkpoints =
            self.deleted(retention::SWEEP_CHECKPOINTS, until.shortened, SWEEP_ROWS).await?;
        let keys = self.deleted(retention::SWEEP_KEYS, until.keys, SWEEP_ROWS).await?;
        let full = number(links) >= SWEEP_LINKS
            || number(checkpoints) >= SWEEP_ROWS
            || number(keys) >= SWEEP_ROWS;
        *swept = Swept { links, checkpoints, keys, more: swept.more || full, ..*swept };
        Ok(())
    }

    async fn deleted(
        &mut self,
        text: &'static str,
        until: Timestamp,
        limit: i64,
    ) -> Result<u64, Error> {
        self.connect().await?;
        let db = self.db.as_mut().ok_or(Error::Closed)?;
        let deleted = in_time(COMMIT_MAX, db.sweep(text, until, limit)).await;
        deleted.map_err(|error| self.broken(error))
    }
}
