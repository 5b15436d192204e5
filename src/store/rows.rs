//! Rows, and how the nouns of `model` are written into them and read back. Never SQL, never a
//! decision; events have their own file, `record`.

use std::sync::Arc;

use serde::Serialize;
use sqlx::FromRow;

use crate::{
    base::{
        id::{ClientId, DelegationId, ResourceId, TransactionId, WriterId},
        time::Timestamp,
    },
    model::{
        authority::ToolName,
        delegation::{Delegation, Source},
        lease::Standing,
        revocation::{Bar, Revocation, Target},
        subject::Subject,
        token::OurKind,
    },
};

use super::error::Error;

/// The one row that numbers revocations and configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last revocation or configuration change.
    pub revision: u64,
    /// The number of the last configuration change.
    pub configured: u64,
}

/// One document of the administrator's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it describes: `client`, `resource` …
    pub kind: String,
    /// Its id within its kind.
    pub id: String,
    /// Its version: 1 when created, one more at each change.
    pub version: u64,
    /// The revision at which it last changed.
    pub revision: u64,
    /// Its JSON text.
    pub body: String,
}

/// One version of a document, as it was once in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentVersion {
    /// Its number.
    pub version: u64,
    /// The revision at which it came into force.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Its JSON text.
    pub body: String,
}

/// A delegation as it is stored: who, for whom, until when, and the token's claims as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredDelegation {
    /// Its id, also the token's `jti`.
    pub id: DelegationId,
    /// What it grew from.
    pub source: Source,
    /// Its transaction.
    pub txn: TransactionId,
    /// Which kind of token.
    pub kind: OurKind,
    /// For whom.
    pub subject: Subject,
    /// The client that holds it.
    pub holder: ClientId,
    /// The one audience.
    pub audience: String,
    /// How many delegations lie above it; zero for a root.
    pub depth: u64,
    /// The revision its root was judged at.
    pub root_revision: u64,
    /// The revision it was judged at.
    pub revision: u64,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The end of its life.
    pub expires_at: Timestamp,
    /// The claims exactly as they were signed.
    pub record: String,
}

#[derive(FromRow)]
pub(super) struct HeadRow {
    pub revision: i64,
    pub configured: i64,
}

/// Revocations as they are read, page by page.
pub(super) struct Revocations {
    after: i64,
    more: bool,
    all: Vec<Revocation>,
}

impl Revocations {
    /// Read at a time.
    pub const PAGE: i64 = 1_000;

    /// Those with a greater number.
    pub fn after(revision: u64) -> Revocations {
        Revocations { after: number(revision), more: true, all: Vec::new() }
    }

    /// Behind which number the next page begins; `None` when there is none.
    pub fn next(&self) -> Option<i64> {
        self.more.then_some(self.after)
    }

    /// Takes in a page.
    pub fn take(&mut self, rows: Vec<RevocationRow>) -> Result<(), Error> {
        self.more = number(rows.len()) == Revocations::PAGE;
        for row in rows {
            let revocation = Revocation::try_from(row)?;
            self.after = number(revocation.revision);
            self.all.push(revocation);
        }
        Ok(())
    }

    /// All of them, in order of number.
    pub fn done(self) -> Vec<Revocation> {
        self.all
    }
}

#[derive(FromRow)]
pub(super) struct InstanceRow {
    writer: String,
    turn: i64,
    applied: i64,
}

