//! Introspection: is this token live for *this* caller, and if a call is named, may it run?
//!
//! Inactive is one answer for unknown, expired, revoked, forged and not-for-you. A decision is made
//! only about a token that is valid and meant for the caller.

use std::sync::Arc;

use super::{
    authenticate::Authenticated,
    decide,
    exchange::mint,
    refusal::Refusal,
    snapshot::{Config, Snapshot},
    spend,
    verify::Verified,
};
use crate::{
    base::{
        id::{DecisionId, ResourceId},
        json,
        time::Timestamp,
    },
    model::{
        call::{Decision, Reason},
        effect::{Conflict, Effects},
        event::{Committed, Event, Kind, Outcome},
        resource::{Effect, Resource},
        token::{OurClaims, OurKind},
        uri::Uri,
    },
    oauth::introspection::{self, Hint, Question},
};

/// Everything that a question is judged by.
#[derive(Debug)]
pub struct Introspection<'a> {
    /// Who asks.
    pub caller: &'a Authenticated,
    /// The token, if it proved to be one of ours.
    pub token: Option<&'a Verified<OurClaims>>,
    /// The question.
    pub question: &'a Question,
    /// A fresh id.
    pub id: DecisionId,
}

/// What was judged.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Nothing that this caller may know.
    Inactive,
    /// A plain question about a live token; not recorded.
    Active(String),
    /// A decision that may be answered now and journalled.
    Decided(String, Box<Event>),
    /// An allow that must be committed before it is answered.
    Tentative(Box<Tentative<'a>>),
}

/// An allow that is not yet one: its event must be committed first, with all that it uses up.
#[derive(Debug)]
pub struct Tentative<'a> {
    issuer: &'a str,
    claims: &'a OurClaims,
    decision: Decision,
    event: Event,
    effects: Effects,
}

impl Tentative<'_> {
    /// The event to commit.
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// What to use up with it, all or none: there is no allow without it.
    pub const fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The answer, now that the event was committed, or an earlier one about the same question.
    pub fn settle(self, committed: &Committed) -> String {
        let id = committed.repeats().unwrap_or(self.decision.id);
        let decision = Decision { id, ..self.decision };
        introspection::active(self.issuer, self.claims, Some(&decision))
    }

    /// The denial that it is instead, and its event; or the refusal of the caller.
    pub fn refuse(self, conflict: Conflict) -> Result<(String, Event), Refusal> {
        let reason = spend::reason(conflict).ok_or(Refusal::UsedUp(conflict))?;
        let decision = Decision { allow: false, reason, ..self.decision };
        let outcome = Outcome::Refused;
        let event = Event { outcome, reason: reason.as_str().into(), ..self.event };
        Ok((introspection::denied(self.claims, &decision, None), event))
    }
}

/// Judges a question.
pub fn judge<'a>(snapshot: &'a Snapshot, asked: &Introspection<'a>, now: Timestamp) -> Verdict<'a> {
    let live = asked
        .token
        .map(Verified::get)
        .filter(|claims| claims.kind == OurKind::Call && snapshot.is_live(claims, now).is_ok())
        .and_then(|claims| meant_for(snapshot, asked, claims).map(|resource| (claims, resource)));
    let Some((claims, resource)) = live else { return Verdict::Inactive };
    let issuer = &snapshot.config.issuer;
    let Some(call) = &asked.question.call else {
        return Verdict::Active(introspection::active(issuer, claims, None));
    };
    let question =
        decide::Question { id: asked.id, tool: &call.tool, arguments: call.arguments.as_deref() };
    let decision = decide::decide(snapshot, claims, &resource, &question);
    let event = decision_event(snapshot, asked, (claims, &resource), &decision, now);
    if !decision.allow {
        let hint = hint(&snapshot.config, claims, &resource, &decision);
        let answer = introspection::denied(claims, &decision, hint.as_ref());
        return Verdict::Decided(answer, Box::new(event));
    }
    let effects = spend::effects(claims, &question, call.call_id.as_deref());
    if decision.effect.is_none_or(Effect::is_committed_first) || !effects.spend.is_empty() {
        Verdict::Tentative(Box::new(Tentative { issuer, claims, decision, event, effects }))
    } else {
        let answer = introspection::active(issuer, claims, Some(&decision));
        Verdict::Decided(answer, Box::new(event))
    }
}

