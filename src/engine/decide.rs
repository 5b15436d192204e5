//! The one decision function: may this token's holder make this call, now?
//!
//! Order (design section 6): token live and meant for the caller (checked before, in `call`) →
//! subject, if one is named → tool registered, enabled, the one it was at mint → scopes →
//! constraints → policies → the holder of a bound token → allow. Any doubt is a deny.
//!
//! Every step goes through a [`Trace`]. The doors take [`Untraced`], which is nothing at all once
//! compiled; `explain` takes one that remembers. So what is explained is what was decided.

use super::{
    exchange::{authority::covers, policy::acting},
    snapshot::Snapshot,
};
use crate::{
    base::{
        id::DecisionId,
        json::{self, Object, Value},
        time::Timestamp,
    },
    model::{
        authority::{Entry, Tools},
        call::{Decision, Policed, Reason, Step},
        constraint::{Arguments, ViolationKind},
        resource::{DpopUse, Resource, Tool},
        token::{KeyThumbprint, OurClaims},
    },
    policy::{Call, Demand, Outcome},
};

/// Decides one call at `resource`, which is the audience of `claims`. Total: every input has an
/// answer, and only [`Reason::Permitted`] allows.
pub fn decide<T: Trace>(
    snapshot: &Snapshot,
    claims: &OurClaims,
    resource: &Resource,
    call: &Question<'_>,
    trace: &mut T,
) -> Decision {
    let tool = resource.tools.get(call.tool);
    let about = holds(is_about(call, claims), Reason::SubjectMismatch);
    let mut policed = Policed::default();
    let verdict = trace
        .sees(Step::SubjectMatches, about)
        .and_then(|()| trace.sees(Step::ToolRegistered, tool.ok_or(denial(Reason::ToolUnknown))))
        .and_then(|tool| {
            let arguments = permits(snapshot, claims, (resource, tool), call.arguments, trace)?;
            let asked = Call {
                acting: acting(snapshot, claims, call.now),
                resource,
                tool,
                arguments: &arguments,
            };
            trace.sees(Step::Policies, let_pass(snapshot, &asked, &mut policed))
        })
        .and_then(|()| trace.sees(Step::HolderProved, is_held(claims, resource, call)));
    let (reason, argument) = match verdict {
        Ok(()) => (Reason::Permitted, None),
        Err(Denial { reason, argument }) => (reason, argument),
    };
    Decision {
        id: call.id,
        allow: reason == Reason::Permitted,
        reason,
        argument,
        tool: tool.map(|t| t.name.clone()),
        effect: tool.map(|t| t.effect),
        policed,
    }
}

/// The call, as it was told.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// A fresh id.
    pub id: DecisionId,
    /// Whom the caller takes the token to be for, where it says so.
    pub subject: Option<&'a str>,
    /// The tool, exactly as named in the call.
    pub tool: &'a str,
    /// The arguments as JSON text; `None` when there are none.
    pub arguments: Option<&'a str>,
    /// The key of who made the request to the server, where a proof that was sent along shows one.
    pub holder: Result<Option<&'a KeyThumbprint>, Unproved>,
    /// When: policies may speak of the time.
    pub now: Timestamp,
}

/// A proof was sent along, and it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproved;

/// Why a step says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub reason: Reason,
    /// The argument it failed on, as a JSON Pointer.
    pub argument: Option<String>,
}

/// Watches a decision being made, and can change nothing about it.
pub trait Trace {
    /// A step was taken; it comes out as it went in.
    fn sees<V>(&mut self, _step: Step, outcome: Result<V, Denial>) -> Result<V, Denial> {
        outcome
    }
}

/// Nobody watches.
#[derive(Debug)]
pub struct Untraced;

impl Trace for Untraced {}

const fn denial(reason: Reason) -> Denial {
    Denial { reason, argument: None }
}

/// A bound token is used by the holder of its key. Where we are asked to see to that, a proof is
/// needed; where one was sent along, it is never ignored.
fn is_held(claims: &OurClaims, resource: &Resource, call: &Question<'_>) -> Result<(), Denial> {
    let needed = match resource.dpop {
        DpopUse::No | DpopUse::Itself => None,
        DpopUse::Deputy => claims.bound.as_ref(),
    };
    match call.holder {
        Ok(None) if needed.is_some() => Err(denial(Reason::DpopProofMissing)),
        Ok(None) => Ok(()),
        Ok(Some(key)) if claims.bound.as_ref() == Some(key) => Ok(()),
        Ok(Some(_)) | Err(Unproved) => Err(denial(Reason::DpopProofInvalid)),
    }
}

