//! Agents: programs that act for somebody. One exchanges the token it was given for one that fits
//! the next step (RFC 8693), and calls MCP tools with `rmcp`'s own client. They hold no rights of
//! their own here and decide nothing about anybody's.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy_client::denial::DECISION;
use rmcp::{
    RoleClient,
    model::{CallToolRequestParams, CallToolResult, ProtocolVersion},
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService},
    transport::{
        DynamicTransportError, StreamableHttpClientTransport,
        streamable_http_client::{AuthRequiredError, StreamableHttpClientTransportConfig},
    },
};
use serde_json::{Map, Value, json};

use super::{
    DemoError,
    wire::{Credentials, Reply, Wire},
};
use crate::base::secret::Secret;

/// RFC 8693 section 2.1.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 section 3: a token that somebody's server accepts.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// RFC 8693 section 3: a hand-over, which no server accepts.
pub const HAND_OVER: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A program with an identity of its own.
#[derive(Clone, Debug)]
pub struct Agent {
    /// What people call it.
    pub name: &'static str,
    /// The URI that authority is handed over to.
    pub uri: &'static str,
    /// How it proves who it is.
    pub credentials: Credentials,
    /// Deputy's token endpoint.
    pub token_endpoint: String,
    /// How it speaks.
    pub wire: Wire,
}

/// A token and what it says about itself.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its bytes.
    pub secret: Secret<String>,
    /// Its type URI.
    pub kind: &'static str,
    /// Its claims, read without checking: whoever relies on them checks them.
    pub claims: Value,
    /// Seconds to live when it was issued; `None` for a token that Deputy did not issue.
    pub expires_in: Option<i64>,
}

/// Why an exchange was refused (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The error code.
    pub error: String,
    /// The sentence for the caller.
    pub description: String,
    /// What to quote to an operator, if anything.
    pub error_id: Option<String>,
}

/// How a call came out.
#[derive(Clone, Debug)]
pub enum Called {
    /// The tool ran; its text, and Deputy's decision.
    Done(String, Value),
    /// The tool did not run; the decision with its reason.
    Denied(Value),
    /// The server turned the token away with this challenge.
    Unauthorised(String),
    /// Something else; what.
    Broken(String),
}

/// An open connection to an MCP server, all of it under one token.
#[derive(Debug)]
pub struct Session(RunningService<RoleClient, ()>);

impl Token {
    /// A token as somebody handed it to us.
    pub fn new(secret: Secret<String>, kind: &'static str) -> Token {
        let claims = claims(secret.expose()).unwrap_or(Value::Null);
        Token { secret, kind, claims, expires_in: None }
    }

    /// A claim that is text.
    pub fn text(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Who acts for whom: the subject, then the actors as they came to act (RFC 8693 section 4.1).
    pub fn chain(&self) -> Vec<String> {
        let mut actors = Vec::new();
        let mut next = self.claims.get("act");
        while let Some(act) = next {
            actors.push(act.get("sub").and_then(Value::as_str).unwrap_or("?").to_owned());
            next = act.get("act");
        }
        actors.push(self.text("sub").to_owned());
        actors.reverse();
        actors
    }
}

impl Agent {
    /// Exchanges `subject` for a token that is good at `target` for `details` and nothing else.
    pub async fn exchange(
        &self,
        subject: &Token,
        target: &str,
        details: &Value,
    ) -> Result<Result<Token, Refused>, DemoError> {
        let details = details.to_string();
        let fields = [
            ("grant_type", GRANT),
            ("subject_token", subject.secret.expose()),
            ("subject_token_type", subject.kind),
            ("resource", target),
            ("authorization_details", &details),
        ];
        let reply = self.wire.form(&self.token_endpoint, &self.credentials, &fields).await?;
        Ok(granted(&reply).ok_or_else(|| refused(&reply)))
    }

    /// Opens a connection to the MCP server at `url` with `token`.
    pub async fn open(&self, url: &str, token: &Token) -> Result<Session, Called> {
        let config = StreamableHttpClientTransportConfig::with_uri(url)
            .auth_header(token.secret.expose().as_str());
        let transport = StreamableHttpClientTransport::with_client(self.wire.client(), config);
        let lifecycle = ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        };
        ().serve_with_lifecycle(transport, lifecycle).await.map(Session).map_err(|e| not_opened(&e))
    }
}

impl Session {
    /// Calls a tool.
    pub async fn call(&self, tool: &'static str, arguments: &Value) -> Called {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.0.call_tool(call).await {
            Ok(result) => outcome(&result),
            Err(error) => match error.auth_challenge() {
                Some(challenge) => Called::Unauthorised(challenge.to_owned()),
                None => Called::Broken(error.to_string()),
            },
        }
    }

    /// Hangs up.
    pub async fn close(self) {
        let _ = self.0.cancel().await;
    }
}

/// RFC 9396: leave to call these tools at `location`, each only with what its constraints permit.
pub fn details(location: &str, tools: &Value) -> Value {
    json!([{ "type": "mcp_tool_call", "locations": [location], "tools": tools }])
}

fn granted(reply: &Reply) -> Option<Token> {
    let body = &reply.body;
    let secret = body.get("access_token")?.as_str().filter(|_| reply.status == 200)?;
    let kind = match body.get("issued_token_type")?.as_str()? {
        ACCESS_TOKEN => ACCESS_TOKEN,
        HAND_OVER => HAND_OVER,
        _ => return None,
    };
    let mut token = Token::new(Secret::new(secret.to_owned()), kind);
    token.expires_in = body.get("expires_in").and_then(Value::as_i64);
    Some(token)
}

fn refused(reply: &Reply) -> Refused {
    let text = |name: &str| reply.body.get(name).and_then(Value::as_str).map(str::to_owned);
    Refused {
        error: text("error").unwrap_or_else(|| format!("HTTP {}", reply.status)),
        description: text("error_description").unwrap_or_default(),
        error_id: text("error_id"),
    }
}

fn outcome(result: &CallToolResult) -> Called {
    let text: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
        .collect();
    let decision = result.meta.as_ref().and_then(|meta| meta.0.get(DECISION)).cloned();
    match (decision, result.is_error == Some(true)) {
        (Some(decision), false) => Called::Done(text.join("\n"), decision),
        (Some(decision), true) if decision.get("allow") == Some(&Value::Bool(false)) => {
            Called::Denied(decision)
        }
        _ => Called::Broken(text.join("\n")),
    }
}

/// A server that does not let us in says so before any tool is named.
fn not_opened(error: &ClientInitializeError) -> Called {
    let ClientInitializeError::TransportError {
        error: DynamicTransportError { error: source, .. },
        ..
    } = &error
    else {
        return Called::Broken(error.to_string());
    };
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
    while let Some(current) = next {
        if let Some(required) = current.downcast_ref::<AuthRequiredError>() {
            return Called::Unauthorised(required.www_authenticate_header.clone());
        }
        next = current.source();
    }
    Called::Broken(error.to_string())
}

/// The claims of a JWT, unchecked.
fn claims(token: &str) -> Option<Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// A call as people write it: `refunds.list(order_id="A-17")`.
pub fn written(tool: &str, arguments: &Value) -> String {
    let none = Map::new();
    let arguments: Vec<String> = arguments
        .as_object()
        .unwrap_or(&none)
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{tool}({})", arguments.join(", "))
}
