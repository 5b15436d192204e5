//! How a decision is told, whatever door it leaves by, and what an MCP server answers to its own
//! client because of it. Nothing here decides what may be told: a hint is given by the engine or
//! not at all.

use super::details;
use crate::{
    base::{compose::ObjectWriter, json::quote},
    model::{
        authority::ToolName,
        call::{Decision, Reason},
        token::OurClaims,
    },
};

/// What would cure a denial; only where telling it is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The scopes the tool needs, all at once (MC-3), where scopes are what is missing.
    pub required_scope: Option<String>,
    /// A ready `WWW-Authenticate` value. RFC 6750 section 3.1, RFC 9449 section 7.1, RFC 9470
    /// section 3.
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
    let message = message(decision);
    out.text("message", &message)
        .text("id", &id)
        .maybe_raw("remediation", remediation(claims, decision).as_deref())
        .maybe_text("required_scope", hint.and_then(|hint| hint.required_scope.as_deref()))
        .maybe_text("challenge", hint.map(|hint| hint.challenge.as_str()))
        .raw("mcp", &mcp(decision, &message, hint))
}

/// What an MCP server answers to a call that was denied. More scope cures a missing scope: 403 with
/// the challenge, upon which clients step up by themselves (MC-3). A better proof cures a bad one,
/// and the person how they were authenticated: 401 (DP-6, SU-1). Nothing else is cured by asking again: a tool result, because the text of a 403
/// reaches neither model nor person.
fn mcp(decision: &Decision, message: &str, hint: Option<&Hint>) -> String {
    if hint.is_some() {
        let status = if decision.reason == Reason::ScopeMissing { 403 } else { 401 };
        return format!(r#"{{"status":{status}}}"#);
    }
    let reason = decision.reason.as_str();
    let text = format!("denied ({reason}): {message} [decision {}]", decision.id);
    let result = ObjectWriter::new()
        .flag("isError", true)
        .raw("content", &format!(r#"[{{"type":"text","text":{}}}]"#, quote(&text)))
        .raw("_meta", UNDISCLOSED)
        .finish();
    ObjectWriter::new().number("status", 200).raw("result", &result).finish()
}

/// MC-8: the envelope of a structured denial. Whether anything would be enough stays undisclosed,
/// and so there are no hints.
const UNDISCLOSED: &str = concat!(
    r#"{"io.modelcontextprotocol/authorization":"#,
    r#"{"reason":"insufficient_authorization","remediation":"undisclosed"}}"#,
);

/// The RFC 6750 challenge for a missing scope.
pub fn insufficient_scope(required_scope: &str, resource_metadata: &str) -> String {
    format!(
        "Bearer error=\"insufficient_scope\", scope=\"{required_scope}\", \
         resource_metadata=\"{resource_metadata}\""
    )
}

/// The RFC 9470 challenge for a person who must be authenticated otherwise.
pub fn insufficient_user_authentication(acr_values: &str) -> String {
    format!(
        "Bearer error=\"insufficient_user_authentication\", error_description=\"a different \
         authentication level is required\", acr_values=\"{acr_values}\""
    )
}

/// The RFC 9449 challenge for a request whose proof is missing or none.
pub fn invalid_dpop_proof(algs: &str, resource_metadata: &str) -> String {
    format!(
        "DPoP error=\"invalid_dpop_proof\", algs=\"{algs}\", resource_metadata=\"{resource_metadata}\""
    )
}

/// The RFC 6750 challenge for a token that is not live.
pub fn invalid_token(resource_metadata: Option<&str>) -> String {
    let metadata = resource_metadata.map(|url| format!(", resource_metadata=\"{url}\""));
    format!("Bearer error=\"invalid_token\"{}", metadata.unwrap_or_default())
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
            "the tool was changed after this authority was given; once an administrator has accepted \
             the change (`deputy tool changes`), start again from the user's token"
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
        Reason::PolicyForbids => "a policy forbids this call".to_owned(),
        Reason::PolicyFailed => "a policy could not be evaluated, so the call is denied".to_owned(),
        Reason::ArgumentsNotRepresentable => {
            "a policy looks at an argument whose value is not of the type that the tool publishes"
                .to_owned()
        }
        Reason::DpopRequired => {
            "a policy wants the token of this call to be bound to a key".to_owned()
        }
        Reason::AuthenticationInsufficient => {
            "a policy wants the user to be authenticated otherwise for this call".to_owned()
        }
        Reason::DpopProofUsed => "the DPoP proof was used before".to_owned(),
        Reason::CallIdReused => {
            "this `call_id` named another call before: make a new one for each execution".to_owned()
        }
    }
}
