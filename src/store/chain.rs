//! The hash chain of one writer, link by link: how one is added, and how a stored one is followed.
//! Never a statement; what is read to prove a chain is `walk`'s.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest;
use serde::{Serialize, Serializer};
use sqlx::FromRow;

use crate::base::{id::WriterId, secret::Fingerprint};

use super::{
    pack::{self, Record},
    proof::Why,
    record::{self, EventRecord, Sealed},
    rows::number,
};

/// How far one chain has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    writer: Arc<str>,
    seq: i64,
    hash: [u8; 32],
}

/// One row of `journal`, on its way in.
#[derive(Serialize)]
pub(super) struct NewLink {
    pub writer: Arc<str>,
    pub seq: i64,
    #[serde(serialize_with = "as_hex")]
    pub prev: [u8; 32],
    #[serde(serialize_with = "as_hex")]
    pub hash: [u8; 32],
    pub at: i64,
    pub events: i64,
    /// Where its record begins among the bytes of the commit, from 1 as SQL counts.
    record_at: usize,
    /// How many bytes of it there are.
    record_bytes: usize,
}

impl NewLink {
    /// Its own among the records of the commit.
    pub fn record<'r>(&self, records: &'r [u8]) -> &'r [u8] {
        let from = records.get(self.record_at.saturating_sub(1)..).unwrap_or_default();
        from.get(..self.record_bytes).unwrap_or_default()
    }
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
    #[sqlx(try_from = "Vec<u8>")]
    pub record: Record,
}

/// One row of `journal_private`.
#[derive(FromRow)]
pub(super) struct PrivateRow {
    pub writer: String,
    pub seq: i64,
    pub n: i64,
    pub key: String,
    pub body: Vec<u8>,
}

impl Chain {
    /// A chain without links. The first link follows a hash of the writer's id, so that no link of
    /// one chain fits another.
    pub fn begin(writer: WriterId) -> Chain {
        Chain::of(&writer.to_string())
    }

    /// A writer's chain without links, by the name it is stored under.
    pub fn of(writer: &str) -> Chain {
        let hash = *Fingerprint::of(writer.as_bytes()).as_bytes();
        Chain { writer: writer.into(), seq: 0, hash }
    }

    /// The chain at a stored head.
    pub fn at(&self, seq: i64, hash: &[u8]) -> Option<Chain> {
        Some(Chain { writer: Arc::clone(&self.writer), seq, hash: hash.try_into().ok()? })
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

    /// Adds a link with these events; its record goes behind the other `records` of the commit.
    pub fn link(&mut self, events: &[Sealed], records: &mut Vec<u8>) -> NewLink {
        let record = record(events);
        let prev = self.hash;
        self.seq = self.seq.saturating_add(1);
        self.hash = hash(&self.hash, self.seq, &record);
        let begin = records.len();
        pack::pack(&record, records);
        NewLink {
            writer: Arc::clone(&self.writer),
            seq: self.seq,
            prev,
            hash: self.hash,
            at: events.last().map_or(0, |event| event.at),
            events: number(events.len()),
            record_at: begin.saturating_add(1),
            record_bytes: records.len().saturating_sub(begin),
        }
    }

    /// Goes over a stored link, if it is the next one and unchanged.
    pub fn follow<'l>(&mut self, row: &'l LinkRow) -> Result<Vec<EventRecord<'l>>, Why> {
        let next = self.seq.saturating_add(1);
        if row.seq != next {
            return Err(Why::Missing);
        }
        if row.prev != self.hash {
            return Err(Why::Displaced);
        }
        let expected = hash(&self.hash, next, row.record.bytes());
        let events = record::decode(row.record.bytes()).map_err(|_| Why::Altered)?;
        let last = events.last().map(EventRecord::at);
        let columns = last == Some(row.at) && number(events.len()) == row.events;
        if row.hash != expected || !columns {
            return Err(Why::Altered);
        }
        self.seq = next;
        self.hash = expected;
        Ok(events)
    }
}

/// The events as one JSON array.
fn record(events: &[Sealed]) -> Vec<u8> {
    let bytes = events.iter().map(|event| event.json.len().saturating_add(1)).sum::<usize>();
    let mut record = Vec::with_capacity(bytes.saturating_add(1));
    for (n, event) in events.iter().enumerate() {
        record.push(if n == 0 { b'[' } else { b',' });
        record.extend_from_slice(&event.json);
    }
    record.push(b']');
    record
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

/// Base64, for longer ones that are sent as JSON.
pub(super) fn as_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

/// The same, for rows that are sent as JSON.
pub(super) fn as_hex<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hex(bytes))
}
