//! What was known at an earlier revision: the snapshot of then, built from the versions of
//! documents that are kept. For looking back only; nothing is ever decided by it.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{
    Deputy, Fault, keys,
    state::{self, kind},
};
use crate::{
    engine::snapshot::Snapshot,
    model::revocation::Revocations,
    store::{Document, KINDS_WITH_HISTORY},
};

/// Snapshots of earlier revisions that are remembered. Who looks into one decision looks into its
/// neighbours next.
const CAPACITY: usize = 8;

/// Snapshots of earlier revisions.
#[derive(Debug)]
pub struct Past(Cache<u64, Arc<Snapshot>>);

impl Default for Past {
    fn default() -> Self {
        Past(Cache::new(CAPACITY))
    }
}

/// The documents as they stood at a revision, and the snapshot that they made.
#[derive(Clone, Debug)]
pub struct Then {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The documents, in order of kind and id.
    pub documents: Vec<Document>,
}

impl Deputy {
    /// What was known at a revision; `None` if the history does not reach back so far. Our own keys
    /// and operators have no history: they are those of now, and no decision rests on them.
    pub(super) async fn then(&self, revision: u64) -> Result<Option<Then>, Fault> {
        let Some(mut documents) = self.store().documents_at(revision).await? else {
            return Ok(None);
        };
        if let Some(snapshot) = self.0.past.0.get(&revision) {
            return Ok(Some(Then { snapshot, documents }));
        }
        let kept = documents.len();
        let now = self.store().documents().await?;
        documents.extend(now.into_iter().filter(|d| !KINDS_WITH_HISTORY.contains(&&*d.kind)));
        documents.retain(|d| d.kind != kind::CREDENTIAL && d.kind != keys::OPERATOR);
        let (options, kek) = (&self.0.options, &self.0.kek);
        let config = state::config(&documents, revision, options, kek, self.now())?;
        let policies = self.0.policies.stored(&documents).await?;
        documents.truncate(kept);
        let mut revocations = Revocations::default();
        for revocation in self.store().revocations_after(0).await? {
            if revocation.revision <= revision {
                revocations.apply(&revocation);
            }
        }
        let snapshot = Arc::new(Snapshot {
            revision,
            config: Arc::new(config),
            policies,
            revocations: Arc::new(revocations),
        });
        self.0.past.0.insert(revision, Arc::clone(&snapshot));
        Ok(Some(Then { snapshot, documents }))
    }
}
