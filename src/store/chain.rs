//! The hash chain of one writer: links, and the proof that none was changed, lost or moved.
//!
//! A chain shows a change in the middle. That its end was cut off, or a whole chain removed, only a
//! signed checkpoint over all chain heads can show.

use std::collections::HashMap;

use ring::digest;
use serde::Serialize;
use sqlx::FromRow;

use crate::base::{id::WriterId, secret::Fingerprint};

use super::{
    connect::Pool,
    error::Error,
    record::{self, Commitment, Sealed},
    rows::{count, number},
};

/// Links read at a time while a chain is verified: at most 16 MiB.
const VERIFY_PAGE: i64 = 256;

/// How far one chain has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    writer: String,
    seq: i64,
    hash: [u8; 32],
}

/// One row of `journal`, on its way in.
#[derive(Serialize)]
pub(super) struct NewLink {
    pub writer: String,
    pub seq: i64,
    prev: String,
    hash: String,
    pub at: i64,
    events: i64,
    record: String,
}

/// One row of `journal`, as it is read.
#[derive(FromRow)]
pub(super) struct LinkRow {
    pub writer: String,
    pub seq: i64,
    pub prev: Vec<u8>,
    pub hash: Vec<u8>,
    pub at: i64,
    pub events: i64,
    pub record: Vec<u8>,
}

/// One row of `journal_private`, with its key where that still exists.
#[derive(FromRow)]
pub(super) struct PrivateRow {
    pub writer: String,
    pub seq: i64,
    pub n: i64,
    pub id: String,
    pub key: Option<Vec<u8>>,
    pub body: Vec<u8>,
}

/// What [`super::Store::verify_chain`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Chains read.
    pub writers: u64,
    /// Links that are in order.
    pub links: u64,
    /// Events in them.
    pub events: u64,
    /// Events whose private part was erased.
    pub erased: u64,
    /// The first thing that is not in order; nothing behind it was read.
    pub broken: Option<Broken>,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Whose chain.
    pub writer: String,
    /// At which link.
    pub seq: u64,
    /// In what way.
    pub why: Why,
}

/// In what way a link is not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The link is not there, but a later one is.
    Missing,
    /// It does not follow the link before it.
    Displaced,
    /// Its record or its columns are not what was chained.
    Altered,
    /// A private part is not what the record commits to.
    PrivateAltered,
}

impl Chain {
    /// A chain without links. The first link follows a hash of the writer's id, so that no link of
    /// one chain fits another.
    pub fn begin(writer: WriterId) -> Chain {
        Chain::of(&writer.to_string())
    }

    fn of(writer: &str) -> Chain {
        let hash = *Fingerprint::of(writer.as_bytes()).as_bytes();
        Chain { writer: writer.to_owned(), seq: 0, hash }
    }

    /// The chain at a stored head.
    pub fn at(&self, seq: i64, hash: &[u8]) -> Option<Chain> {
        Some(Chain { writer: self.writer.clone(), seq, hash: hash.try_into().ok()? })
    }

    /// The same writer's chain without links.
    pub fn restarted(&self) -> Chain {
        Chain::of(&self.writer)
    }

    /// Whose chain it is.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// The sequence of the last link.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Adds a link with these events.
    pub fn link(&mut self, events: &[Sealed]) -> NewLink {
        let mut text = String::new();
        for (n, event) in events.iter().enumerate() {
            text.push(if n == 0 { '[' } else { ',' });
            text.push_str(&event.json);
        }
        text.push(']');
        let prev = hex(&self.hash);
        self.seq = self.seq.saturating_add(1);
        self.hash = hash(&self.hash, self.seq, text.as_bytes());
        NewLink {
            writer: self.writer.clone(),
            seq: self.seq,
            prev,
            hash: hex(&self.hash),
            at: events.last().map_or(0, |event| event.at),
            events: number(events.len()),
            record: text,
        }
    }

