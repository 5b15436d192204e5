//! Revocations, delegations, audit events: what operators end and what they look up.

use std::collections::BTreeSet;

use super::{Answered, Asked, Problem, Reply};
use crate::{
    base::{
        compose::ObjectWriter,
        id::{ClientId, DecisionId, DelegationId, ErrorId, ResourceId, TransactionId},
        time::Timestamp,
    },
    model::{
        delegation::Source,
        event::{Hop, Kind, Outcome},
        resource::Effect,
        subject::Subject,
    },
    oauth::introspection,
    service::{
        Deputy,
        admin::{DelegationView, Order, Radius, erase::Erasure},
    },
    store::{Broken, DelegationFilter, EventFilter, StoredEvent},
};

/// Ends what the body names; answered when it is ended.
pub async fn revoke(deputy: Deputy, asked: Asked) -> Answered {
    let order = Order::parse(&asked.body)?;
    let revision = deputy.revoke_by_order(&asked.operator, &order).await?;
    let body =
        ObjectWriter::new().count("revision", revision).raw("revoked", &order.said.to_json());
    Ok(Reply::ok(body.finish()))
}

/// What the body names would end, if it were revoked now. Nothing is.
pub async fn preview(deputy: Deputy, asked: Asked) -> Answered {
    let order = Order::parse(&asked.body)?;
    let radius = deputy.radius_of(&order).await?;
    let shown: Vec<String> = radius.shown.iter().map(delegation_json).collect();
    let users = radius.users.iter().take(Radius::SHOWN_MAX);
    let users = users.map(|(iss, sub)| ObjectWriter::new().text("iss", iss).text("sub", sub));
    let users: Vec<String> = users.map(ObjectWriter::finish).collect();
    let first = |names: &BTreeSet<String>| -> Vec<String> {
        names.iter().take(Radius::SHOWN_MAX).cloned().collect()
    };
    let size = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let counts = ObjectWriter::new()
        .count("delegations", radius.delegations)
        .count("users", size(radius.users.len()))
        .count("agents", size(radius.agents.len()))
        .count("audiences", size(radius.audiences.len()));
    let body = ObjectWriter::new()
        .raw("order", &order.said.to_json())
        .raw("counts", &counts.finish())
        .flag("complete", radius.complete)
        .raw("users", &format!("[{}]", users.join(",")))
        .texts("agents", first(&radius.agents).iter().map(String::as_str))
        .texts("audiences", first(&radius.audiences).iter().map(String::as_str))
        .raw("delegations", &format!("[{}]", shown.join(",")));
    Ok(Reply::ok(body.finish()))
}

/// Delegations, newest first.
pub async fn delegations(deputy: Deputy, asked: Asked) -> Answered {
    let filter = DelegationFilter {
        txn: asked.filter("transaction", TransactionId::parse)?,
        subject: subject(&asked)?,
        holder: asked.filter("client", ClientId::parse)?,
        parent: asked.filter("parent", DelegationId::parse)?,
        live_at: None,
    };
    let only_live = asked.filter("live", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be `true` or `false`"),
    })?;
    let found = deputy.delegations(filter, only_live.unwrap_or(false), &asked.page()?).await?;
    let next = found.next.map(|next| next.to_string());
    Ok(Reply::list(&found.items.iter().map(delegation_json).collect::<Vec<_>>(), next.as_deref()))
}

/// One delegation.
pub async fn delegation(deputy: Deputy, asked: Asked) -> Answered {
    let id = asked.id("delegation", DelegationId::parse)?;
    Ok(Reply::ok(delegation_json(&deputy.delegation(id).await?)))
}

/// Audit events, newest first.
pub async fn events(deputy: Deputy, asked: Asked) -> Answered {
    let client = asked.filter("client", ClientId::parse)?;
    let agent = asked.filter("agent", ClientId::parse)?;
    let filter = EventFilter {
        subject: subject(&asked)?,
        actor: agent.as_ref().or(client.as_ref()).map(|id| id.as_str().into()),
        tool: asked.query("tool").map(Into::into),
        txn: asked.filter("transaction", TransactionId::parse)?,
        kind: word(&asked, "kind", &Kind::ALL, Kind::as_str)?,
        outcome: word(&asked, "outcome", &Outcome::ALL, Outcome::as_str)?,
        decision: asked.filter("decision", DecisionId::parse)?,
        error: asked.filter("error_id", ErrorId::parse)?,
        since: asked.filter("since", moment)?,
    };
    let mut found = deputy.events(&filter, &asked.page()?).await?;
    found.items.retain(|e| client.is_none() || e.event.client == client);
    let next = found.next.map(|next| next.to_string());
    Ok(Reply::list(&found.items.iter().map(event_json).collect::<Vec<_>>(), next.as_deref()))
}

/// Whether the audit log is whole.
pub async fn verify(deputy: Deputy, _asked: Asked) -> Answered {
    // Ten million events take a minute or two.
    Reply::late(async move {
        let report = deputy.verify_audit().await?;
        let problem = report.broken.as_ref().map(Broken::to_json);
        // Of this process since it started: journalled events for which there was no room.
        let lost = deputy.store().writer().lost();
        Ok(report.write(problem.as_deref()).count("lost", lost).finish())
    })
    .await
}

