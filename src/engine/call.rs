//! One call, judged: the road that all doors share, from a token that proved to be ours to a
//! decision and its event. How a question came in and how its answer goes out is a door's matter
//! and never known here.
//!
//! A token that is not live, or not meant for whoever asks, is one answer without any detail.
//! Whoever renders a decision needs a [`Decided`], and only this file makes one: an allow that must
//! be on record first cannot be told before it is.

use super::{
    authenticate::Authenticated,
    decide::{self, Unproved},
    dpop::{self, Holder, ProofFault, Shown},
    kept,
    refusal::Refusal,
    snapshot::{Config, Snapshot},
    spend,
    verify::Verified,
};
use crate::{
    base::{id::DecisionId, time::Timestamp},
    model::{
        call::{Call, Decision},
        effect::{Conflict, Effects},
        event::{Committed, Event, Kind, Outcome},
        resource::{Effect, Resource},
        token::{OurClaims, OurKind},
        uri::Uri,
    },
};

/// What is asked, by whom, about which token.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: &'a Authenticated,
    /// The token, if it proved to be one of ours.
    pub token: Option<&'a Verified<OurClaims>>,
    /// The resource that is about to act, as it was named.
    pub resource: Option<&'a str>,
    /// Whom the caller takes the token to be for, where it says so.
    pub subject: Option<&'a str>,
    /// The call that is about to be made; `None`: is the token live at all?
    pub call: Option<&'a Call<'a>>,
    /// A fresh id for the decision.
    pub id: DecisionId,
}

/// A token that is live and meant for the caller.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// What it says.
    pub claims: &'a OurClaims,
    /// The resource it is for.
    pub resource: &'a Resource,
}

/// What was judged.
#[derive(Debug)]
pub enum Judged<'a> {
    /// Nothing that this caller may know.
    Inactive,
    /// A live token, and no call was named; not recorded.
    Live(Held<'a>),
    /// A decision that may be answered now and journalled.
    Decided(Box<Decided<'a>>, Box<Event>),
    /// An allow that must be committed before it is answered.
    Tentative(Box<Tentative<'a>>),
}

/// A decision that may be told.
#[derive(Debug)]
pub struct Decided<'a> {
    held: Held<'a>,
    decision: Decision,
}

impl<'a> Decided<'a> {
    /// The token it was made about.
    pub const fn held(&self) -> Held<'a> {
        self.held
    }

    /// The decision.
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }
}

/// An allow that is not yet one: its event must be committed first, with all that it uses up.
#[derive(Debug)]
pub struct Tentative<'a> {
    decided: Decided<'a>,
    event: Event,
    effects: Effects,
}

impl<'a> Tentative<'a> {
    /// The event to commit.
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// What to use up with it, all or none: there is no allow without it.
    pub const fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The decision, now that its event was committed; or the one that was committed before, when
    /// the same was asked.
    pub fn settle(self, committed: &Committed) -> Decided<'a> {
        let Decided { held, decision } = self.decided;
        let id = committed.repeats().unwrap_or(decision.id);
        Decided { held, decision: Decision { id, ..decision } }
    }

    /// The denial that it is instead, and its event, as what it would use up is used up; or the
    /// refusal of the caller.
    pub fn refuse(self, conflict: Conflict) -> Result<(Decided<'a>, Event), Refusal> {
        let reason = spend::reason(conflict).ok_or(Refusal::UsedUp(conflict))?;
        let Decided { held, decision } = self.decided;
        let decision = Decision { allow: false, reason, ..decision };
        let outcome = Outcome::Refused;
        let event = Event { outcome, reason: reason.as_str().into(), ..self.event };
        Ok((Decided { held, decision }, event))
    }
}

/// Judges what is asked.
pub fn judge<'a>(snapshot: &'a Snapshot, asked: &Asked<'a>, now: Timestamp) -> Judged<'a> {
    let Some(held) = held(snapshot, asked, now) else { return Judged::Inactive };
    let Some(call) = asked.call else { return Judged::Live(held) };
    let holder = holder(call, now);
    let question = decide::Question {
        id: asked.id,
        subject: asked.subject,
        tool: &call.tool,
        arguments: call.arguments.as_deref(),
        holder: holder.as_ref().map(|h| h.as_ref().map(Holder::key)).map_err(|_| Unproved),
        now,
    };
    let decision =
        decide::decide(snapshot, held.claims, held.resource, &question, &mut decide::Untraced);
    let event = event(snapshot, asked, held, &decision, now);
    // What is used up is committed first, like what changes the world.
    let here = &held.resource.uri;
    let proved = holder.as_ref().ok().and_then(Option::as_ref);
    let committed_first = decision.effect.is_none_or(Effect::is_committed_first);
    let uses_up = proved.is_some() || spend::is_counted(held.claims, here);
    let first = decision.allow && (committed_first || uses_up);
    let decided = Decided { held, decision };
    if first {
        let mut effects = spend::effects(held.claims, here, &question, call.call_id.as_deref());
        effects.once.extend(proved.map(|holder| holder.once().clone()));
        Judged::Tentative(Box::new(Tentative { decided, event, effects }))
    } else {
        Judged::Decided(Box::new(decided), Box::new(event))
    }
}

/// Who made the request to the server, by the proof that it sent along.
fn holder(call: &Call<'_>, now: Timestamp) -> Result<Option<Holder>, ProofFault> {
    let proof = call.proof.as_ref().map(|shown| {
        let request = Shown { method: &shown.method, uri: &shown.uri, token: Some(&shown.token) };
        dpop::verify(&shown.jwt, request, now)
    });
    proof.transpose()
}

fn held<'a>(snapshot: &'a Snapshot, asked: &Asked<'a>, now: Timestamp) -> Option<Held<'a>> {
    let claims = asked.token.map(Verified::get)?;
    if claims.kind != OurKind::Call || snapshot.is_live(claims, now).is_err() {
        return None;
    }
    let resource = snapshot.resource_of(claims)?;
    is_meant_for(&snapshot.config, asked, resource).then_some(Held { claims, resource })
}

/// IN-5: the caller owns the token's audience, and, if it names a resource, names that one.
fn is_meant_for(config: &Config, asked: &Asked<'_>, resource: &Resource) -> bool {
    let owner = &asked.caller.client().id;
    let named = match asked.resource {
        // What is written as it is kept needs no reading.
        Some(named) if named == resource.uri.as_str() => true,
        Some(named) => Uri::parse(named).is_ok_and(|uri| uri == resource.uri),
        // A client that owns several must say which one is about to act.
        None => asked.call.is_none() || config.owned_by(owner).take(2).count() == 1,
    };
    resource.owner == *owner && named
}

fn event(
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    held: Held<'_>,
    decision: &Decision,
    now: Timestamp,
) -> Event {
    let Held { claims, resource } = held;
    let kept = kept::keep(asked, resource, decision);
    Event {
        at: now,
        kind: Kind::Decision,
        outcome: if decision.allow { Outcome::Granted } else { Outcome::Refused },
        reason: decision.reason.as_str().into(),
        client: Some(asked.caller.client().id.clone()),
        subject: Some(claims.subject.clone()),
        chain: claims.hops(),
        resource: Some(resource.id.clone()),
        tool: asked.call.map(|call| match &decision.tool {
            Some(registered) => registered.clone().into(),
            None => call.tool.chars().take(128).collect::<String>().into(),
        }),
        effect: decision.effect,
        txn: Some(claims.txn),
        delegation: claims.id(),
        parent: None,
        decision: Some(decision.id),
        error: None,
        revision: snapshot.revision,
        arguments: kept.how_much,
        detail: kept.detail,
    }
}
