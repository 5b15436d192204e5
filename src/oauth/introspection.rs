//! Introspection (RFC 7662) with the optional call context that its section 2.1 allows: the
//! question, and the only three shapes of answer.

use super::{
    claims::sub_id,
    details,
    params::{ParamError, Params, required},
};
use crate::{
    base::{compose::ObjectWriter, secret::Secret},
    model::{
        authority::ToolName,
        call::{Decision, Reason},
        token::OurClaims,
    },
};

/// What a resource server asks.
#[derive(Debug)]
pub struct Question {
    /// The token it was shown.
    pub token: Secret<String>,
    /// The resource it asks for, as sent; needed from a client that owns several.
    pub resource: Option<String>,
    /// The call it is about to make.
    pub call: Option<CallContext>,
}

/// The call, as the server tells it: nothing is parsed yet.
#[derive(Debug)]
pub struct CallContext {
    /// `tool`.
    pub tool: String,
    /// `arguments`: a JSON object as text; absent means no arguments.
    pub arguments: Option<String>,
    /// `call_id`: the server's own name for this execution.
    pub call_id: Option<String>,
}

/// The longest `call_id`, in bytes: room for any UUID with a prefix.
pub const MAX_CALL_ID_BYTES: usize = 128;

impl Question {
    /// Reads the question.
    pub fn parse(params: &impl Params) -> Result<Question, ParamError> {
        // RFC 7662 section 2.1: `token` is REQUIRED; `token_type_hint` is only a hint.
        let token = Secret::new(required(params, "token")?.to_owned());
        for name in ["method", "path", "query", "body"] {
            if params.one(name).is_some() {
                // Answering as if nothing had been asked would fail open.
                return Err(ParamError::Unacceptable {
                    name,
                    problem: "is not decided by this version; name the operation in `tool`",
                });
            }
        }
        let mut resources = params.all("resource").into_iter();
        let resource = resources.next().map(str::to_owned);
        if resources.next().is_some() {
            return Err(ParamError::Unacceptable {
                name: "resource",
                problem: "must be sent once here",
            });
        }
        Ok(Question { token, resource, call: call(params)? })
    }
}

fn call(params: &impl Params) -> Result<Option<CallContext>, ParamError> {
    let Some(tool) = params.one("tool") else {
        for name in ["arguments", "call_id"] {
            if params.one(name).is_some() {
                return Err(ParamError::Unacceptable { name, problem: "needs `tool` beside it" });
            }
        }
        return Ok(None);
    };
    let call_id = params.one("call_id").map(str::to_owned);
    if call_id.as_ref().is_some_and(|id| id.len() > MAX_CALL_ID_BYTES) {
        return Err(ParamError::Unacceptable {
            name: "call_id",
            problem: "must be at most 128 characters",
        });
    }
    Ok(Some(CallContext {
        tool: tool.to_owned(),
        arguments: params.one("arguments").map(str::to_owned),
        call_id,
    }))
}

/// The answer for everything that is not live for this caller. RFC 7662 section 2.2: no other
/// member, so that nobody learns why (IN-3).
pub const INACTIVE: &str = r#"{"active":false}"#;

/// The answer for a live token; with a decision, for this call.
pub fn active(issuer: &str, claims: &OurClaims, decision: Option<&Decision>) -> String {
    let scope = claims.scope.to_string();
    let details = own_details(claims);
    let authentication = &claims.authentication;
    let mut answer = ObjectWriter::new()
        .flag("active", true)
        .text("iss", issuer)
        .text("sub", &claims.sub)
        .text("sub_profile", if claims.own { "ai_agent" } else { "user" })
        .raw("sub_id", &sub_id(&claims.subject))
        .text("aud", &claims.audience)
        .text("client_id", claims.client.as_str())
        .maybe_raw("act", claims.chain.act())
        .text("scope", &scope)
        .maybe_raw("authorization_details", details.as_deref())
        .text("token_type", "Bearer")
        .number("iat", claims.issued_at.epoch_s())
        .number("exp", claims.expires_at.epoch_s())
        .maybe_text("jti", claims.id().map(|id| id.to_string()).as_deref())
        .text("txn", &claims.txn.to_string())
        .maybe_raw("auth_time", authentication.auth_time.map(|t| t.to_string()).as_deref())
        .maybe_text("acr", authentication.acr.as_deref());
    if !authentication.amr.is_empty() {
        answer = answer.texts("amr", authentication.amr.iter().map(String::as_str));
    }
    if let Some(decision) = decision {
        answer = answer.raw("decision", &permitted(decision));
    }
    answer.finish()
}

/// The answer for a live token whose holder may not make this call. `active` answers for the call.
pub fn denied(claims: &OurClaims, decision: &Decision, hint: Option<&Hint>) -> String {
    let mut body = ObjectWriter::new()
        .flag("allow", false)
        .text("reason", decision.reason.as_str())
        .maybe_text("tool", decision.tool.as_ref().map(ToolName::as_str))
        .maybe_text("argument", decision.argument.as_deref())
        .text("message", &message(decision))
        .text("id", &decision.id.to_string());
    if let Some(remediation) = remediation(claims, decision) {
        body = body.raw("remediation", &remediation);
    }
    if let Some(hint) = hint {
        body = body.text("required_scope", &hint.required_scope).text("challenge", &hint.challenge);
    }
    ObjectWriter::new().flag("active", false).raw("decision", &body.finish()).finish()
}

/// What would cure a missing scope; only where telling it is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The scopes the tool needs, all at once (MC-3).
    pub required_scope: String,
    /// A ready `WWW-Authenticate` value. RFC 6750 section 3.1.
    pub challenge: String,
}

/// The RFC 6750 challenge for a missing scope.
pub fn insufficient_scope(required_scope: &str, resource_metadata: &str) -> String {
    format!(
        "Bearer error=\"insufficient_scope\", scope=\"{required_scope}\", \
         resource_metadata=\"{resource_metadata}\""
    )
}

fn permitted(decision: &Decision) -> String {
    ObjectWriter::new()
        .flag("allow", true)
        .text("reason", decision.reason.as_str())
        .maybe_text("tool", decision.tool.as_ref().map(ToolName::as_str))
        .text("id", &decision.id.to_string())
        .finish()
}

/// RFC 9396 section 9: what the server asking may see is what is meant for it.
fn own_details(claims: &OurClaims) -> Option<String> {
    let here = claims.authority.at_text(&claims.audience)?;
    details::write_entry(&claims.audience, here).map(|entry| format!("[{entry}]"))
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
        Reason::CallIdReused => {
            "this `call_id` named another call before: make a new one for each execution".to_owned()
        }
    }
}
