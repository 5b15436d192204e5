//! What an allowed call uses up: its `call_id`, and one call of every budget on its token's path;
//! and the budgets that a new token opens. Never whether there is still something to use up: only
//! the store can say.

use super::decide::Question;
use crate::{
    base::{
        json::{self, Object, Value},
        secret::Fingerprint,
    },
    model::{
        call::Reason,
        effect::{Asked, Budget, Conflict, Effects, Once, OnceKind, Spend, fingerprint},
        max_calls::Limit,
        token::OurClaims,
        uri::Uri,
    },
};

/// Whether calls at `location` are counted.
pub fn is_counted(claims: &OurClaims, location: &Uri) -> bool {
    !limits(claims, location).is_empty()
}

/// The effects of a call at `location` that is allowed if it can have them.
pub fn effects(
    claims: &OurClaims,
    location: &Uri,
    question: &Question<'_>,
    call_id: Option<&str>,
) -> Effects {
    let call = call_id.zip(claims.id()).map(|(call_id, delegation)| {
        let asked = Asked { question: digest(question), decision: question.id };
        Once::call(delegation, call_id, asked, claims.expires_at)
    });
    let spend = |limit: &Limit| Spend { delegation: limit.delegation, location: location.clone() };
    Effects {
        once: call.into_iter().collect(),
        spend: limits(claims, location).iter().map(spend).collect(),
        ..Effects::default()
    }
}

/// The effects of issuing a token: the budgets that it sets itself.
pub fn issuing(claims: &OurClaims) -> Effects {
    let own = |limit: &&Limit| Some(limit.delegation) == claims.id();
    let budgets = claims.authority.iter().flat_map(|(location, entry)| {
        entry.max_calls.limits().iter().filter(own).map(|limit| Budget {
            delegation: limit.delegation,
            location: location.clone(),
            max_calls: limit.calls,
            until: claims.expires_at,
        })
    });
    Effects { open: budgets.collect(), ..Effects::default() }
}

/// Why a call is denied that could not have its effects. `None` where it is the caller, and not the
/// call, that is refused.
pub const fn reason(conflict: Conflict) -> Option<Reason> {
    match conflict {
        Conflict::Exhausted(_) => Some(Reason::CallsExhausted),
        Conflict::Replayed(OnceKind::Call) => Some(Reason::CallIdReused),
        Conflict::Replayed(OnceKind::Proof) => Some(Reason::DpopProofUsed),
        Conflict::Replayed(OnceKind::Assertion) => None,
    }
}

fn limits<'a>(claims: &'a OurClaims, location: &Uri) -> &'a [Limit] {
    claims.authority.at(location).map_or(&[], |entry| entry.max_calls.limits())
}

/// The tool and its arguments as they mean, not as they are written: neither the order of members
/// nor the spelling of numbers makes another question.
fn digest(question: &Question<'_>) -> Fingerprint {
    let read = question.arguments.map(|text| json::parse(text.as_bytes(), &json::Limits::DEFAULT));
    let arguments = match read {
        None => Object::new().canonical(),
        Some(Ok(value)) => Value::canonical(&value),
        // Such a call is never allowed, so nothing is ever used up under this digest.
        Some(Err(_)) => String::new(),
    };
    fingerprint(&[question.tool.as_bytes(), arguments.as_bytes()])
}
