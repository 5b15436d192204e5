//! What one commit consists of: rows for every table, chained in order, and beside them the bytes of
//! the chained records. Never the moment of committing; that is the writer's.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use tokio::task::yield_now;

use crate::model::{
    delegation::Delegation,
    effect::{Effects, Spend},
    event::Event,
};

use super::{
    KINDS_WITH_HISTORY,
    chain::{Chain, NewLink, as_base64, as_hex},
    effects::{BudgetRow, OnceRow, spend_rows},
    error::Error,
    record::{Sealed, Sealer},
    rows::{DelegationRow, DocumentRow, RevocationRow},
};

/// The most events of one link.
pub(super) const SEGMENT_EVENTS: usize = 256;
/// The most bytes of one link's events; a single larger event has a link of its own.
const SEGMENT_BYTES: usize = 64 * 1024;
/// Journalled events that are written down without a pause: a quarter of a millisecond.
const AT_ONCE: usize = 64;

/// The rows of one commit, by table; as JSON they are one object.
#[derive(Default, Serialize)]
pub(super) struct Rows<'a> {
    pub delegations: Vec<DelegationRow>,
    pub revocations: Vec<RevocationRow>,
    pub documents: Vec<DocumentRow<'a>>,
    pub versions: Vec<DocumentRow<'a>>,
    pub keys: Vec<KeyRow>,
    pub once: Vec<OnceRow>,
    /// The calls it takes from budgets.
    #[serde(serialize_with = "spend_rows")]
    pub spend: BTreeMap<Spend, u32>,
    pub budgets: Vec<BudgetRow>,
    pub links: Vec<NewLink>,
    pub private: Vec<NewPrivate>,
    pub index: Vec<NewIndex>,
}

/// A row of `subject_key`, on its way in.
#[derive(Serialize)]
pub(super) struct KeyRow {
    pub id: Arc<str>,
    pub issuer: Arc<str>,
    pub sub: Arc<str>,
    #[serde(serialize_with = "as_hex")]
    pub key: [u8; 32],
    pub at: i64,
}

/// A row of `journal_private`, on its way in.
#[derive(Serialize)]
pub(super) struct NewPrivate {
    pub writer: Arc<str>,
    pub seq: i64,
    pub n: i64,
    pub key: Arc<str>,
    #[serde(serialize_with = "as_base64")]
    pub body: Vec<u8>,
}

/// A row of `journal_index`, on its way in.
#[derive(Serialize)]
pub(super) struct NewIndex {
    pub at: i64,
    pub writer: Arc<str>,
    pub seq: i64,
    pub n: i64,
    pub kind: &'static str,
    pub outcome: &'static str,
    pub tool: Option<String>,
    pub actors: String,
    pub key: Option<Arc<str>>,
    pub txn: Option<String>,
    pub decision: Option<String>,
    pub error: Option<String>,
}

/// The events of a link that is being put together.
#[derive(Default)]
struct Segment {
    events: Vec<Sealed>,
    bytes: usize,
}

impl Segment {
    fn is_full_for(&self, next: &Sealed) -> bool {
        self.events.len() == SEGMENT_EVENTS
            || self.bytes.saturating_add(next.json.len()) > SEGMENT_BYTES
    }

    fn push(&mut self, event: Sealed) {
        self.bytes = self.bytes.saturating_add(event.json.len());
        self.events.push(event);
    }
}

/// A commit that is being put together.
pub(super) struct Draft<'s, 'a> {
    rows: Rows<'a>,
    records: Vec<u8>,
    chain: Chain,
    sealer: &'s mut Sealer,
}

/// A commit, ready to be sent.
pub(super) struct Sent<'a> {
    /// All rows.
    pub rows: Rows<'a>,
    /// The records of all links, one behind the other: as they are, so that they are neither
    /// escaped here nor read as JSON by the database.
    pub records: Vec<u8>,
    /// The chain when everything is committed.
    pub chain: Chain,
}

impl Rows<'_> {
    /// All rows as JSON.
    pub fn json(&self) -> Result<String, sqlx::Error> {
        serde_json::to_string(self).map_err(|error| sqlx::Error::Encode(Box::new(error)))
    }

    /// Leaves out what hangs on the revision: delegations, and links from this sequence on.
    pub fn drop_judged(&mut self, from: i64) {
        self.delegations.clear();
        self.links.retain(|link| link.seq < from);
        self.private.retain(|part| part.seq < from);
        self.index.retain(|row| row.seq < from);
    }

    /// The rows that SQLite takes as JSON: few, or looked up, or changed where they stand.
    pub fn few_json(&self) -> Result<String, sqlx::Error> {
        let Rows { revocations, documents, versions, once, spend, .. } = self;
        let few = Few { revocations, documents, versions, once, spend };
        serde_json::to_string(&few).map_err(|error| sqlx::Error::Encode(Box::new(error)))
    }
}

