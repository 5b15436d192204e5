//! Revocation by an operator: what is ended, what may not come back, and the record of it.

use super::{Refused, documents::read, problem, refuse};
use crate::{
    base::{
        id::{ClientId, DelegationId, NotAnId, ResourceId, TransactionId},
        json::{Object, Value},
    },
    engine::{
        revoke::{self, Intent},
        snapshot::{Config, Snapshot},
    },
    model::{
        authority::ToolName,
        delegation::Source,
        event::{Event, Kind},
        revocation::Target,
        subject::Subject,
    },
    registry::{Problem, operator::Operator},
    service::Deputy,
    store::StoredDelegation,
};

/// What an operator wants ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What.
    pub target: Target,
    /// The member that said so, as it was sent.
    pub said: Object,
}

const ONE_OF: &str = "must have exactly one of `delegation`, `transaction`, `subject`, `agent`, \
                      `resource`, `tool`, `issuer` and `everything`";

impl Order {
    /// Reads a request; it has exactly one member.
    pub fn parse(body: &[u8]) -> Result<Order, Refused> {
        let said = read(body)?;
        let mut members = said.iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return Err(problem("", ONE_OF).into());
        };
        let target = match name {
            "delegation" => Target::Delegation(id(name, value, DelegationId::parse)?),
            "transaction" => Target::Transaction(id(name, value, TransactionId::parse)?),
            "agent" => Target::Agent(id(name, value, ClientId::parse)?),
            "resource" => Target::Resource(id(name, value, ResourceId::parse)?),
            "issuer" => Target::Issuer(text(value, "/issuer")?.into()),
            "everything" if value.as_bool() == Some(true) => Target::Everything,
            "everything" => return Err(problem("/everything", "must be `true`").into()),
            "subject" => {
                let (iss, sub) = pair(value, "/subject", ["iss", "sub"])?;
                Target::Subject(Subject { issuer: iss.into(), sub: sub.into() })
            }
            "tool" => {
                let (resource, name) = pair(value, "/tool", ["resource", "name"])?;
                let resource = ResourceId::parse(resource)
                    .map_err(|e| problem("/tool/resource", e.to_string()))?;
                let name =
                    ToolName::parse(name).map_err(|e| problem("/tool/name", e.to_string()))?;
                Target::Tool(resource, name)
            }
            _ => return Err(problem("", ONE_OF).into()),
        };
        Ok(Order { target, said: said.clone() })
    }
}

impl Deputy {
    /// Ends what the order names. When this returns, no answer to a later request says `active`
    /// for it. Returns the revocation's number.
    pub async fn revoke_by_order(
        &self,
        operator: &Operator,
        order: &Order,
    ) -> Result<u64, Refused> {
        let snapshot = self.newest().await?;
        refuse(unknown(&snapshot.config, &order.target))?;
        let now = self.now();
        let mut event = Event::new(Kind::Revocation, "by_operator", now, snapshot.revision);
        event.detail.push(("operator".into(), operator.name.to_string()));
        let intent = match &order.target {
            Target::Delegation(id) => {
                let found = self.store().delegation(*id).await?;
                let found = found.ok_or_else(|| Refused::Missing(format!("delegation `{id}`")))?;
                of_delegation(&snapshot, &found, event)
            }
            target => Intent { target: target.clone(), bar: None, event: named(target, event) },
        };
        Ok(self.revoke(intent, now).await?)
    }
}

/// The delegation with its subtree, and its source for its holder: nothing comes back by another
/// door.
fn of_delegation(snapshot: &Snapshot, found: &StoredDelegation, event: Event) -> Intent {
    let bar = revoke::bar_of(&found.source, found.txn, &found.holder);
    let parent = match &found.source {
        Source::Delegation(parent) => Some(*parent),
        Source::Foreign | Source::Own => None,
    };
    let event = Event {
        client: Some(found.holder.clone()),
        subject: Some(found.subject.clone()),
        resource: snapshot.config.resource_at_text(&found.audience).map(|r| r.id.clone()),
        txn: Some(found.txn),
        delegation: Some(found.id),
        parent,
        ..event
    };
    Intent { target: Target::Delegation(found.id), bar, event }
}

/// The event with what the target names.
fn named(target: &Target, event: Event) -> Event {
    match target {
        Target::Delegation(id) => Event { delegation: Some(*id), ..event },
        Target::Transaction(txn) => Event { txn: Some(*txn), ..event },
        Target::Subject(subject) => Event { subject: Some(subject.clone()), ..event },
        Target::Agent(id) => Event { client: Some(id.clone()), ..event },
        Target::Resource(id) => Event { resource: Some(id.clone()), ..event },
        Target::Tool(id, tool) => {
            Event { resource: Some(id.clone()), tool: Some(tool.as_str().into()), ..event }
        }
        Target::Issuer(url) => {
            let mut event = event;
            event.detail.push(("issuer".into(), url.to_string()));
            event
        }
        Target::Everything => {
            let mut event = event;
            event.detail.push(("everything".into(), "true".into()));
            event
        }
    }
}

/// What a slip of the pen names must not look revoked. Transactions and subjects are not looked
/// up: the foreign token behind them may live longer than anything that we keep of it.
pub(super) fn unknown(config: &Config, target: &Target) -> Vec<Problem> {
    let issuer_known = |url: &str| config.issuer(url).is_some() || *url == *config.issuer;
    match target {
        Target::Subject(subject) if !issuer_known(&subject.issuer) => {
            problem("/subject/iss", "is no trusted issuer: write its exact `iss`")
        }
        Target::Agent(id) if config.client(id).is_none() => problem("/agent", "is no client"),
        Target::Resource(id) if config.resource(id).is_none() => {
            problem("/resource", "is no resource: write its id, not its URI")
        }
        Target::Tool(id, name)
            if !config.resource(id).is_some_and(|r| r.tools.contains_key(name)) =>
        {
            problem("/tool", format!("`{name}` is no registered tool of `{id}`"))
        }
        Target::Issuer(url) if !issuer_known(url) => {
            problem("/issuer", "is no trusted issuer: write its exact `iss`")
        }
        Target::Delegation(_)
        | Target::Transaction(_)
        | Target::Subject(_)
        | Target::Agent(_)
        | Target::Resource(_)
        | Target::Tool(..)
        | Target::Issuer(_)
        | Target::Everything => Vec::new(),
    }
}

fn id<T>(
    name: &str,
    value: &Value,
    parse: impl FnOnce(&str) -> Result<T, NotAnId>,
) -> Result<T, Refused> {
    let at = format!("/{name}");
    parse(text(value, &at)?).map_err(|e| problem(&at, e.to_string()).into())
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, Refused> {
    let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= 512);
    text.ok_or_else(|| problem(at, "must be a string of 1 to 512 bytes").into())
}

fn pair<'a>(value: &'a Value, at: &str, names: [&str; 2]) -> Result<(&'a str, &'a str), Refused> {
    let [first, second] = names;
    let wrong = || problem(at, format!("must be an object with `{first}` and `{second}` alone"));
    let object = value.as_object().filter(|object| object.len() == 2).ok_or_else(wrong)?;
    let member = |name| object.get(name).ok_or_else(wrong);
    let a = text(member(first)?, &format!("{at}/{first}"))?;
    Ok((a, text(member(second)?, &format!("{at}/{second}"))?))
}
