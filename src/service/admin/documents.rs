//! The documents that operators read and replace whole: clients, resources, issuers, edges.

use std::collections::HashMap;

use super::{
    Refused,
    changes::{self, Expected, Written},
    problem, refuse,
};
use crate::{
    base::{
        id::{ClientId, ResourceId},
        json::{self, Limits, Object, Value},
        time::Timestamp,
    },
    engine::{
        admin::{self, AT_THIS_WRITE},
        snapshot::{Config, Snapshot},
    },
    model::{event::Event, signing::SigningAlgorithm},
    registry::{self, Problem, operator::Operator},
    service::Deputy,
    store::{Document, Put},
};

/// The kinds of document, as the store names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `client`.
    Client,
    /// `credential`: one stored secret, as a hash. Never shown.
    Credential,
    /// `resource`.
    Resource,
    /// `tool`; its id is `resource/name`.
    Tool,
    /// `issuer`; its id is the alias.
    Issuer,
    /// `edge`; its id is `from>to`.
    Edge,
    /// `policy_set`; its id is `active`.
    PolicySet,
    /// `operator`; its token is stored as a hash. Never shown as it is.
    Operator,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Client => "client",
            Kind::Credential => "credential",
            Kind::Resource => "resource",
            Kind::Tool => "tool",
            Kind::Issuer => "issuer",
            Kind::Edge => "edge",
            Kind::PolicySet => "policy_set",
            Kind::Operator => "operator",
        }
    }
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its id within its kind.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// Its members.
    pub body: Object,
}

/// A page of documents, in order of id.
#[derive(Clone, Debug, Default)]
pub struct DocumentPage {
    /// Behind this id; `None` for the first page.
    pub after: Option<String>,
    /// How many, at least one.
    pub limit: usize,
}

/// The kinds that operators write as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A client, without its secrets.
    Client,
    /// A resource, without its tools.
    Resource,
    /// A trusted issuer.
    Issuer,
    /// An edge.
    Edge,
}

impl Whole {
    const fn kind(self) -> Kind {
        match self {
            Whole::Client => Kind::Client,
            Whole::Resource => Kind::Resource,
            Whole::Issuer => Kind::Issuer,
            Whole::Edge => Kind::Edge,
        }
    }

    const fn created(self) -> &'static str {
        match self {
            Whole::Client => "client.created",
            Whole::Resource => "resource.created",
            Whole::Issuer => "issuer.created",
            Whole::Edge => "edge.created",
        }
    }

    const fn replaced(self) -> &'static str {
        match self {
            Whole::Client => "client.replaced",
            Whole::Resource => "resource.replaced",
            Whole::Issuer => "issuer.replaced",
            Whole::Edge => "edge.replaced",
        }
    }
}

/// A document that was read and fits among the others.
struct Checked {
    id: String,
    body: String,
    client: Option<ClientId>,
    resource: Option<ResourceId>,
    /// What is signed for it: a key of that algorithm must be there.
    signing: Option<SigningAlgorithm>,
}

/// What a caller sends to replace a document.
#[derive(Clone, Debug)]
pub struct Sent<'a> {
    /// The document's id.
    pub id: String,
    /// The members that the caller's address gives.
    pub names: &'a [(&'static str, &'a str)],
    /// The document.
    pub body: &'a [u8],
    /// Which version it means to replace.
    pub expected: Expected,
}

/// The largest document; what `registry` reads.
const LIMITS: Limits = Limits { max_bytes: 262_144, ..Limits::DEFAULT };

impl Deputy {
    /// One document.
    pub async fn document(&self, kind: Kind, id: &str) -> Result<Stored, Refused> {
        let found = self.stored(kind, id).await?;
        found.ok_or_else(|| missing(kind, id))
    }

