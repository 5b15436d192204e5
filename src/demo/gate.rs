//! Enforcement: what an MCP server does to let Deputy decide. One axum layer takes the bearer token
//! of every HTTP request; the tool handler asks about the very call it is about to make, with the
//! arguments it will use, once. No answer, no call. Nothing here remembers an earlier answer.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::wire::{Credentials, Reply, Wire};
use crate::base::{random::Random, secret::Secret};

/// What one MCP server needs to ask Deputy.
#[derive(Debug)]
pub struct Gate {
    /// How it asks.
    pub wire: Wire,
    /// Deputy's introspection endpoint.
    pub introspection: String,
    /// Who asks: the client that owns the resource.
    pub owner: Credentials,
    /// The URI of the resource.
    pub resource: String,
    /// Where this server shows its protected resource metadata (RFC 9728).
    pub metadata: String,
    /// Where Deputy has that document ready.
    pub metadata_source: String,
}

/// One HTTP request's token, and what Deputy said about it so far.
#[derive(Clone, Debug)]
pub struct Bearer {
    gate: Arc<Gate>,
    token: Arc<Secret<String>>,
    heard: Arc<OnceLock<Heard>>,
    /// The challenge for a call that was denied for a scope that may be had.
    lacking: Arc<OnceLock<String>>,
}

/// What Deputy said about the token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It is good here, whatever was decided about the call.
    Live,
    /// It is not.
    Inactive,
    /// Nothing that we understand.
    Nothing,
}

/// What Deputy decided about one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Go ahead; the decision.
    Allowed(Value),
    /// Do not; the decision, with its reason. Where a missing scope may be had, the layer answers for
    /// the whole request all the same.
    Denied(Value),
    /// There is no decision: the layer answers for the whole request.
    Undecided,
}

/// Lets a request through to the MCP service, and its answer out, only with a token that Deputy
/// calls live.
///
/// A request that announces `tools/call` is asked about in the tool handler, where its arguments
/// are known; an announcement that was not true ends here, because then nobody has asked.
pub async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let Some(token) = bearer(request.headers()) else {
        return gate.unauthorised(None);
    };
    let bearer =
        Bearer { gate, token: Arc::new(token), heard: Arc::default(), lacking: Arc::default() };
    let announced = request.headers().get("mcp-method");
    if announced.is_none_or(|method| method != "tools/call")
        && bearer.introspect().await != Heard::Live
    {
        return bearer.refusal();
    }
    request.extensions_mut().insert(bearer.clone());
    let response = next.run(request).await;
    // MCP's authorization: a scope that may be had is asked for by HTTP, whatever the tool said.
    if let Some(challenge) = bearer.lacking.get() {
        return challenged(StatusCode::FORBIDDEN, challenge.clone());
    }
    if bearer.heard.get() == Some(&Heard::Live) { response } else { bearer.refusal() }
}

