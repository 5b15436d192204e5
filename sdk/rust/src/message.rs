//! One JSON-RPC message as it came over HTTP, with the headers that speak about it. What cannot be
//! read strictly, or is told in two ways, is not passed on.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    deputy::Call,
    json::{self, Members},
};

/// The one method that Deputy decides about.
const TOOLS_CALL: &str = "tools/call";
/// What every MCP client does before and between calls. None of it reads or changes what the server
/// guards; `resources/read`, `prompts/get` and `completion/complete` do, and Deputy decides on
/// tools only, so they are closed unless the application opens them.
const ALWAYS_OPEN: [&str; 8] = [
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "tools/list",
];
const NOTIFICATIONS: &str = "notifications/";
/// The methods whose `Mcp-Name` is a member of `params`, and which.
const NAMED: [(&str, &str); 8] = [
    (TOOLS_CALL, "name"),
    ("prompts/get", "name"),
    ("resources/read", "uri"),
    ("resources/subscribe", "uri"),
    ("resources/unsubscribe", "uri"),
    ("tasks/get", "taskId"),
    ("tasks/update", "taskId"),
    ("tasks/cancel", "taskId"),
];

/// A message: what it is, and whether it wants an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The id, if it wants an answer.
    pub id: Option<Value>,
    /// The method, if it is no answer.
    pub method: Option<String>,
    /// The call, if it is one.
    pub call: Option<Call>,
    /// What it names, for the header that repeats it.
    name: Option<String>,
}

/// Why a message is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or JSON that is read in two ways.
    #[error(
        "the body is not strict JSON: UTF-8, no member twice, no number that changes in 64 bits"
    )]
    NotStrict,
    /// Not one message.
    #[error("the body is not one JSON-RPC 2.0 message (batches are not accepted)")]
    NotOne,
    /// No usable method or id.
    #[error("the message has no usable `method` and `id`")]
    Nameless,
    /// A call without an id.
    #[error("a call needs an `id`")]
    CallWithoutId,
    /// A call that names no tool.
    #[error("a call needs a `name`, and `arguments` that are an object")]
    NoCall,
    /// Too many bytes.
    #[error("the message is larger than {0} bytes")]
    TooLarge(usize),
    /// Cut off, or too slow.
    #[error("the message did not arrive")]
    Cut,
    /// A header that says something else than the body.
    #[error("the header `{0}` is not what the body says")]
    Header(&'static str),
}

impl Message {
    /// Whether everybody with a live token may send it; a call never.
    pub fn is_open(&self, opened: &[String]) -> bool {
        let Some(method) = self.method.as_deref() else { return true };
        let open = method.starts_with(NOTIFICATIONS) || ALWAYS_OPEN.contains(&method);
        self.call.is_none() && (open || opened.iter().any(|other| other == method))
    }

    /// The protocol of 2026-07-28 says method and name in headers too, and gateways on the way
    /// decide by them.
    pub fn agrees(&self, headers: &HeaderMap) -> Result<(), Unreadable> {
        let method = self.method.as_deref().unwrap_or_default();
        check(headers, "mcp-method", Some(method))?;
        if NAMED.iter().any(|(named, _)| *named == method) {
            check(headers, "mcp-name", self.name.as_deref())?;
        }
        Ok(())
    }
}

/// Reads a body.
pub fn read(body: &[u8]) -> Result<Message, Unreadable> {
    let text = str::from_utf8(body).map_err(|_| Unreadable::NotStrict)?;
    if !json::is_strict(text) {
        return Err(Unreadable::NotStrict);
    }
    let message = Members::of(text).ok_or(Unreadable::NotOne)?;
    if message.get("jsonrpc").and_then(as_text).as_deref() != Some("2.0") {
        return Err(Unreadable::NotOne);
    }
    let id = message.get("id").filter(|id| *id != "null");
    let id = id.map(|id| usable_id(id).ok_or(Unreadable::Nameless)).transpose()?;
    let method = message.get("method").filter(|method| *method != "null");
    let method = method.map(|method| as_text(method).ok_or(Unreadable::Nameless)).transpose()?;
    let params = message.get("params").and_then(Members::of);
    let named = NAMED.iter().find(|(named, _)| method.as_deref() == Some(named));
    let name = named.and_then(|(_, member)| params.as_ref()?.get(member)).and_then(as_text);
    if method.as_deref() != Some(TOOLS_CALL) {
        return Ok(Message { id, method, call: None, name });
    }
    if id.is_none() {
        return Err(Unreadable::CallWithoutId);
    }
    let tool = name.clone().ok_or(Unreadable::NoCall)?;
    let arguments = params.as_ref().and_then(|params| params.get("arguments"));
    let arguments = arguments.filter(|arguments| *arguments != "null").unwrap_or("{}");
    if !arguments.starts_with('{') {
        return Err(Unreadable::NoCall);
    }
    let call = Some(Call { tool, arguments: arguments.to_owned() });
    Ok(Message { id, method, call, name })
}

fn as_text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// JSON-RPC 2.0 section 4: a string or a number, here a whole one.
fn usable_id(json: &str) -> Option<Value> {
    let id: Value = serde_json::from_str(json).ok()?;
    (id.is_string() || id.is_i64() || id.is_u64()).then_some(id)
}

/// A header may be absent; twice, or with another value, it may not be there.
fn check(
    headers: &HeaderMap,
    header: &'static str,
    expected: Option<&str>,
) -> Result<(), Unreadable> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(()) };
    let value = value.to_str().ok().and_then(plain);
    if values.next().is_none() && value.is_some() && value.as_deref() == expected {
        Ok(())
    } else {
        Err(Unreadable::Header(header))
    }
}

/// A value as it was before it was made fit for a header.
fn plain(value: &str) -> Option<String> {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    match inner {
        Some(inner) => String::from_utf8(STANDARD.decode(inner).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn call(id: &str) -> Vec<u8> {
        let params = r#"{"name":"ü","arguments": { "id" : 1.0 } }"#;
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#).into()
    }

    #[test]
    fn the_arguments_are_asked_about_byte_for_byte() {
        let read = read(&call("1")).unwrap();
        let asked = Call { tool: "ü".to_owned(), arguments: r#"{ "id" : 1.0 }"#.to_owned() };
        assert_eq!(read.call, Some(asked));
        assert!(!read.is_open(&["tools/call".to_owned()]), "a call is never open");
    }

    #[test]
    fn an_id_is_a_string_or_a_whole_number() {
        for bad in ["true", "1.5", "[]", "{}"] {
            assert_eq!(read(&call(bad)), Err(Unreadable::Nameless), "{bad}");
        }
        assert_eq!(read(&call("null")), Err(Unreadable::CallWithoutId));
    }

    #[test]
    fn a_header_says_what_the_body_says_or_is_not_there() {
        let read = read(&call("1")).unwrap();
        let agrees = |sent: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            read.agrees(&headers).is_ok()
        };
        assert!(agrees(&[]));
        assert!(agrees(&[("mcp-method", "tools/call"), ("mcp-name", "=?base64?w7w=?=")]));
        assert!(!agrees(&[("mcp-method", "tools/list")]));
        assert!(!agrees(&[("mcp-method", "Tools/Call")]));
        assert!(!agrees(&[("mcp-name", "other")]));
        assert!(!agrees(&[("mcp-name", "=?base64?w7w?=")]));
        assert!(!agrees(&[("mcp-method", "tools/call"), ("mcp-method", "tools/call")]));
    }
}