impl InstanceRow {
    /// What an instance says of itself.
    pub fn standing(self) -> Result<Standing, Error> {
        let corrupt = |what| Error::Corrupt { table: "instance", what };
        Ok(Standing {
            writer: WriterId::parse(&self.writer).map_err(|_| corrupt("`writer` is no id"))?,
            turn: count(self.turn).ok_or_else(|| corrupt("`turn` is negative"))?,
            applied: count(self.applied).ok_or_else(|| corrupt("`applied` is negative"))?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct StoredDocumentRow {
    pub kind: String,
    pub id: String,
    pub version: i64,
    pub revision: i64,
    pub body: String,
}

#[derive(FromRow)]
pub(super) struct VersionRow {
    version: i64,
    revision: i64,
    at: i64,
    body: String,
}

/// One put of a configuration change, with the version that it makes.
#[derive(Clone, Copy, Serialize)]
pub(super) struct DocumentRow<'a> {
    pub kind: &'a str,
    pub id: &'a str,
    pub version: i64,
    pub at: i64,
    pub body: &'a str,
}

#[derive(FromRow, Serialize)]
pub(super) struct DelegationRow {
    pub id: String,
    pub parent: Option<String>,
    pub source: String,
    pub txn: String,
    pub kind: String,
    pub subject_issuer: String,
    pub subject_sub: String,
    pub holder: String,
    pub audience: String,
    pub depth: i64,
    pub root_revision: i64,
    pub revision: i64,
    pub issued_at: i64,
    pub expires_at: i64,
    pub record: String,
}

#[derive(FromRow, Serialize)]
pub(super) struct RevocationRow {
    #[serde(skip)]
    revision: i64,
    kind: String,
    within: Option<String>,
    name: String,
    bar_kind: Option<String>,
    bar_id: Option<String>,
    bar_actor: Option<String>,
    at: i64,
}

/// `head` and one of the revocations after a number, if there is any.
#[derive(FromRow)]
pub(super) struct NewsRow {
    head_revision: i64,
    head_configured: i64,
    revision: Option<i64>,
    kind: Option<String>,
    within: Option<String>,
    name: Option<String>,
    bar_kind: Option<String>,
    bar_id: Option<String>,
    bar_actor: Option<String>,
    at: Option<i64>,
}

impl NewsRow {
    /// `head`.
    pub const fn head(&self) -> HeadRow {
        HeadRow { revision: self.head_revision, configured: self.head_configured }
    }

    /// The revocation. A column that may not be null is null only where there is none.
    pub fn revocation(self) -> Option<RevocationRow> {
        let NewsRow { within, bar_kind, bar_id, bar_actor, .. } = self;
        let (revision, kind) = (self.revision?, self.kind?);
        let (name, at) = (self.name?, self.at?);
        Some(RevocationRow { revision, kind, within, name, bar_kind, bar_id, bar_actor, at })
    }
}

const OUR_KINDS: [OurKind; 3] = [OurKind::Call, OurKind::HandOver, OurKind::Agent];

impl DelegationRow {
    /// The row of a delegation. `None` where it has no id: its path is empty.
    pub fn of(delegation: &Delegation) -> Option<DelegationRow> {
        let claims = &delegation.claims;
        Some(DelegationRow {
            id: claims.id()?.to_string(),
            parent: delegation.parent().map(|id| id.to_string()),
            source: match delegation.source {
                Source::Foreign => "foreign",
                Source::Own => "own",
                Source::Delegation(_) => "delegation",
            }
            .to_owned(),
            txn: claims.txn.to_string(),
            kind: claims.kind.as_str().to_owned(),
            subject_issuer: claims.subject.issuer.to_string(),
            subject_sub: claims.subject.sub.to_string(),
            holder: claims.client.to_string(),
            audience: claims.audience.to_string(),
            depth: number(claims.path.len().saturating_sub(1)),
            root_revision: number(claims.root_revision),
            revision: number(claims.revision),
            issued_at: claims.issued_at.epoch_s(),
            expires_at: claims.expires_at.epoch_s(),
            record: delegation.record.to_string(),
        })
    }
}

impl TryFrom<DelegationRow> for StoredDelegation {
    type Error = Error;

    fn try_from(row: DelegationRow) -> Result<StoredDelegation, Error> {
        let bad = |what| Error::Corrupt { table: "delegation", what };
        let time = |seconds| Timestamp::from_epoch_s(seconds).ok_or(bad("a time"));
        let source = match (row.source.as_str(), &row.parent) {
            ("foreign", None) => Source::Foreign,
            ("own", None) => Source::Own,
            ("delegation", Some(parent)) => {
                Source::Delegation(DelegationId::parse(parent).map_err(|_| bad("parent"))?)
            }
            _ => return Err(bad("source")),
        };
        Ok(StoredDelegation {
            id: DelegationId::parse(&row.id).map_err(|_| bad("id"))?,
            source,
            txn: TransactionId::parse(&row.txn).map_err(|_| bad("txn"))?,
            kind: OUR_KINDS.into_iter().find(|k| k.as_str() == row.kind).ok_or(bad("kind"))?,
            subject: Subject { issuer: row.subject_issuer.into(), sub: row.subject_sub.into() },
            holder: ClientId::parse(&row.holder).map_err(|_| bad("holder"))?,
            audience: row.audience,
            depth: count(row.depth).ok_or(bad("depth"))?,
            root_revision: count(row.root_revision).ok_or(bad("root_revision"))?,
            revision: count(row.revision).ok_or(bad("revision"))?,
            issued_at: time(row.issued_at)?,
            expires_at: time(row.expires_at)?,
            record: row.record,
        })
    }
}

impl RevocationRow {
    /// The row of a revocation; its number is given by the statement that makes it.
    pub fn of(target: &Target, bar: Option<&Bar>, at: Timestamp) -> RevocationRow {
        let (within, name) = match target {
            Target::Delegation(id) => (None, id.to_string()),
            Target::Transaction(id) => (None, id.to_string()),
            Target::Subject(subject) => (Some(subject.issuer.to_string()), subject.sub.to_string()),
            Target::Agent(id) => (None, id.to_string()),
            Target::Resource(id) => (None, id.to_string()),
            Target::Tool(resource, tool) => (Some(resource.to_string()), tool.to_string()),
            Target::Issuer(url) => (None, url.to_string()),
            Target::Everything => (None, String::new()),
        };
        let (bar_kind, bar_id, bar_actor) = match bar {
            None => (None, None, None),
            Some(Bar::Root(txn)) => (Some("root"), Some(txn.to_string()), None),
            Some(Bar::Child(id, actor)) => {
                (Some("child"), Some(id.to_string()), Some(actor.to_string()))
            }
        };
        RevocationRow {
            revision: 0,
            kind: target.kind().to_owned(),
            within,
            name,
            bar_kind: bar_kind.map(str::to_owned),
            bar_id,
            bar_actor,
            at: at.epoch_s(),
        }
    }

    fn target(&self) -> Option<Target> {
        let name = self.name.as_str();
        Some(match (self.kind.as_str(), self.within.as_deref()) {
            ("delegation", None) => Target::Delegation(DelegationId::parse(name).ok()?),
            ("transaction", None) => Target::Transaction(TransactionId::parse(name).ok()?),
            ("subject", Some(issuer)) => {
                Target::Subject(Subject { issuer: issuer.into(), sub: name.into() })
            }
            ("agent", None) => Target::Agent(ClientId::parse(name).ok()?),
            ("resource", None) => Target::Resource(ResourceId::parse(name).ok()?),
            ("tool", Some(resource)) => {
                Target::Tool(ResourceId::parse(resource).ok()?, ToolName::parse(name).ok()?)
            }
            ("issuer", None) => Target::Issuer(Arc::from(name)),
            ("everything", None) => Target::Everything,
            _ => return None,
        })
    }

    fn bar(&self) -> Result<Option<Bar>, Error> {
        let bad = |_| Error::Corrupt { table: "revocation", what: "bar" };
        Ok(match (self.bar_kind.as_deref(), &self.bar_id, &self.bar_actor) {
            (None, None, None) => None,
            (Some("root"), Some(txn), None) => {
                Some(Bar::Root(TransactionId::parse(txn).map_err(bad)?))
            }
            (Some("child"), Some(id), Some(actor)) => Some(Bar::Child(
                DelegationId::parse(id).map_err(bad)?,
                ClientId::parse(actor).map_err(bad)?,
            )),
            _ => return Err(Error::Corrupt { table: "revocation", what: "bar_kind" }),
        })
    }
}

impl TryFrom<RevocationRow> for Revocation {
    type Error = Error;

    /// A revocation that does not read back is an error, never skipped: skipping it would let
    /// what it ended live on.
    fn try_from(row: RevocationRow) -> Result<Revocation, Error> {
        let bad = |what| Error::Corrupt { table: "revocation", what };
        Ok(Revocation {
            revision: count(row.revision).ok_or(bad("revision"))?,
            target: row.target().ok_or(bad("target"))?,
            bar: row.bar()?,
            at: Timestamp::from_epoch_s(row.at).ok_or(bad("at"))?,
        })
    }
}

impl TryFrom<HeadRow> for Head {
    type Error = Error;

    fn try_from(row: HeadRow) -> Result<Head, Error> {
        let bad = Error::Corrupt { table: "head", what: "a negative number" };
        match (count(row.revision), count(row.configured)) {
            (Some(revision), Some(configured)) => Ok(Head { revision, configured }),
            _ => Err(bad),
        }
    }
}

impl TryFrom<StoredDocumentRow> for Document {
    type Error = Error;

    fn try_from(row: StoredDocumentRow) -> Result<Document, Error> {
        let bad = |what| Error::Corrupt { table: "document", what };
        Ok(Document {
            kind: row.kind,
            id: row.id,
            version: count(row.version).ok_or(bad("version"))?,
            revision: count(row.revision).ok_or(bad("revision"))?,
            body: row.body,
        })
    }
}

impl TryFrom<VersionRow> for DocumentVersion {
    type Error = Error;

    fn try_from(row: VersionRow) -> Result<DocumentVersion, Error> {
        let bad = |what| Error::Corrupt { table: "document_version", what };
        Ok(DocumentVersion {
            version: count(row.version).ok_or(bad("version"))?,
            revision: count(row.revision).ok_or(bad("revision"))?,
            at: Timestamp::from_epoch_s(row.at).ok_or(bad("at"))?,
            body: row.body,
        })
    }
}

/// A count as a column holds it. Counts grow by one; none reaches the end of `i64`.
pub(super) fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// A column as a count; `None` if it is negative.
pub(super) fn count(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}
