//! How long the audit log is kept. Every hour one of us says, in a signed checkpoint, where the chains
//! begin from now on and which checkpoint is the first; what is before that is swept an hour later,
//! when nobody reads it any more.
//!
//! What is too old is told by signed checkpoints alone. Whoever can write the database could have us
//! sign for what it says: that young links are old, or that a chain begins later than it does.

use std::{collections::BTreeMap, sync::Arc};

use super::{Deputy, Fault, checkpoint::opened};
use crate::{
    base::time::Timestamp,
    model::checkpoint::{Checkpoint, PLACES_MAX, Place},
};

/// Checkpoints that are looked at in one hour: more than two days of them.
const ROUND_MAX: u64 = 20_000;
/// Fewer that say nothing of links are left for later: each round makes one of them.
const WORTH_IT: u64 = 24;

/// What the next checkpoint is to say of what is no longer kept.
#[derive(Debug, Default)]
pub(super) struct TooOld {
    /// The links behind which chains begin from then on; or did before, where the checkpoint that
    /// said so goes.
    pub bases: Vec<Place>,
    /// Chains that have no link any more.
    pub gone: Vec<Arc<str>>,
    /// The first checkpoint that is kept.
    pub begins: Option<u64>,
}

/// What checkpoints in a row say, of each chain the last.
#[derive(Default)]
struct Said {
    heads: BTreeMap<Arc<str>, Place>,
    bases: BTreeMap<Arc<str>, Place>,
    count: u64,
    last: u64,
}

impl Said {
    /// Takes one more, if what must be said of all of them still fits into one. The first alone always
    /// may: most of what it says is of chains that have ended.
    fn take(&mut self, said: &Checkpoint) -> bool {
        let places = said.heads.iter().chain(&said.bases);
        let more = places.filter(|place| !self.knows(&place.writer)).count();
        let known = self.heads.len().saturating_add(self.bases.len());
        if self.count > 0 && known.saturating_add(more) > PLACES_MAX {
            return false;
        }
        for base in &said.bases {
            self.bases.insert(Arc::clone(&base.writer), base.clone());
        }
        for head in &said.heads {
            self.heads.insert(Arc::clone(&head.writer), head.clone());
        }
        self.count = self.count.saturating_add(1);
        self.last = said.n;
        true
    }

    fn knows(&self, writer: &str) -> bool {
        self.heads.contains_key(writer) || self.bases.contains_key(writer)
    }
}

impl Deputy {
    /// Has the log begin with what is not too old, if it is not kept for ever.
    pub(super) async fn shorten_log(&self, now: Timestamp) -> Result<(), Fault> {
        let Some(keep) = self.options().keep_audit else { return Ok(()) };
        let said = self.said_before(now.minus(keep)).await?;
        if said.heads.is_empty() && said.count < WORTH_IT {
            return Ok(());
        }
        let mut old = TooOld { begins: Some(said.last.saturating_add(1)), ..TooOld::default() };
        for (writer, base) in said.bases {
            if said.heads.contains_key(&writer) {
                continue;
            }
            // Nothing was said of it since: it goes on, or it ended long ago.
            if self.is_running(&writer).await? || self.store().has_links(&writer).await? {
                old.bases.push(base);
            } else {
                old.gone.push(writer);
            }
        }
        old.bases.extend(said.heads.into_values());
        if old.bases.len() > PLACES_MAX {
            let chains = old.bases.len();
            tracing::error!(chains, "too many chains go on: the audit log is not shortened");
            return Ok(());
        }
        self.sign_checkpoint(old).await.map(drop)
    }

    /// What the oldest checkpoints say that were signed before a moment.
    async fn said_before(&self, before: Timestamp) -> Result<Said, Fault> {
        let keys = self.checkpoint_keys().await?;
        let mut said = Said::default();
        while said.count < ROUND_MAX {
            let page = self.store().checkpoints(said.last).await?;
            if page.is_empty() {
                break;
            }
            for (n, jws) in page {
                let Some(next) = opened(&keys, &jws).filter(|next| next.n == n) else {
                    tracing::error!(n, "a checkpoint is not ours: the audit log is not shortened");
                    return Ok(said);
                };
                let gap = said.last > 0 && n != said.last.saturating_add(1);
                if gap || next.at >= before || !said.take(&next) {
                    return Ok(said);
                }
            }
        }
        Ok(said)
    }

    /// Whether an instance writes this chain now.
    async fn is_running(&self, writer: &str) -> Result<bool, Fault> {
        if self.0.writer.to_string() == writer {
            return Ok(true);
        }
        let mut watching = self.store().watch().await?;
        let others = watching.instances().await?;
        watching.keep();
        Ok(others.iter().any(|other| other.writer.to_string() == writer))
    }
}