/// IN-5: the caller owns the token's audience, and, if it names a resource, names that one.
fn meant_for(
    snapshot: &Snapshot,
    asked: &Introspection<'_>,
    claims: &OurClaims,
) -> Option<Arc<Resource>> {
    let resource = snapshot.resource_of(claims)?;
    if resource.owner != asked.caller.client().id {
        return None;
    }
    let named = match &asked.question.resource {
        Some(named) => Uri::parse(named).is_ok_and(|uri| uri == resource.uri),
        // A client that owns several must say which one is about to act.
        None => asked.question.call.is_none() || owns_only_one(&snapshot.config, asked.caller),
    };
    named.then(|| Arc::clone(resource))
}

fn owns_only_one(config: &Config, caller: &Authenticated) -> bool {
    config.owned_by(&caller.client().id).take(2).count() == 1
}

/// Which scope would cure it: told for `read` tools or where the resource opts in, and only inside
/// the agent's allowance.
fn hint(
    config: &Config,
    claims: &OurClaims,
    resource: &Resource,
    decision: &Decision,
) -> Option<Hint> {
    if decision.reason != Reason::ScopeMissing {
        return None;
    }
    let tool = decision.tool.as_ref().and_then(|name| resource.tools.get(name))?;
    let safe = tool.effect == Effect::Read || resource.step_up_hints;
    let agent = config.client(&claims.client)?.agent.as_ref()?;
    let allowance = if claims.own { &agent.own_allowance } else { &agent.allowance };
    let within = allowance
        .entries()
        .iter()
        .any(|entry| entry.resource == resource.id && tool.scopes.is_subset(&entry.scope));
    (safe && within).then(|| {
        let required_scope = tool.scopes.to_string();
        let metadata = resource_metadata_url(config, &resource.id);
        let challenge = introspection::insufficient_scope(&required_scope, &metadata);
        Hint { required_scope, challenge }
    })
}

/// Where the protected resource metadata of a resource is published. PR-2.
pub fn resource_metadata_url(config: &Config, id: &ResourceId) -> String {
    format!("{}/resources/{id}/oauth-protected-resource", config.public_url)
}

fn decision_event(
    snapshot: &Snapshot,
    asked: &Introspection<'_>,
    (claims, resource): (&OurClaims, &Resource),
    decision: &Decision,
    now: Timestamp,
) -> Event {
    let call = asked.question.call.as_ref();
    Event {
        at: now,
        kind: Kind::Decision,
        outcome: if decision.allow { Outcome::Granted } else { Outcome::Refused },
        reason: decision.reason.as_str().into(),
        client: Some(asked.caller.client().id.clone()),
        subject: Some(claims.subject.clone()),
        chain: mint::hops(&snapshot.config.issuer, claims, None),
        resource: Some(resource.id.clone()),
        tool: call.map(|c| c.tool.chars().take(128).collect::<String>().into()),
        effect: decision.effect,
        txn: Some(claims.txn),
        delegation: claims.id(),
        parent: None,
        decision: Some(decision.id),
        error: None,
        revision: snapshot.revision,
        detail: kept(asked, resource, decision),
    }
}

/// What an operator may read about the call later: the argument it failed on, and the values that
/// the tool's registration says may be kept.
fn kept(
    asked: &Introspection<'_>,
    resource: &Resource,
    decision: &Decision,
) -> Vec<(Arc<str>, String)> {
    let mut detail: Vec<(Arc<str>, String)> = Vec::new();
    if let Some(argument) = &decision.argument {
        detail.push(("argument".into(), argument.clone()));
    }
    let tool = decision.tool.as_ref().and_then(|name| resource.tools.get(name));
    let arguments = asked
        .question
        .call
        .as_ref()
        .and_then(|call| call.arguments.as_deref())
        .and_then(|text| json::parse(text.as_bytes(), &json::Limits::DEFAULT).ok());
    let arguments = arguments.as_ref().and_then(json::Value::as_object);
    for pointer in tool.iter().flat_map(|tool| &tool.keep_arguments) {
        if let Some(value) = arguments.and_then(|object| at_pointer(object, pointer)) {
            detail.push((format!("arguments{pointer}").into(), value.to_json()));
        }
    }
    detail
}

/// The value at a JSON Pointer (RFC 6901) that leads through objects only.
fn at_pointer<'a>(object: &'a json::Object, pointer: &str) -> Option<&'a json::Value> {
    let segments = pointer.strip_prefix('/')?.split('/');
    let mut segments = segments.map(|segment| segment.replace("~1", "/").replace("~0", "~"));
    let first = object.get(&segments.next()?)?;
    segments.try_fold(first, |value, segment| value.as_object()?.get(&segment))
}