    /// Goes over a stored link, if it is the next one and unchanged.
    fn follow(&mut self, row: &LinkRow) -> Result<Vec<Option<Commitment>>, Why> {
        let next = self.seq.saturating_add(1);
        if row.seq != next {
            return Err(Why::Missing);
        }
        if row.prev != self.hash {
            return Err(Why::Displaced);
        }
        let expected = hash(&self.hash, next, &row.record);
        let events = record::decode(&row.record).map_err(|_| Why::Altered)?;
        let last = events.last().map(record::EventRecord::at);
        let columns = last == Some(row.at) && number(events.len()) == row.events;
        if row.hash != expected || !columns {
            return Err(Why::Altered);
        }
        self.seq = next;
        self.hash = expected;
        Ok(events.into_iter().map(|event| event.private).collect())
    }
}

/// Proves every chain, oldest writer first; stops at the first break.
pub(super) async fn verify(pool: &Pool) -> Result<ChainReport, Error> {
    let mut report = ChainReport::default();
    for writer in pool.writers().await? {
        let broken = verify_one(pool, &writer, &mut report).await?;
        report.writers = report.writers.saturating_add(1);
        if let Some((seq, why)) = broken {
            let seq = count(seq).unwrap_or(0);
            report.broken = Some(Broken { writer, seq, why });
            break;
        }
    }
    Ok(report)
}

async fn verify_one(
    pool: &Pool,
    writer: &str,
    report: &mut ChainReport,
) -> Result<Option<(i64, Why)>, Error> {
    let mut chain = Chain::of(writer);
    loop {
        let from = chain.seq.saturating_add(1);
        let links = pool.chain_links(writer, from, VERIFY_PAGE).await?;
        let Some(last) = links.last() else { return Ok(None) };
        let mut private = by_place(pool.chain_private(writer, from, last.seq).await?);
        for link in &links {
            let next = chain.seq.saturating_add(1);
            let commitments = match chain.follow(link) {
                Ok(commitments) => commitments,
                Err(why) => return Ok(Some((next, why))),
            };
            let events = number(commitments.len());
            let Some(erased) = erased(link.seq, &commitments, &mut private) else {
                return Ok(Some((next, Why::PrivateAltered)));
            };
            report.links = report.links.saturating_add(1);
            report.events = report.events.saturating_add(count(events).unwrap_or(0));
            report.erased = report.erased.saturating_add(erased);
        }
        // What is left belongs to no event.
        if let Some((seq, _)) = private.keys().min() {
            return Ok(Some((*seq, Why::PrivateAltered)));
        }
    }
}

fn by_place(rows: Vec<PrivateRow>) -> HashMap<(i64, i64), PrivateRow> {
    rows.into_iter().map(|row| ((row.seq, row.n), row)).collect()
}

/// How many events of a link lost their private part; `None` if one has another than it commits to.
fn erased(
    seq: i64,
    commitments: &[Option<Commitment>],
    private: &mut HashMap<(i64, i64), PrivateRow>,
) -> Option<u64> {
    let mut erased = 0_u64;
    for (n, commitment) in commitments.iter().enumerate() {
        let row = match commitment {
            Some(_) => private.remove(&(seq, number(n))),
            None => continue,
        };
        let held = row.map(|row| {
            let commitment = commitment.as_ref().filter(|c| c.key == row.id)?;
            Some(row.key.map(|key| commitment.holds(&key, &row.body)))
        });
        match held {
            Some(Some(Some(true))) => {}
            // The row or its key is gone: the person was erased.
            None | Some(Some(None)) => erased = erased.saturating_add(1),
            Some(None | Some(Some(false))) => return None,
        }
    }
    Some(erased)
}

/// SHA-256 over prev ‖ seq ‖ record.
fn hash(prev: &[u8; 32], seq: i64, record: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(prev);
    context.update(&seq.to_be_bytes());
    context.update(record);
    let mut out = [0_u8; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// Lower-case hexadecimal, the one spelling of bytes that both engines read.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}
