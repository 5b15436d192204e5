//! What an allowed call uses up: its `call_id`, and one call of every budget on its token's path.
//! Never whether there is still something to use up: only the store can say.

use super::decide::Question;
use crate::{
    base::{
        json::{self, Object, Value},
        secret::Fingerprint,
    },
    model::{
        call::Reason,
        effect::{Asked, Conflict, Effects, Once, OnceKind, fingerprint},
        token::OurClaims,
    },
};

/// The effects of a call that is allowed if it can have them.
pub fn effects(claims: &OurClaims, question: &Question<'_>, call_id: Option<&str>) -> Effects {
    let call = call_id.zip(claims.id()).map(|(call_id, delegation)| {
        let asked = Asked { question: digest(question), decision: question.id };
        Once::call(delegation, call_id, asked, claims.expires_at)
    });
    Effects { once: call.into_iter().collect(), ..Effects::default() }
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
