//! A question without a token, judged: may this caller ask one, and what do the access policies say?
//! Who is named in it proved nothing, so no delegation and no call of an agent rests on the answer.

use super::{authenticate::Authenticated, kept, snapshot::Snapshot};
use crate::{
    base::{id::DecisionId, time::Timestamp},
    model::event::{Event, Kind, Outcome},
    policy::{AccessOutcome, Question},
};

/// The detail that holds the resource which the caller named.
pub const RESOURCE_NAMED: &str = "resource_named";
/// The reason of a refusal to a caller that may ask about tokens only.
pub const TOKEN_REQUIRED: &str = "token_required";

/// What a question without a token came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Names the answer in the audit log.
    pub id: DecisionId,
    /// Why, as a machine code.
    pub reason: &'static str,
    /// Whether it is allowed.
    pub allow: bool,
}

/// Judges a question without a token. Default deny: only a policy that permits allows.
pub fn judge(
    snapshot: &Snapshot,
    caller: &Authenticated,
    question: &Question<'_>,
    (id, now): (DecisionId, Timestamp),
) -> (Judged, Event) {
    let (reason, allow, policies, shadow) = if caller.client().asks_without_token {
        let answer = snapshot.policies.access(question);
        let allow = answer.outcome == AccessOutcome::Permitted;
        (reason(answer.outcome), allow, answer.decided, answer.shadow)
    } else {
        (TOKEN_REQUIRED, false, Vec::new(), Vec::new())
    };
    let named = |kind: &str, id: &str| format!("{kind} {id}");
    let mut detail = vec![
        (kept::SUBJECT_NAMED.into(), named(question.subject.kind, question.subject.id)),
        (RESOURCE_NAMED.into(), named(question.resource.kind, question.resource.id)),
    ];
    detail.extend(kept::named(kept::POLICY, &policies));
    detail.extend(kept::named(kept::SHADOW_POLICY, &shadow));
    let event = Event {
        outcome: if allow { Outcome::Granted } else { Outcome::Refused },
        client: Some(caller.client().id.clone()),
        tool: Some(question.action.chars().take(128).collect::<String>().into()),
        decision: Some(id),
        detail,
        ..Event::new(Kind::Decision, reason, now, snapshot.revision)
    };
    (Judged { id, reason, allow }, event)
}

const fn reason(outcome: AccessOutcome) -> &'static str {
    match outcome {
        AccessOutcome::Permitted => "access_permitted",
        AccessOutcome::NotPermitted => "access_not_permitted",
        AccessOutcome::Forbidden => "access_forbidden",
        AccessOutcome::Failed => "access_failed",
        AccessOutcome::NotDescribed => "access_not_described",
    }
}
