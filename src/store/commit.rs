//! What one commit consists of: rows for every table, in one JSON text, chained in order. Never
//! the moment of committing; that is the writer's.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{
    delegation::Delegation,
    effect::{Effects, Spend},
    event::Event,
};

use super::{
    KINDS_WITH_HISTORY,
    chain::{Chain, NewLink, hex},
    effects::{BudgetRow, OnceRow, spend_rows},
    error::Error,
    record::{Sealed, Sealer},
    rows::{DelegationRow, DocumentRow, RevocationRow},
};

/// The most events of one link.
pub(super) const SEGMENT_EVENTS: usize = 256;
/// The most bytes of one link's events; a single larger event has a link of its own.
const SEGMENT_BYTES: usize = 64 * 1024;

/// The rows of one commit.
#[derive(Default)]
struct Rows<'a> {
    delegations: Vec<DelegationRow>,
    revocations: Vec<RevocationRow>,
    documents: Vec<DocumentRow<'a>>,
    versions: Vec<DocumentRow<'a>>,
    keys: Vec<KeyRow>,
    once: Vec<OnceRow>,
    spend: BTreeMap<Spend, u32>,
    budgets: Vec<BudgetRow>,
    links: Vec<NewLink>,
    private: Vec<NewPrivate>,
    index: Vec<NewIndex>,
}

#[derive(Serialize)]
struct KeyRow {
    id: String,
    issuer: String,
    sub: String,
    key: String,
}

#[derive(Serialize)]
struct NewPrivate {
    writer: String,
    seq: i64,
    n: usize,
    key: String,
    body: String,
}

#[derive(Serialize)]
struct NewIndex {
    at: i64,
    writer: String,
    seq: i64,
    n: usize,
    kind: &'static str,
    outcome: &'static str,
    tool: Option<String>,
    actors: String,
    key: Option<String>,
    txn: Option<String>,
    decision: Option<String>,
    error: Option<String>,
}

/// A commit that is being put together.
pub(super) struct Draft<'a> {
    rows: Rows<'a>,
    chain: Chain,
    sealer: &'a mut Sealer,
}

/// A commit, ready to be sent.
pub(super) struct Sent {
    /// All rows.
    pub tables: Tables,
    /// The chain when everything is committed.
    pub chain: Chain,
    /// The calls it takes from budgets.
    pub spend: BTreeMap<Spend, u32>,
}

/// The rows of one commit as JSON, table by table.
pub(super) struct Tables([(&'static str, String); 11]);

impl Tables {
    fn of(rows: &Rows<'_>) -> serde_json::Result<Tables> {
        Ok(Tables([
            ("delegations", serde_json::to_string(&rows.delegations)?),
            ("revocations", serde_json::to_string(&rows.revocations)?),
            ("documents", serde_json::to_string(&rows.documents)?),
            ("versions", serde_json::to_string(&rows.versions)?),
            ("keys", serde_json::to_string(&rows.keys)?),
            ("once", serde_json::to_string(&rows.once)?),
            ("spend", serde_json::to_string(&spend_rows(&rows.spend))?),
            ("budgets", serde_json::to_string(&rows.budgets)?),
            ("links", serde_json::to_string(&rows.links)?),
            ("private", serde_json::to_string(&rows.private)?),
            ("index", serde_json::to_string(&rows.index)?),
        ]))
    }

    /// The rows of one table, as a JSON array; `None` when it has none.
    pub fn rows(&self, table: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| *name == table);
        found.map(|(_, rows)| rows.as_str()).filter(|rows| *rows != NO_ROWS)
    }

    /// All rows in one object.
    pub fn whole(&self) -> String {
        let members: Vec<String> =
            self.0.iter().map(|(name, rows)| format!("\"{name}\":{rows}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A table without rows.
pub(super) const NO_ROWS: &str = "[]";

impl<'a> Draft<'a> {
    /// An empty commit that continues `chain`.
    pub fn new(chain: Chain, sealer: &'a mut Sealer) -> Draft<'a> {
        Draft { rows: Rows::default(), chain, sealer }
    }

    /// The chain so far.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Adds journalled events, in as few links as their bounds allow.
    pub fn journal<'e>(&mut self, events: impl Iterator<Item = &'e Event>) -> Result<(), Error> {
        let mut segment: Vec<Sealed> = Vec::new();
        let mut bytes = 0_usize;
        for event in events {
            let sealed = self.sealer.seal(event, false)?;
            let longer = bytes.saturating_add(sealed.json.len());
            if segment.len() == SEGMENT_EVENTS || longer > SEGMENT_BYTES {
                self.link(std::mem::take(&mut segment));
                bytes = 0;
            }
            bytes = bytes.saturating_add(sealed.json.len());
            segment.push(sealed);
        }
        self.link(segment);
        Ok(())
    }

    /// Adds one event that is committed before its answer: a link of its own.
    pub fn event(&mut self, event: &Event) -> Result<(), Error> {
        let sealed = self.sealer.seal(event, true)?;
        self.link(vec![sealed]);
        Ok(())
    }

    /// Adds a delegation and its event.
    pub fn delegation(&mut self, delegation: &Delegation, event: &Event) -> Result<(), Error> {
        let bad = Error::Corrupt { table: "delegation", what: "a token without an id" };
        self.rows.delegations.push(DelegationRow::of(delegation).ok_or(bad)?);
        self.event(event)
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
    pub fn finish(mut self) -> Result<Sent, Error> {
        self.rows.keys = self
            .sealer
            .fresh()
            .map(|(subject, key)| KeyRow {
                id: key.id.clone(),
                issuer: subject.issuer.to_string(),
                sub: subject.sub.to_string(),
                key: hex(key.key.expose()),
            })
            .collect();
        let tables = Tables::of(&self.rows)
            .map_err(|_| Error::Corrupt { table: "journal", what: "a batch is no JSON" })?;
        Ok(Sent { tables, chain: self.chain, spend: self.rows.spend })
    }

    fn link(&mut self, events: Vec<Sealed>) {
        if events.is_empty() {
            return;
        }
        let link = self.chain.link(&events);
        for (n, event) in events.into_iter().enumerate() {
            if let Some(private) = event.private {
                self.rows.private.push(NewPrivate {
                    writer: link.writer.clone(),
                    seq: link.seq,
                    n,
                    key: private.key,
                    body: private.body,
                });
            }
            if let Some(index) = event.index {
                self.rows.index.push(NewIndex {
                    at: link.at,
                    writer: link.writer.clone(),
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
