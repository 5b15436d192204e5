//! What of the audit log is too old to be kept. It is decided here and deleted by sweeps; in between, a
//! checkpoint says where every chain begins from then on, so that a proof can tell what was deleted
//! because its time was over from what was taken away.

use super::{
    Store,
    error::Error,
    rows::{count, number},
};
use crate::{
    base::{secret::Fingerprint, time::Timestamp},
    model::checkpoint::{PLACES_MAX, Place},
};

/// Chains that are shortened at one time.
const CHAINS_MAX: usize = 64;
/// Links that a chain is shortened by at one time.
const LINKS_MAX: i64 = 200_000;

/// What the next checkpoint is to say.
#[derive(Debug, Default)]
pub struct TooOld {
    /// The links behind which chains begin from then on; or did before, where the checkpoint that
    /// said so goes.
    pub bases: Vec<Place>,
    /// The first checkpoint that is kept from then on.
    pub begins: Option<u64>,
}

impl TooOld {
    /// Whether there is nothing to say.
    pub fn is_nothing(&self) -> bool {
        self.bases.is_empty() && self.begins.is_none()
    }
}

impl Store {
    /// What is older than `before`, of what a checkpoint covers. A bounded amount; ask again when it
    /// is deleted.
    pub async fn too_old(&self, before: Timestamp) -> Result<TooOld, Error> {
        let old = before.epoch_s();
        let mut bases = Vec::new();
        for (writer, behind, covered) in self.pool.chains_too_long(old, number(CHAINS_MAX)).await? {
            let upto = covered.min(behind.saturating_add(LINKS_MAX));
            if let Some(last) = self.pool.last_old_link(&writer, (behind, upto), old).await? {
                bases.push(place(&writer, last)?);
            }
        }
        let (first, kept) = self.pool.first_checkpoints(old).await?;
        let Some(kept) = kept.filter(|kept| first.is_some_and(|first| first < *kept)) else {
            return Ok(TooOld { bases, begins: None });
        };
        // Whoever says where a chain begins must be there for as long as it begins there.
        let room = PLACES_MAX.saturating_sub(bases.len());
        let said_before = self.pool.bases_said_before(kept, number(room)).await?;
        let all = said_before.len() < room;
        for (writer, seq, hash) in said_before {
            if bases.iter().all(|base| *base.writer != *writer) {
                bases.push(place(&writer, (seq, hash))?);
            }
        }
        Ok(TooOld { bases, begins: count(kept).filter(|_| all) })
    }
}

fn place(writer: &str, (seq, hash): (i64, Vec<u8>)) -> Result<Place, Error> {
    let bad = Error::Corrupt { table: "journal", what: "a hash has 32 bytes" };
    let hash = <[u8; 32]>::try_from(hash).map_err(|_| bad)?;
    let seq = count(seq).unwrap_or(0);
    Ok(Place { writer: writer.into(), seq, hash: Fingerprint::from_bytes(hash) })
}