/// What leads to a person is destroyed.
pub async fn erase(deputy: Deputy, asked: Asked) -> Answered {
    let order = Erasure::parse(&asked.body)?;
    let destroyed = deputy.erase(&asked.operator, &order).await?;
    let told = ObjectWriter::new()
        .flag("dry_run", order.dry_run)
        .count("keys", destroyed.keys)
        .count("delegations", destroyed.delegations);
    Ok(Reply::ok(told.finish()))
}

/// The audit log as a file that proves itself.
pub async fn export(deputy: Deputy, asked: Asked) -> Answered {
    let persons = match asked.query("persons") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Problem::parameter("persons", "must be `true` or `false`")),
    };
    Ok(Reply::lines(deputy.export_audit(persons).await?))
}

/// The last checkpoint, to be noted elsewhere.
pub async fn checkpoint(deputy: Deputy, _asked: Asked) -> Answered {
    let (n, jws) = deputy.last_checkpoint().await?;
    Ok(Reply::ok(ObjectWriter::new().count("n", n).text("checkpoint", &jws).finish()))
}

fn subject(asked: &Asked) -> Result<Option<Subject>, Problem> {
    match (asked.query("subject_iss"), asked.query("subject_sub")) {
        (None, None) => Ok(None),
        (Some(issuer), Some(sub)) => Ok(Some(Subject { issuer: issuer.into(), sub: sub.into() })),
        (Some(_), None) => {
            Err(Problem::parameter("subject_sub", "is missing beside `subject_iss`"))
        }
        (None, Some(_)) => {
            Err(Problem::parameter("subject_iss", "is missing beside `subject_sub`"))
        }
    }
}

fn word<T: Copy>(
    asked: &Asked,
    name: &str,
    all: &[T],
    text: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    asked.filter(name, |sent| {
        all.iter().copied().find(|one| text(*one) == sent).ok_or_else(|| {
            let words: Vec<&str> = all.iter().map(|one| text(*one)).collect();
            format!("must be one of `{}`", words.join("`, `"))
        })
    })
}

fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let parsed = text.parse().ok().and_then(Timestamp::from_epoch_s);
    parsed.ok_or("must be seconds since 1970-01-01T00:00:00Z")
}

fn subject_json(subject: &Subject) -> String {
    ObjectWriter::new().text("iss", &subject.issuer).text("sub", &subject.sub).finish()
}

fn delegation_json(view: &DelegationView) -> String {
    let stored = &view.stored;
    let parent = match &stored.source {
        Source::Delegation(parent) => Some(parent.to_string()),
        Source::Foreign | Source::Own => None,
    };
    let chain = view.chain.iter().map(|actor| {
        ObjectWriter::new().text("sub", &actor.sub).text("iss", &actor.issuer).finish()
    });
    let chain: Vec<String> = chain.collect();
    ObjectWriter::new()
        .text("id", &stored.id.to_string())
        .text("kind", stored.kind.as_str())
        .text("transaction", &stored.txn.to_string())
        .maybe_text("parent", parent.as_deref())
        .raw("subject", &subject_json(&stored.subject))
        .text("client", stored.holder.as_str())
        .raw("chain", &format!("[{}]", chain.join(",")))
        .text("audience", &stored.audience)
        .count("depth", stored.depth)
        .number("issued_at", stored.issued_at.epoch_s())
        .number("expires_at", stored.expires_at.epoch_s())
        .count("revision", stored.revision)
        .flag("live", view.dead.is_none())
        .maybe_text("ended_because", view.dead)
        .raw("claims", &stored.record)
        .finish()
}

/// An event.
pub(super) fn event_json(found: &StoredEvent) -> String {
    let event = &found.event;
    let chain: Vec<String> = event.chain.iter().map(hop_json).collect();
    let mut detail = ObjectWriter::new();
    for (name, value) in &event.detail {
        detail = detail.text(name, value);
    }
    let writer = ObjectWriter::new()
        .number("at", event.at.epoch_s())
        .text("kind", event.kind.as_str())
        .text("outcome", event.outcome.as_str())
        .text("reason", &event.reason)
        .maybe_text("client", event.client.as_ref().map(ClientId::as_str))
        .maybe_raw("subject", event.subject.as_ref().map(subject_json).as_deref())
        .raw("chain", &format!("[{}]", chain.join(",")))
        .maybe_text("resource", event.resource.as_ref().map(ResourceId::as_str))
        .maybe_text("tool", event.tool.as_deref())
        .maybe_text("effect", event.effect.map(Effect::as_str))
        .maybe_text("transaction", event.txn.map(|id| id.to_string()).as_deref())
        .maybe_text("delegation", event.delegation.map(|id| id.to_string()).as_deref())
        .maybe_text("parent", event.parent.map(|id| id.to_string()).as_deref())
        .maybe_text("decision", event.decision.map(|id| id.to_string()).as_deref())
        .maybe_text("error_id", event.error.map(|id| id.to_string()).as_deref())
        .count("revision", event.revision)
        .raw("detail", &detail.finish());
    if found.erased { writer.flag("erased", true).finish() } else { writer.finish() }
}

/// One actor of a chain.
pub(super) fn hop_json(hop: &Hop) -> String {
    introspection::hop(&hop.sub, &hop.issuer, hop.provenance, hop.via.as_deref())
}