    /// Documents of one kind whose id begins with `prefix`, and the id behind which the next page
    /// begins.
    pub async fn documents(
        &self,
        kind: Kind,
        prefix: &str,
        page: &DocumentPage,
    ) -> Result<(Vec<Stored>, Option<String>), Refused> {
        let behind = |id: &str| page.after.as_deref().is_none_or(|after| id > after);
        let mut all: Vec<Document> = self.store().documents().await?;
        all.retain(|d| d.kind == kind.as_str() && d.id.starts_with(prefix) && behind(&d.id));
        all.sort_by(|a, b| a.id.cmp(&b.id));
        let more = all.len() > page.limit;
        all.truncate(page.limit.max(1));
        let items = all.into_iter().map(Stored::of).collect::<Result<Vec<Stored>, Refused>>()?;
        let next = items.last().filter(|_| more).map(|last| last.id.clone());
        Ok((items, next))
    }

    /// Creates a document whose address is its own. Clients have their own way, because they are
    /// made with a secret.
    pub async fn create(
        &self,
        operator: &Operator,
        whole: Whole,
        body: &[u8],
    ) -> Result<Stored, Refused> {
        let snapshot = self.newest_alone().await?;
        let checked = check(&snapshot.config, whole, &read(body)?.to_json())?;
        self.refuse_existing(whole.kind(), &checked.id).await?;
        let mut event = checked.event(&snapshot, operator, whole.created(), self.now());
        let mut puts = self.first_key(&snapshot, checked.signing, &mut event).await?;
        puts.push(changes::create(whole.kind(), &checked.id, checked.body));
        self.configure(puts, event).await?;
        self.document(whole.kind(), &checked.id).await
    }

    /// Replaces a document; an edge is created where there is none. `names` are the members that
    /// the caller's address gives: they may be left out of the body and must not differ from it.
    pub async fn replace(
        &self,
        operator: &Operator,
        whole: Whole,
        sent: Sent<'_>,
    ) -> Result<(Written, Stored), Refused> {
        let snapshot = self.newest_alone().await?;
        let kind = whole.kind();
        let body = named(read(sent.body)?, sent.names)?;
        let known = self.stored(kind, &sent.id).await?;
        if known.is_none() && whole != Whole::Edge {
            return Err(missing(kind, &sent.id));
        }
        sent.expected.check(known.as_ref().map_or(0, |known| known.version))?;
        let checked = check(&snapshot.config, whole, &body.to_json())?;
        let written = if known.is_some() { Written::Replaced } else { Written::Created };
        // What says nothing new is not written, so that nothing is judged again for it.
        if known.as_ref().is_none_or(|known| known.body.to_json() != checked.body) {
            let what = if known.is_some() { whole.replaced() } else { whole.created() };
            let mut event = checked.event(&snapshot, operator, what, self.now());
            let mut puts = self.first_key(&snapshot, checked.signing, &mut event).await?;
            puts.push(match &known {
                None => changes::create(kind, &checked.id, checked.body),
                Some(known) => changes::replace(kind, &checked.id, known.version, checked.body),
            });
            self.configure(puts, event).await?;
        }
        Ok((written, self.document(kind, &sent.id).await?))
    }

    /// The first key of an algorithm that nothing was signed with before, on record in `event`.
    pub(super) async fn first_key(
        &self,
        snapshot: &Snapshot,
        signing: Option<SigningAlgorithm>,
        event: &mut Event,
    ) -> Result<Vec<Put>, Refused> {
        let Some(signing) = signing else { return Ok(Vec::new()) };
        let put = self.first_signing_key(&snapshot.config.keys, signing).await?;
        event.detail.extend(put.iter().map(|put| ("kid".into(), put.id.clone())));
        Ok(put.into_iter().collect())
    }

    /// Refuses where there is such a document already.
    pub(super) async fn refuse_existing(&self, kind: Kind, id: &str) -> Result<(), Refused> {
        match self.stored(kind, id).await? {
            Some(_) => Err(Refused::Exists(format!("{} `{id}`", kind.as_str()))),
            None => Ok(()),
        }
    }

    /// The versions of all documents of one kind, by id.
    pub(super) async fn versions(&self, kind: Kind) -> Result<HashMap<String, u64>, Refused> {
        let all = self.store().documents().await?;
        let ours = all.into_iter().filter(|d| d.kind == kind.as_str());
        Ok(ours.map(|d| (d.id, d.version)).collect())
    }

