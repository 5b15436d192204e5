//! What a "no" looks like to an MCP client.
//!
//! A dead token is a 401, and clients fetch a new one; a key that was not proved is a 401 too. A
//! scope that would help is a 403 that names it, and clients step up. Everything else is a tool
//! result that says why: clients drop the text of a 403, and a 401 would send them for a new token
//! that is just as powerless.

use std::fmt;

use bytes::Bytes;
use http::{
    Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::{answer::Decision, error::Unavailable, message::Unreadable};

/// The member of a result's `_meta` that carries the decision, for programs to read.
pub const DECISION: &str = "deputy/decision";
/// Seconds after which a client may try again when Deputy cannot be asked.
const RETRY_AFTER_S: u16 = 5;
/// The members of a decision that a client may see.
const SHOWN: [&str; 7] = ["allow", "reason", "tool", "argument", "message", "remediation", "id"];

/// Why a call did not run: a sentence, and the `_meta` of the tool result.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    text: String,
    meta: Map<String, Value>,
}

/// A whole HTTP answer that is not the server's.
pub(crate) type Refusal = Response<Full<Bytes>>;

/// Where a client gets a token, as challenges say it.
#[derive(Clone, Debug)]
pub(crate) struct Signpost {
    /// The URL of the protected resource metadata (RFC 9728 section 5.1).
    pub metadata: String,
    /// What a client without a better idea should ask for (RFC 6750 section 3); may be empty.
    pub scope: String,
}

impl Denial {
    /// The denial that Deputy decided.
    pub(crate) fn of(decision: &Decision) -> Denial {
        let tool = decision.get("tool").and_then(Value::as_str);
        let tool = tool.map(|tool| format!("`{tool}`: ")).unwrap_or_default();
        let (message, reason, id) = (decision.message(), decision.reason(), decision.id());
        let text = format!("denied: {tool}{message} ({reason}, decision {id})");
        // MC-8: what Deputy says for machines that know nothing of it.
        let meta = decision.get("mcp").and_then(|mcp| mcp.pointer("/result/_meta"));
        let mut meta = meta.and_then(Value::as_object).cloned().unwrap_or_default();
        meta.insert(DECISION.to_owned(), shown(decision));
        Denial { text, meta }
    }

    /// The denial for want of an answer.
    pub(crate) fn undecided(error: &Unavailable) -> Denial {
        Denial::plain(format!("not done, because nobody could decide whether it may be: {error}"))
    }

    /// A denial without a decision.
    pub(crate) fn plain(text: String) -> Denial {
        Denial { text, meta: Map::new() }
    }

    /// The sentence that the model reads.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tool result, as MCP writes it: `content`, `isError`, `_meta`.
    pub fn result(&self) -> Value {
        let mut result = json!({
            "content": [{ "type": "text", "text": self.text }],
            "isError": true,
            "resultType": "complete",
        });
        if let (Some(result), false) = (result.as_object_mut(), self.meta.is_empty()) {
            result.insert("_meta".to_owned(), Value::Object(self.meta.clone()));
        }
        result
    }

    /// The answer to a call that did not run.
    pub(crate) fn answer(&self, id: Option<&Value>) -> Refusal {
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": self.result() });
        refusal(StatusCode::OK, &answer)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Signpost {
    /// 401 without an error code: the request did not try (RFC 6750 section 3.1).
    pub fn no_token(&self) -> Refusal {
        let challenge = format!("Bearer resource_metadata=\"{}\"{}", self.metadata, self.scope());
        challenged(&challenge, "unauthorized")
    }

    /// 401: the token is not, or no longer, good here.
    pub fn dead_token(&self) -> Refusal {
        let text = "the token is not valid for this server, has expired or was revoked";
        let challenge = format!(
            "Bearer error=\"invalid_token\", error_description=\"{text}\", \
             resource_metadata=\"{}\"{}",
            self.metadata,
            self.scope()
        );
        challenged(&challenge, "invalid_token")
    }

    /// 403 with the exact scope that cures it (RFC 6750 section 3).
    pub fn more_scope(&self, scope: &str) -> Refusal {
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{scope}\", resource_metadata=\"{}\"",
            self.metadata
        );
        let body = json!({ "error": "insufficient_scope", "scope": scope });
        with(refusal(StatusCode::FORBIDDEN, &body), &challenge)
    }

    fn scope(&self) -> String {
        let scope = &self.scope;
        if scope.is_empty() { String::new() } else { format!(", scope=\"{scope}\"") }
    }
}

/// The members of a decision that a client may see.
pub(crate) fn shown(decision: &Decision) -> Value {
    let members = SHOWN.iter().filter_map(|name| Some((*name, decision.get(name)?.clone())));
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// 401 with a challenge that says what is missing.
pub(crate) fn challenged(challenge: &str, error: &str) -> Refusal {
    with(refusal(StatusCode::UNAUTHORIZED, &json!({ "error": error })), challenge)
}

/// 401 for a token that is bound to a key and comes without a proof, or the reverse (RFC 9449
/// section 7.1).
pub(crate) fn unproved() -> Refusal {
    let text = "send a proof of the token's key";
    challenged(
        &format!("DPoP error=\"invalid_dpop_proof\", error_description=\"{text}\""),
        "invalid_dpop_proof",
    )
}

/// 503: Deputy could not be asked. Never a 401, or every client would fetch new tokens.
pub(crate) fn no_answer(error: &Unavailable) -> Refusal {
    let body =
        json!({ "error": "temporarily_unavailable", "error_description": error.to_string() });
    let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, &body);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}

/// 400: the message cannot be read, so it cannot be decided.
pub(crate) fn unreadable(why: &Unreadable, id: Option<&Value>) -> Refusal {
    // The code of a header that disagrees is MCP's own, of 2026-07-28.
    let code = if matches!(why, Unreadable::Header(_)) { -32020 } else { -32600 };
    refusal(StatusCode::BAD_REQUEST, &error(id, code, &why.to_string()))
}

/// 404: clients open a new session.
pub(crate) fn not_your_session(id: Option<&Value>) -> Refusal {
    let text = "there is no such session of this agent and this person: initialize a new one";
    refusal(StatusCode::NOT_FOUND, &error(id, -32600, text))
}

/// A JSON-RPC error for a method that nobody decides about.
pub(crate) fn closed_method(id: Option<&Value>, method: &str) -> Refusal {
    let text = format!(
        "`{method}` is closed here: Deputy decides on tools; the server's developer can open it to \
         every holder of a token with `open_methods`"
    );
    refusal(StatusCode::OK, &error(id, -32601, &text))
}

/// A JSON answer that nobody may keep.
pub(crate) fn refusal(status: StatusCode, body: &Value) -> Refusal {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn error(id: Option<&Value>, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

fn with(mut answer: Refusal, challenge: &str) -> Refusal {
    // What Deputy, or the resource's URL, cannot say in a header is left out; the status stands.
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}