/// Deputy's protected resource metadata for this server, passed on (RFC 9728 section 3).
pub async fn metadata(State(gate): State<Arc<Gate>>) -> Response {
    match gate.wire.get(&gate.metadata_source).await {
        Ok(Reply { status: 200, body }) => {
            ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
        }
        Ok(_) | Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Bearer {
    /// Asks Deputy about one call. `arguments` are those that the tool will get, not those that
    /// somebody sent: what is decided and what is done are the same.
    pub async fn may_call(&self, tool: &str, arguments: &Map<String, Value>) -> Verdict {
        let Ok(call_id) = Random::system().bytes::<16>() else { return Verdict::Undecided };
        let (text, call_id) = (as_text(arguments), URL_SAFE_NO_PAD.encode(call_id));
        let call = [("tool", tool), ("arguments", text.as_str()), ("call_id", call_id.as_str())];
        let reply = self.ask(&call).await;
        let decision = reply.as_ref().and_then(|body| body.get("decision")).cloned();
        let (heard, verdict) = match (reply, decision) {
            (Some(body), Some(decision)) if both_allow(&body, &decision) => {
                (Heard::Live, Verdict::Allowed(decision))
            }
            (Some(_), Some(decision)) => {
                if let Some(challenge) = forbidding(&decision) {
                    let _ = self.lacking.set(challenge.to_owned());
                }
                (Heard::Live, Verdict::Denied(decision))
            }
            (Some(body), None) if body.get("active") == Some(&Value::Bool(false)) => {
                (Heard::Inactive, Verdict::Undecided)
            }
            (_, _) => (Heard::Nothing, Verdict::Undecided),
        };
        self.hear(heard);
        verdict
    }

    /// Asks whether the token is live at all (RFC 7662).
    async fn introspect(&self) -> Heard {
        let reply = self.ask(&[]).await;
        let heard = match reply.as_ref().and_then(|body| body.get("active")) {
            Some(Value::Bool(true)) => Heard::Live,
            Some(Value::Bool(false)) => Heard::Inactive,
            _ => Heard::Nothing,
        };
        self.hear(heard);
        heard
    }

    async fn ask(&self, call: &[(&str, &str)]) -> Option<Value> {
        let gate = &self.gate;
        let mut fields =
            vec![("token", self.token.expose().as_str()), ("resource", gate.resource.as_str())];
        fields.extend_from_slice(call);
        let reply = gate.wire.form(&gate.introspection, &gate.owner, &fields).await.ok()?;
        (reply.status == 200).then_some(reply.body)
    }

    /// The first answer stands: a request is one question.
    fn hear(&self, heard: Heard) {
        let _ = self.heard.set(heard);
    }

    fn refusal(&self) -> Response {
        match self.heard.get() {
            Some(Heard::Inactive) => self.gate.unauthorised(Some("invalid_token")),
            Some(Heard::Nothing) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Some(Heard::Live) | None => StatusCode::BAD_REQUEST.into_response(),
        }
    }
}

impl Gate {
    /// RFC 6750 section 3 and RFC 9728 section 5.1. Section 3.1 of the former: no `error` for a
    /// request without a token.
    fn unauthorised(&self, error: Option<&str>) -> Response {
        let error = error.map(|error| format!("error=\"{error}\", ")).unwrap_or_default();
        let challenge = format!("Bearer {error}resource_metadata=\"{}\"", self.metadata);
        challenged(StatusCode::UNAUTHORIZED, challenge)
    }
}

fn challenged(status: StatusCode, challenge: String) -> Response {
    (status, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}

/// The challenge, ready in the decision, of a denial that is an HTTP 403. Every other denial is a
/// result of the tool.
fn forbidding(decision: &Value) -> Option<&str> {
    let forbidden = decision.pointer("/mcp/status").and_then(Value::as_u64) == Some(403);
    decision.get("challenge").and_then(Value::as_str).filter(|_| forbidden)
}

fn both_allow(body: &Value, decision: &Value) -> bool {
    let yes = Some(&Value::Bool(true));
    body.get("active") == yes && decision.get("allow") == yes
}

/// The one token of a request (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<Secret<String>> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    is_bearer.then(|| Secret::new(token.to_owned()))
}

/// A JSON object as text.
pub fn as_text(object: &Map<String, Value>) -> String {
    Value::Object(object.clone()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Extension, Router, body::Body, middleware, routing::post};
    use serde_json::json;
    use tokio::net::TcpListener;
    use tower::ServiceExt as _;

    /// A door behind which lies gold; Deputy is at `origin`.
    fn door(origin: &str) -> Router {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gate = Arc::new(Gate {
            wire: Wire::new().unwrap(),
            introspection: format!("{origin}/oauth2/introspect"),
            owner: Credentials { client_id: "cl_x".to_owned(), secret: Secret::new(String::new()) },
            resource: "http://127.0.0.1:2/mcp".to_owned(),
            metadata: "http://127.0.0.1:2/.well-known/oauth-protected-resource/mcp".to_owned(),
            metadata_source: format!("{origin}/resources/x"),
        });
        let calls = |Extension(bearer): Extension<Bearer>| async move {
            let verdict = bearer.may_call("x", &Map::new()).await;
            assert!(matches!(verdict, Verdict::Denied(_)));
            "denied"
        };
        Router::new()
            .route("/mcp", post(|| async { "gold" }))
            .route("/call", post(calls))
            .route_layer(middleware::from_fn_with_state(gate, guard))
    }

    /// Nobody is there to ask: port 1 answers nothing.
    const NOBODY: &str = "http://127.0.0.1:1";

    async fn knock_at(door: Router, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn knock(headers: &[(&str, &str)]) -> Response {
        knock_at(door(NOBODY), "/mcp", headers).await
    }

    /// Something that answers every question about a call with this decision.
    async fn answering(decision: Value) -> String {
        let answer = json!({ "active": false, "decision": decision }).to_string();
        let router = Router::new().route("/oauth2/introspect", post(move || async move { answer }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        origin
    }

    #[tokio::test]
    async fn mc3_a_missing_scope_that_may_be_had_is_a_403_with_its_challenge() {
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"tickets:read\"";
        let denied = |mcp: Value| json!({ "allow": false, "challenge": challenge, "mcp": mcp });
        let headers = [("authorization", "Bearer t"), ("mcp-method", "tools/call")];
        let origin = answering(denied(json!({ "status": 403 }))).await;
        let response = knock_at(door(&origin), "/call", &headers).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], challenge);
        let origin = answering(denied(json!({ "status": 200 }))).await;
        let response = knock_at(door(&origin), "/call", &headers).await;
        assert_eq!(response.status(), StatusCode::OK, "a result of the tool");
    }

    #[tokio::test]
    async fn rfc6750_a_request_without_a_token_learns_where_to_get_one_and_no_error() {
        for headers in [vec![], vec![("authorization", "Basic eDp5")]] {
            let response = knock(&headers).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert_eq!(
                challenge,
                "Bearer resource_metadata=\
                 \"http://127.0.0.1:2/.well-known/oauth-protected-resource/mcp\""
            );
        }
    }

    #[tokio::test]
    async fn two_tokens_are_none() {
        let two = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(knock(&two).await.status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn nothing_gets_through_while_deputy_is_down() {
        let response = knock(&[("authorization", "Bearer t")]).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn announcing_a_call_and_doing_something_else_gets_nothing_out() {
        let headers = [("authorization", "Bearer t"), ("mcp-method", "tools/call")];
        assert_eq!(knock(&headers).await.status(), StatusCode::BAD_REQUEST);
    }
}
