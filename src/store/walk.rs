//! Reading the audit log step by step, in the order in which it was written, a bounded amount at a
//! time. It judges nothing: what is missing is simply not there.

use std::collections::{HashMap, VecDeque};

use super::{
    chain::{LinkRow, PrivateRow},
    connect::Pool,
    error::Error,
    events,
    proof::{ChainReport, Proof, keys},
    record,
    rows::{count, number},
    step::{Link, Step},
};
use crate::{
    base::{
        json::{self, Limits},
        secret::Fingerprint,
    },
    jose,
    model::checkpoint::{Checkpoint, Place},
    oauth::checkpoint,
};

/// Links read at a time: 16 MiB, and twice that if somebody forged their lengths.
const PAGE: i64 = 256;
/// Checkpoints read at a time.
const CHECKPOINTS: i64 = 64;

/// A walk through the log.
pub struct Walk<'s> {
    pool: &'s Pool,
    /// How far the walk has come in each chain.
    at: HashMap<String, i64>,
    /// The last checkpoint that was read.
    n: i64,
    /// The last one that is read.
    upto: i64,
    checkpoints: VecDeque<String>,
    todo: VecDeque<Todo>,
    ready: VecDeque<Step>,
}

enum Todo {
    Checkpoints,
    /// A chain up to this link.
    Chain(String, i64),
    /// The oldest checkpoint that was read and not told.
    Checkpoint,
    /// What no checkpoint covers yet.
    Rest,
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Walk(behind checkpoint {})", self.n)
    }
}

impl<'s> Walk<'s> {
    /// Where chains begin is read first: what a checkpoint says of it must not come after the last
    /// one that is read.
    pub(super) async fn begin(pool: &'s Pool) -> Result<Walk<'s>, Error> {
        let mut walk = Walk {
            pool,
            at: HashMap::new(),
            n: 0,
            upto: 0,
            checkpoints: VecDeque::new(),
            todo: [Todo::Checkpoints].into(),
            ready: VecDeque::new(),
        };
        walk.read_bases().await?;
        walk.upto = pool.last_checkpoint().await?.map_or(0, |(n, _)| n);
        Ok(walk)
    }

    /// Proves what it comes by, to the first thing that is not in order.
    pub async fn proved(
        mut self,
        opens: &(dyn Fn(&str) -> Option<Checkpoint> + Sync),
    ) -> Result<ChainReport, Error> {
        let mut proof = Proof::default();
        while let Some(step) = self.next().await? {
            if !proof.take(&step, opens) {
                break;
            }
        }
        Ok(proof.end())
    }

    /// The next step; `None` at the end of the log.
    pub async fn next(&mut self) -> Result<Option<Step>, Error> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            let Some(todo) = self.todo.pop_front() else { return Ok(None) };
            match todo {
                Todo::Checkpoints => self.read_checkpoints().await?,
                Todo::Chain(writer, upto) => self.read_chain(writer, upto).await?,
                Todo::Checkpoint => {
                    self.ready.extend(self.checkpoints.pop_front().map(Step::Checkpoint));
                }
                Todo::Rest => {
                    for (writer, seq) in self.pool.chain_ends().await? {
                        self.todo.push_back(Todo::Chain(writer, seq));
                    }
                }
            }
        }
    }

    async fn read_bases(&mut self) -> Result<(), Error> {
        let bad = Error::Corrupt { table: "chain_base", what: "a hash has 32 bytes" };
        for (writer, seq, hash) in self.pool.chain_bases().await? {
            self.at.insert(writer.clone(), seq);
            let hash = <[u8; 32]>::try_from(hash).map_err(|_| bad.clone())?;
            let (seq, hash) = (count(seq).unwrap_or(0), Fingerprint::from_bytes(hash));
            self.ready.push_back(Step::Base { writer, seq, hash });
        }
        Ok(())
    }

    async fn read_checkpoints(&mut self) -> Result<(), Error> {
        let limit = self.upto.saturating_sub(self.n).min(CHECKPOINTS);
        let page = match limit {
            1.. => self.pool.checkpoints(self.n, limit).await?,
            _ => Vec::new(),
        };
        if page.is_empty() {
            self.todo.push_back(Todo::Rest);
            return Ok(());
        }
        for (n, jws) in page {
            self.n = n;
            let heads = said(&jws).map(|said| said.heads).unwrap_or_default();
            let chain = |place: Place| Todo::Chain(place.writer.to_string(), number(place.seq));
            self.todo.extend(heads.into_iter().map(chain));
            self.todo.push_back(Todo::Checkpoint);
            self.checkpoints.push_back(jws);
        }
        self.todo.push_back(Todo::Checkpoints);
        Ok(())
    }

    /// Reads a stretch of a chain, and comes back for the next.
    async fn read_chain(&mut self, writer: String, upto: i64) -> Result<(), Error> {
        let at = self.at.get(&writer).copied().unwrap_or(0);
        let limit = upto.saturating_sub(at).min(PAGE);
        if limit <= 0 {
            return Ok(());
        }
        let from = at.saturating_add(1);
        let links = self.pool.chain_links(&writer, from, limit).await?;
        let Some(last) = links.last().map(|link| link.seq) else { return Ok(()) };
        let private = self.pool.chain_private(&writer, from, last).await?;
        self.ready.extend(self.with_aside(links, private).await?);
        self.at.insert(writer.clone(), last);
        if last < upto {
            self.todo.push_front(Todo::Chain(writer, upto));
        }
        Ok(())
    }

    async fn with_aside(
        &self,
        links: Vec<LinkRow>,
        private: Vec<PrivateRow>,
    ) -> Result<Vec<Step>, Error> {
        // A record that cannot be read names nobody; the proof will say what is wrong with it.
        let decoded: Vec<_> = links
            .iter()
            .map(|link| record::decode(link.record.bytes()).unwrap_or_default())
            .collect();
        let all = decoded.iter().flat_map(|events| keys(events)).collect();
        let subjects = events::subjects(self.pool, all).await?;
        let mut parts: HashMap<i64, Vec<PrivateRow>> = HashMap::new();
        for part in private {
            parts.entry(part.seq).or_default().push(part);
        }
        let named: Vec<Vec<_>> = decoded
            .iter()
            .map(|events| {
                keys(events).iter().filter_map(|key| subjects.get(*key)).cloned().collect()
            })
            .collect();
        drop(decoded);
        let link = |(row, subjects): (LinkRow, Vec<_>)| {
            let private = parts.remove(&row.seq).unwrap_or_default();
            Step::Link(Box::new(Link { row, subjects, private }))
        };
        Ok(links.into_iter().zip(named).map(link).collect())
    }
}

/// What a checkpoint says, believed without proof: only to know which links come before it.
fn said(jws: &str) -> Option<Checkpoint> {
    let payload = jose::payload_of(jws)?;
    let limits = Limits { max_bytes: payload.len(), ..Limits::DEFAULT };
    let said = json::parse(&payload, &limits).ok()?;
    checkpoint::read(said.as_object()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_checkpoint_says_nothing() {
        for jws in ["", "a.b.c", "e30.e30.e30", "..", "e30.eyJuIjoxfQ."] {
            assert_eq!(said(jws), None, "{jws}");
        }
    }
}
