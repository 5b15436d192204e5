//! The audit log as a sequence of steps: what a proof looks at, and what an export has a line for.
//! In the order in which it was written: links, then the checkpoint that covers them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    chain::{LinkRow, PrivateRow},
    pack::Record,
    persons::SubjectRow,
};
use crate::base::secret::Fingerprint;

/// One step.
#[derive(Debug)]
pub enum Step {
    /// A chain begins behind a link that was deleted because its time was over.
    Base {
        /// Whose chain.
        writer: String,
        /// The last link that was deleted.
        seq: u64,
        /// Its hash.
        hash: Fingerprint,
    },
    /// One link, with what stands beside it.
    Link(Box<Link>),
    /// A checkpoint, as it was signed.
    Checkpoint(String),
}

/// A link of a chain, with what stands beside it.
pub struct Link {
    pub(super) row: LinkRow,
    pub(super) subjects: Vec<SubjectRow>,
    pub(super) private: Vec<PrivateRow>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({} {})", self.row.writer, self.row.seq)
    }
}

impl Link {
    /// Without what leads to a person: as if all of them had been erased.
    #[must_use]
    pub fn without_persons(self) -> Link {
        Link { subjects: Vec::new(), private: Vec::new(), ..self }
    }
}

#[derive(Serialize, Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize, Deserialize)]
struct BaseLine<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    writer: &'a str,
    seq: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct CheckpointLine<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    jws: &'a str,
}

#[derive(Serialize, Deserialize)]
struct LinkLine<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    writer: &'a str,
    seq: i64,
    at: i64,
    events: i64,
    prev: String,
    hash: String,
    /// The very bytes that are hashed; `None` where they are no JSON any more.
    #[serde(borrow)]
    record: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<SubjectLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    private: Vec<PrivateLine>,
}

#[derive(Serialize, Deserialize)]
struct SubjectLine {
    id: String,
    iss: String,
    sub: String,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct PrivateLine {
    n: i64,
    key: String,
    body: String,
}

impl Step {
    /// The step as one line of JSON, without the end of the line.
    pub fn line(&self) -> String {
        let line = match self {
            Step::Base { writer, seq, hash } => serde_json::to_string(&BaseLine {
                kind: "base",
                writer,
                seq: *seq,
                hash: hash.text(),
            }),
            Step::Checkpoint(jws) => {
                serde_json::to_string(&CheckpointLine { kind: "checkpoint", jws })
            }
            Step::Link(link) => serde_json::to_string(&link.as_line()),
        };
        // Texts and numbers always are JSON.
        line.unwrap_or_default()
    }

    /// Reads a line; `None` if it is not one of [`Step::line`]'s.
    pub fn read(line: &str) -> Option<Step> {
        let Tag { kind } = serde_json::from_str(line).ok()?;
        match kind {
            "base" => {
                let BaseLine { writer, seq, hash, .. } = serde_json::from_str(line).ok()?;
                let hash = Fingerprint::parse(&hash)?;
                Some(Step::Base { writer: writer.to_owned(), seq, hash })
            }
            "checkpoint" => {
                let CheckpointLine { jws, .. } = serde_json::from_str(line).ok()?;
                Some(Step::Checkpoint(jws.to_owned()))
            }
            "link" => Link::read(serde_json::from_str(line).ok()?).map(Box::new).map(Step::Link),
            _ => None,
        }
    }
}

impl Link {
    fn as_line(&self) -> LinkLine<'_> {
        let row = &self.row;
        let subject = |row: &SubjectRow| SubjectLine {
            id: row.id.clone(),
            iss: row.issuer.clone(),
            sub: row.sub.clone(),
            key: STANDARD.encode(&row.key),
        };
        let private = |row: &PrivateRow| PrivateLine {
            n: row.n,
            key: row.key.clone(),
            body: STANDARD.encode(&row.body),
        };
        LinkLine {
            kind: "link",
            writer: &row.writer,
            seq: row.seq,
            at: row.at,
            events: row.events,
            prev: STANDARD.encode(&row.prev),
            hash: STANDARD.encode(&row.hash),
            record: serde_json::from_slice(row.record.bytes()).ok(),
            subjects: self.subjects.iter().map(subject).collect(),
            private: self.private.iter().map(private).collect(),
        }
    }

    fn read(line: LinkLine<'_>) -> Option<Link> {
        let bytes = |text: &str| STANDARD.decode(text).ok();
        let (writer, seq) = (line.writer, line.seq);
        let subject = |line: SubjectLine| {
            let SubjectLine { id, iss, sub, key } = line;
            Some(SubjectRow { id, issuer: iss, sub, key: bytes(&key)? })
        };
        let private = |line: PrivateLine| {
            let body = bytes(&line.body)?;
            Some(PrivateRow { writer: writer.to_owned(), seq, n: line.n, key: line.key, body })
        };
        Some(Link {
            row: LinkRow {
                writer: writer.to_owned(),
                seq,
                prev: bytes(&line.prev)?,
                hash: bytes(&line.hash)?,
                at: line.at,
                events: line.events,
                record: Record::plain(line.record.map_or(&[], |record| record.get().as_bytes())),
            },
            subjects: line.subjects.into_iter().map(subject).collect::<Option<_>>()?,
            private: line.private.into_iter().map(private).collect::<Option<_>>()?,
        })
    }
}
