//! What no caller's answer waits for: sweeping, and checkpoints. Nothing here is chained.

use crate::model::subject::Subject;

use super::{
    super::super::{connect::in_time, error::Error, rows::number, sql},
    super::{Erased, NewCheckpoint},
    COMMIT_MAX, SWEEP_ROWS, SweepUntil, Swept, Task,
};

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
            self.connect().await?;
            let db = self.db.as_mut().ok_or(Error::Closed)?;
            let deleted = in_time(COMMIT_MAX, db.sweep(text, until, SWEEP_ROWS)).await;
            *rows = deleted.map_err(|error| self.broken(error))?;
        }
        let [delegations, revocations, versions, once, budgets] = swept;
        let more = swept.iter().any(|rows| number(*rows) >= SWEEP_ROWS);
        let effects = once.saturating_add(budgets);
        Ok(Swept { delegations, revocations, versions, effects, more })
    }
}
