//! What a recorded decision would have been under other policies. Everything else was as it was: a
//! call that was allowed, or that only policies denied, had come as far as them; whatever denied a
//! call before or behind them denies it still. Nothing here decides a call that is made.

use std::sync::Arc;

use super::{decide, exchange::policy::acting, kept, snapshot::Snapshot};
use crate::{
    base::json::Object,
    model::{
        call::{Policed, Reason},
        event::{Event, Outcome},
        resource::{Resource, Tool},
        token::OurClaims,
    },
    policy::Call,
};

/// What would have become of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// The same.
    Unchanged,
    /// The policies would have let it pass.
    NewlyAllowed,
    /// A policy would have denied it.
    NewlyDenied,
    /// It rests on argument values that were not kept.
    Undecidable,
}

/// A decision under other policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What would have become of it.
    pub came: Came,
    /// Why, as a machine code, where it is decided.
    pub reason: Option<Reason>,
    /// The policies that say no.
    pub policies: Vec<Arc<str>>,
}

/// Asks the policies of `snapshot` about a recorded call of the token with these claims. `erased`
/// says that the details of the event are gone.
pub fn replay(snapshot: &Snapshot, claims: &OurClaims, event: &Event, erased: bool) -> Replayed {
    let resource = snapshot.resource_of(claims);
    let tool = event.tool.as_deref().and_then(|name| resource?.tools.get(name));
    let (Some(resource), Some(tool), true) = (resource, tool, rests_on_policies(&event.reason))
    else {
        return Replayed { came: Came::Unchanged, reason: None, policies: Vec::new() };
    };
    if !knows(snapshot, (resource, tool), event, erased) {
        return Replayed { came: Came::Undecidable, reason: None, policies: Vec::new() };
    }
    let arguments = if erased { Object::new() } else { kept::arguments(event) };
    let call =
        Call { acting: acting(snapshot, claims, event.at), resource, tool, arguments: &arguments };
    let mut policed = Policed::default();
    let answer = decide::let_pass(snapshot, &call, &mut policed);
    let came = match (event.outcome, &answer) {
        (Outcome::Granted, Ok(())) | (Outcome::Refused, Err(_)) => Came::Unchanged,
        (Outcome::Refused, Ok(())) => Came::NewlyAllowed,
        (Outcome::Granted, Err(_)) => Came::NewlyDenied,
    };
    let reason = answer.map_or_else(|denial| denial.reason, |()| Reason::Permitted);
    Replayed { came, reason: Some(reason), policies: policed.decided }
}

/// Whether the policies were what the decision came to at last.
fn rests_on_policies(reason: &str) -> bool {
    matches!(
        Reason::of(reason),
        Some(
            Reason::Permitted
                | Reason::PolicyForbids
                | Reason::PolicyFailed
                | Reason::ArgumentsNotRepresentable
                | Reason::DpopRequired
                | Reason::AuthenticationInsufficient
        )
    )
}

/// Whether every argument that the policies look at is known.
fn knows(
    snapshot: &Snapshot,
    (resource, tool): (&Resource, &Tool),
    event: &Event,
    erased: bool,
) -> bool {
    if !snapshot.policies.read_arguments(resource, tool) {
        return true;
    }
    let whole = kept::is_whole(event);
    let known = |name: &String| kept::knows(event, tool, name);
    let read = snapshot.policies.arguments_read(resource, tool);
    !erased && (whole || read.is_some_and(|names| names.iter().all(known)))
}