/// CZ-3: a door that names a subject names the token's.
fn is_about(call: &Question<'_>, claims: &OurClaims) -> bool {
    call.subject.is_none_or(|subject| *subject == *claims.sub)
}

fn permits<T: Trace>(
    snapshot: &Snapshot,
    claims: &OurClaims,
    (resource, tool): (&Resource, &Tool),
    arguments: Option<&str>,
    trace: &mut T,
) -> Result<Object, Denial> {
    trace.sees(Step::ToolEnabled, holds(tool.enabled, Reason::ToolDisabled))?;
    let unchanged = tool.is_what_it_was(claims.root_revision);
    trace.sees(Step::ToolUnchanged, holds(unchanged, Reason::ToolChanged))?;
    let cut = snapshot.revocations.tool_cut(&resource.id, &tool.name);
    // By the root: an older hand-over that is exchanged after the cut does not bring it back.
    let newer = cut.is_none_or(|cut| cut.revision <= claims.root_revision);
    trace.sees(Step::ToolNotRevoked, holds(newer, Reason::ToolRevoked))?;
    let entry = claims.authority.at(&resource.uri).ok_or(denial(Reason::ToolNotDelegated));
    let permitted = delegated(trace.sees(Step::ResourceDelegated, entry)?, tool, trace)?;
    let arguments = trace.sees(Step::ArgumentsReadable, object(arguments))?;
    trace.sees(Step::Constraints, within(permitted, &arguments))?;
    Ok(arguments)
}

/// What the policies say. Those that could not be asked deny.
pub fn let_pass(snapshot: &Snapshot, call: &Call<'_>, policed: &mut Policed) -> Result<(), Denial> {
    let verdict = snapshot.policies.call(call);
    policed.decided = verdict.decided;
    policed.shadow = verdict.shadow;
    let reason = match verdict.outcome {
        Outcome::Passes => return Ok(()),
        Outcome::Forbidden | Outcome::Demands(Demand::MaxTtl(_) | Demand::MaxDepth(_)) => {
            Reason::PolicyForbids
        }
        Outcome::Failed => Reason::PolicyFailed,
        Outcome::NotRepresentable => Reason::ArgumentsNotRepresentable,
        Outcome::Demands(Demand::Dpop) => Reason::DpopRequired,
        Outcome::Demands(Demand::Acr(class)) => {
            policed.acr = Some(class);
            Reason::AuthenticationInsufficient
        }
    };
    Err(denial(reason))
}

fn holds(fact: bool, otherwise: Reason) -> Result<(), Denial> {
    if fact { Ok(()) } else { Err(denial(otherwise)) }
}

/// What may be passed to the tool, if the entry covers it at all.
fn delegated<'a, T: Trace>(
    entry: &'a Entry,
    tool: &Tool,
    trace: &mut T,
) -> Result<&'a Arguments, Denial> {
    let named = match &entry.tools {
        Tools::Named(tools) => {
            tools.get(&tool.name).map(Some).ok_or(denial(Reason::ToolNotDelegated))
        }
        Tools::Undetailed => Ok(None),
    };
    let named = trace.sees(Step::ToolNamed, named)?;
    let held = tool.scopes.is_subset(&entry.scope);
    trace.sees(Step::ScopesHeld, holds(held, Reason::ScopeMissing))?;
    // Scopes alone never cover what cannot be undone.
    let covered = named.is_some() || covers(&entry.scope, tool);
    trace.sees(Step::EffectCovered, holds(covered, Reason::ToolNotDelegated))?;
    Ok(named.unwrap_or(&Arguments::Any))
}

fn within(permitted: &Arguments, arguments: &Object) -> Result<(), Denial> {
    permitted.check(arguments).map_err(|violation| Denial {
        reason: match violation.kind {
            ViolationKind::NotPermitted => Reason::ArgumentNotPermitted,
            ViolationKind::Missing => Reason::ArgumentMissing,
            ViolationKind::Unexpected => Reason::ArgumentUnexpected,
        },
        argument: Some(violation.pointer),
    })
}

/// The arguments, read strictly: what another parser might read differently is refused.
fn object(text: Option<&str>) -> Result<Object, Denial> {
    let Some(text) = text else { return Ok(Object::default()) };
    match json::parse(text.as_bytes(), &json::Limits::DEFAULT) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(denial(Reason::ArgumentsMalformed)),
    }
}