    /// A document, where there is one.
    pub(super) async fn stored(&self, kind: Kind, id: &str) -> Result<Option<Stored>, Refused> {
        let all = self.store().documents().await?;
        let found = all.into_iter().find(|d| d.kind == kind.as_str() && d.id == id);
        found.map(Stored::of).transpose()
    }
}

impl Stored {
    fn of(document: Document) -> Result<Stored, Refused> {
        let mut body = read(document.body.as_bytes())?;
        if document.kind == Kind::Tool.as_str() && is_new(&body) {
            body.insert("changed_at", i64::try_from(document.revision).unwrap_or(i64::MAX));
        }
        Ok(Stored { id: document.id, version: document.version, body })
    }
}

/// Whether a tool's meaning changed with this very document.
fn is_new(body: &Object) -> bool {
    body.get("changed_at").and_then(Value::as_i64) == i64::try_from(AT_THIS_WRITE).ok()
}

pub(super) fn missing(kind: Kind, id: &str) -> Refused {
    Refused::Missing(format!("{} `{id}`", kind.as_str()))
}

/// Reads an object. `version` may stand in it, as it does in what was read before.
pub(super) fn read(body: &[u8]) -> Result<Object, Refused> {
    let value = json::parse(body, &LIMITS).map_err(|e| problem("", e.to_string()))?;
    let object = value.as_object().ok_or_else(|| problem("", "must be a JSON object"))?;
    Ok(object
        .iter()
        .filter(|(name, _)| *name != "version")
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect())
}

/// The object with the members that the caller's address gives.
pub(super) fn named(mut body: Object, names: &[(&'static str, &str)]) -> Result<Object, Refused> {
    let differs = |(name, value): &&(&'static str, &str)| {
        body.get(name).is_some_and(|told| told.as_str() != Some(*value))
    };
    let problems: Vec<Problem> = names
        .iter()
        .filter(differs)
        .map(|(name, value)| Problem {
            field: format!("/{name}"),
            message: format!("must be `{value}`, as in the address, or left out: it cannot change"),
        })
        .collect();
    refuse(problems)?;
    for (name, value) in names {
        body.insert(*name, Value::from(*value));
    }
    Ok(body)
}

fn check(config: &Config, whole: Whole, text: &str) -> Result<Checked, Refused> {
    let checked = match whole {
        Whole::Client => {
            let client = registry::client::parse(text)?;
            refuse(admin::client(config, &client))?;
            let checked = Checked::of(client.id.as_str(), registry::client::write(&client));
            let signing = Some(client.introspection_signing);
            Checked { client: Some(client.id), signing, ..checked }
        }
        Whole::Resource => {
            let resource = registry::resource::parse(text)?;
            refuse(admin::resource(config, &resource))?;
            let checked = Checked::of(resource.id.as_str(), registry::resource::write(&resource));
            let signing = Some(resource.token_signing);
            Checked { resource: Some(resource.id), signing, ..checked }
        }
        Whole::Issuer => {
            let issuer = registry::issuer::parse(text)?;
            refuse(admin::issuer(config, &issuer))?;
            Checked::of(issuer.alias.as_str(), registry::issuer::write(&issuer))
        }
        Whole::Edge => {
            let edge = registry::edge::parse(text)?;
            refuse(admin::edge(config, &edge))?;
            let checked = Checked::of(&registry::edge::id(&edge), registry::edge::write(&edge));
            Checked { client: Some(edge.from), ..checked }
        }
    };
    Ok(checked)
}

impl Checked {
    fn of(id: &str, body: String) -> Checked {
        Checked { id: id.to_owned(), body, client: None, resource: None, signing: None }
    }

    /// The event of writing it: `client.created`, `edge.replaced` …
    fn event(
        &self,
        snapshot: &Snapshot,
        by: &Operator,
        what: &'static str,
        now: Timestamp,
    ) -> Event {
        let mut event = admin::event(snapshot, by, what, now);
        event.client.clone_from(&self.client);
        event.resource.clone_from(&self.resource);
        event.detail.push(("document".into(), self.id.clone()));
        event
    }
}
