//! How a decision is told, whatever door it leaves by. Nothing here decides what may be told: a
//! hint is given by the engine or not at all.

use super::details;
use crate::{
    base::compose::ObjectWriter,
    model::{
        authority::ToolName,
        call::{Decision, Reason},
        token::OurClaims,
    },
};

/// What would cure a missing scope; only where telling it is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The scopes the tool needs, all at once (MC-3).
    pub required_scope: String,
    /// A ready `WWW-Authenticate` value. RFC 6750 section 3.1.
    pub challenge: String,
}

/// A decision as one JSON object.
pub fn write(claims: &OurClaims, decision: &Decision, hint: Option<&Hint>) -> String {
    let out = ObjectWriter::new().flag("allow", decision.allow);
    members(out, claims, decision, hint).finish()
}

/// Everything of a decision but whether it allows.
pub fn members(
    out: ObjectWriter,
    claims: &OurClaims,
    decision: &Decision,
    hint: Option<&Hint>,
) -> ObjectWriter {
    let out = out
        .text("reason", decision.reason.as_str())
        .maybe_text("tool", decision.tool.as_ref().map(ToolName::as_str))
        .maybe_text("argument", decision.argument.as_deref());
    let id = decision.id.to_string();
    if decision.allow {
        return out.text("id", &id);
    }
    out.text("message", &message(decision))
        .text("id", &id)
        .maybe_raw("remediation", remediation(claims, decision).as_deref())
        .maybe_text("required_scope", hint.map(|hint| hint.required_scope.as_str()))
        .maybe_text("challenge", hint.map(|hint| hint.challenge.as_str()))
}

/// The RFC 6750 challenge for a missing scope.
pub fn insufficient_scope(required_scope: &str, resource_metadata: &str) -> String {
    format!(
        "Bearer error=\"insufficient_scope\", scope=\"{required_scope}\", \
         resource_metadata=\"{resource_metadata}\""
    )
}

/// What this token does allow for the tool. Never what would have been enough: an injected agent
/// would go and ask for it.
fn remediation(claims: &OurClaims, decision: &Decision) -> Option<String> {
    let wants_it = matches!(
        decision.reason,
        Reason::ArgumentNotPermitted | Reason::ArgumentMissing | Reason::ArgumentUnexpected
    );
    let tool = decision.tool.as_ref().filter(|_| wants_it)?;
    let here = claims.authority.at_text(&claims.audience)?;
    let entry = details::write_tool(&claims.audience, here, tool)?;
    Some(ObjectWriter::new().raw("authorization_details", &format!("[{entry}]")).finish())
}

fn message(decision: &Decision) -> String {
    let argument = decision.argument.as_deref().unwrap_or_default();
    let argument = argument.strip_prefix('/').filter(|a| !a.contains('/')).unwrap_or(argument);
    match decision.reason {
        Reason::Permitted => "permitted".to_owned(),
        Reason::SubjectMismatch => "the token is for another subject than the one named".to_owned(),
        Reason::ToolUnknown => "no tool of this name is registered for this resource".to_owned(),
        Reason::ToolDisabled => "an administrator disabled this tool".to_owned(),
        Reason::ToolChanged => {
            "the tool was changed after this authority was given; start again from the user's token"
                .to_owned()
        }
        Reason::ToolRevoked => "authority over this tool was revoked".to_owned(),
        Reason::ScopeMissing => "the token lacks a scope that this tool needs".to_owned(),
        Reason::ToolNotDelegated => "this delegation does not cover this tool".to_owned(),
        Reason::ArgumentNotPermitted => {
            format!("`{argument}` is not one that this delegation names")
        }
        Reason::ArgumentMissing => {
            format!("`{argument}` is limited by this delegation and must be sent")
        }
        Reason::ArgumentUnexpected => format!("`{argument}` is not named by this delegation"),
        Reason::ArgumentsMalformed => {
            "`arguments` must be one JSON object without repeated members".to_owned()
        }
        Reason::CallsExhausted => "every call that this delegation allows was made".to_owned(),
        Reason::DpopProofMissing => {
            "the token is bound to a key: send the DPoP proof of the request along".to_owned()
        }
        Reason::DpopProofInvalid => {
            "the DPoP proof is not one of the token's key for this request".to_owned()
        }
        Reason::DpopProofUsed => "the DPoP proof was used before".to_owned(),
        Reason::CallIdReused => {
            "this `call_id` named another call before: make a new one for each execution".to_owned()
        }
    }
}