#[derive(Serialize)]
struct Few<'r> {
    revocations: &'r [RevocationRow],
    documents: &'r [DocumentRow<'r>],
    versions: &'r [DocumentRow<'r>],
    once: &'r [OnceRow],
    #[serde(serialize_with = "spend_rows")]
    spend: &'r BTreeMap<Spend, u32>,
}

impl<'s, 'a> Draft<'s, 'a> {
    /// An empty commit that continues `chain`.
    pub fn new(chain: Chain, sealer: &'s mut Sealer) -> Draft<'s, 'a> {
        Draft { rows: Rows::default(), records: Vec::new(), chain, sealer }
    }

    /// The chain so far.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Adds events, journalled ones or such as are committed before their answers, in as few links
    /// as their bounds allow.
    pub fn events<'e>(
        &mut self,
        events: impl Iterator<Item = &'e Event>,
        committed: bool,
    ) -> Result<(), Error> {
        let mut segment = Segment::default();
        for event in events {
            self.event(&mut segment, event, committed)?;
        }
        self.link(segment.events);
        Ok(())
    }

    /// Adds journalled events likewise, a few at a time: whoever asks meanwhile does not wait until
    /// thousands are written down.
    pub async fn journal(&mut self, events: &[Event]) -> Result<(), Error> {
        let mut segment = Segment::default();
        for few in events.chunks(AT_ONCE) {
            for event in few {
                self.event(&mut segment, event, false)?;
            }
            if few.len() == AT_ONCE {
                yield_now().await;
            }
        }
        self.link(segment.events);
        Ok(())
    }

    fn event(
        &mut self,
        segment: &mut Segment,
        event: &Event,
        committed: bool,
    ) -> Result<(), Error> {
        let sealed = self.sealer.seal(event, committed)?;
        if segment.is_full_for(&sealed) {
            self.link(std::mem::take(segment).events);
        }
        segment.push(sealed);
        Ok(())
    }

    /// Adds a delegation.
    pub fn delegation(&mut self, delegation: &Delegation) -> Result<(), Error> {
        let bad = Error::Corrupt { table: "delegation", what: "a token without an id" };
        self.rows.delegations.push(DelegationRow::of(delegation).ok_or(bad)?);
        Ok(())
    }

    /// Adds what a change uses up.
    pub fn effects(&mut self, effects: &Effects) {
        self.rows.once.extend(effects.once.iter().map(OnceRow::of));
        self.rows.budgets.extend(effects.open.iter().map(BudgetRow::of));
        for spend in &effects.spend {
            let calls = self.rows.spend.entry(spend.clone()).or_default();
            *calls = calls.saturating_add(1);
        }
    }

    /// Adds a revocation.
    pub fn revocation(&mut self, row: RevocationRow) {
        self.rows.revocations.push(row);
    }

    /// Adds a document, and the version that it makes if its kind has a history.
    pub fn document(&mut self, row: DocumentRow<'a>) {
        if KINDS_WITH_HISTORY.contains(&row.kind) {
            self.rows.versions.push(row);
        }
        self.rows.documents.push(row);
    }

    /// The commit as it is sent.
    pub fn finish(mut self) -> Sent<'a> {
        self.rows.keys = self
            .sealer
            .fresh()
            .map(|(subject, key)| KeyRow {
                id: Arc::clone(&key.id),
                issuer: Arc::clone(&subject.issuer),
                sub: Arc::clone(&subject.sub),
                key: *key.key.expose(),
                at: key.at.epoch_s(),
            })
            .collect();
        Sent { rows: self.rows, records: self.records, chain: self.chain }
    }

    fn link(&mut self, mut events: Vec<Sealed>) {
        if events.is_empty() {
            return;
        }
        // A link bears the time of its last event, and whoever searches from a moment on skips
        // links and index rows that are older: so the last is the latest, whoever came in first.
        events.sort_by_key(|event| event.at);
        let link = self.chain.link(&events, &mut self.records);
        for (n, event) in (0_i64..).zip(events) {
            if let Some(private) = event.private {
                self.rows.private.push(NewPrivate {
                    writer: Arc::clone(&link.writer),
                    seq: link.seq,
                    n,
                    key: private.key,
                    body: private.body,
                });
            }
            if let Some(index) = event.index {
                self.rows.index.push(NewIndex {
                    at: link.at,
                    writer: Arc::clone(&link.writer),
                    seq: link.seq,
                    n,
                    kind: index.kind,
                    outcome: index.outcome,
                    tool: index.tool,
                    actors: index.actors,
                    key: index.key,
                    txn: index.txn,
                    decision: index.decision,
                    error: index.error,
                });
            }
        }
        self.rows.links.push(link);
    }
}
