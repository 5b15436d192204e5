//! Batches of which some changes use something up: committed whole, or not at all, and then without
//! those who cannot have what they want. Never a lock that outlives a statement.

use super::{
    super::{
        super::{commit::Sent, connect::in_time, effects::Found, error::Error, rows::Head},
        work::Work,
    },
    COMMIT_MAX, Failure, Task,
};

impl Task {
    /// What to do instead of a work that could not be committed whole, last first: whoever cannot
    /// have what they want is told; the others go first, and then those who wanted the same.
    pub(super) async fn make_way(&mut self, mut work: Work, found: &Found) -> Vec<Work> {
        if !found.held && !work.mints.is_empty() {
            let now = self.head().await;
            work.moved(&now.and_then(|row| Head::try_from(row).map(|head| head.revision)));
        }
        let later = work.sift(Some(found));
        [later, work].into_iter().filter(|work| work.len() > 0).collect()
    }

    /// Commits one batch with effects; whether it was written, and what was found.
    pub(super) async fn commit_with_effects(
        &mut self,
        sent: Sent<'_>,
        revision: i64,
    ) -> Result<(bool, Found), Failure> {
        let Some(db) = self.db.as_mut() else { return Err(Failure::Down(Error::Closed)) };
        let done = in_time(COMMIT_MAX, db.batch_with_effects(sent, revision)).await;
        self.sealer.settle(done.as_ref().is_ok_and(|(written, _)| *written));
        done.map_err(|error| self.failed(error))
    }
}
