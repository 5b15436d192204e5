//! What goes over the wire between a client, a server and Deputy: once per call, and never open.

use std::convert::Infallible;

use deputy_client::{
    agent::{Token, Want},
    authority::{Constraint, Tools},
    gate::BODY_BYTES_MAX,
};
use reqwest::{Response, header::WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::{servers::Served, world::World};

pub const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// A message of the era of 2026-07-28, with no session.
pub fn message(method: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

pub fn call(tool: &str, arguments: Value) -> Value {
    message("tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// Posts a body with these headers.
pub async fn send(url: &str, body: impl Into<reqwest::Body>, headers: &[(&str, &str)]) -> Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http
        .post(url)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).send().await.unwrap()
}

/// Posts a message with what its era wants in headers.
pub async fn post(url: &str, token: &str, body: &Value) -> Response {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str()), ("mcp-protocol-version", MODERN)];
    headers.extend(body["method"].as_str().map(|method| ("mcp-method", method)));
    headers.extend(body["params"]["name"].as_str().map(|name| ("mcp-name", name)));
    send(url, body.to_string(), &headers).await
}

pub fn challenge(answer: &Response) -> String {
    let value = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

pub async fn json_of(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// Against the real one: a tool wants a scope that was named beforehand, and then one that was not;
/// and a token that was revoked is replaced by another, if Deputy gives one.
#[tokio::test]
async fn an_agent_steps_up_to_what_the_server_asks_for() {
    let world = World::new().await;
    let (agent, alice, url) = (world.support(), world.person("alice"), &world.tickets.url);
    let mut want = Want::scope(url, "tickets:read");
    let ask = async |want: &mut Want, step_up: &str, tool: &str| {
        let send = async |token: &Token| {
            let answer = post(url, token.expose(), &call(tool, json!({ "id": 1 }))).await;
            Ok::<_, Infallible>(http::Response::from(answer))
        };
        agent.send(&alice, want, step_up, send).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(&mut want, "", "tickets.notes").await, 403);
    assert_eq!(ask(&mut want, "tickets:notes", "tickets.notes").await, 200);
    assert_eq!(ask(&mut want, "", "tickets.notes").await, 200, "it has it from now on");
    assert_eq!(world.tickets.ran().len(), 2);
    world.revoke("alice").await;
    assert_eq!(ask(&mut want, "tickets:notes", "tickets.notes").await, 401);
    assert!(world.tickets.ran().is_empty());
}

#[tokio::test]
async fn a_dead_token_is_a_401_with_a_challenge_and_the_way_to_another() {
    let world = World::new().await;
    let Served { url, .. } = &world.tickets;
    let answer = send(url, "{}", &[]).await;
    assert_eq!(answer.status(), 401);
    let said = challenge(&answer);
    assert!(!said.contains("error=") && said.contains("scope=\"tickets:read\""), "{said}");
    let metadata = said.split('"').nth(1).unwrap();
    let document = json_of(reqwest::get(metadata).await.unwrap()).await;
    assert_eq!(document["resource"], url.as_str());
    assert_eq!(document["authorization_servers"], json!([world.deputy.issuer()]));
    assert_eq!(document["scopes_supported"], json!(["tickets:read"]));

    for header in ["", "Bearer", "Bearer  x", "Basic eDp5", "Bearer a b", "x"] {
        let body = call("tickets.get", json!({})).to_string();
        assert_eq!(send(url, body, &[("authorization", header)]).await.status(), 401, "{header}");
    }

    let token = world.token("alice", "tickets:read").await;
    let elsewhere = post(&world.refunds.url, &token, &call("refunds.list", json!({}))).await;
    assert_eq!(elsewhere.status(), 401);
    assert!(challenge(&elsewhere).contains("error=\"invalid_token\""));

    let tools = Tools::new().tool("refunds.list", []);
    let handed = world.handed_over("alice", &world.refunds.url, tools).await;
    let body = call("refunds.list", json!({}));
    assert_eq!(post(&world.refunds.url, handed.expose(), &body).await.status(), 401);
    assert_eq!((world.tickets.ran(), world.refunds.ran()), (vec![], vec![]));
}

#[tokio::test]
async fn mc3_a_missing_scope_that_may_be_had_is_a_403_with_exactly_that_scope() {
    let world = World::new().await;
    let url = &world.tickets.url;
    let read = world.token("alice", "tickets:read").await;
    let notes = post(url, &read, &call("tickets.notes", json!({ "id": 1 }))).await;
    assert_eq!(notes.status(), 403);
    let said = challenge(&notes);
    assert!(said.contains("error=\"insufficient_scope\", scope=\"tickets:notes\", "), "{said}");
    assert!(said.contains("resource_metadata="), "{said}");
    assert_eq!(world.tickets.ran(), vec![]);
}

#[tokio::test]
async fn mc8_a_contextual_denial_is_a_result_with_the_reason_and_never_a_401() {
    let world = World::new().await;
    let url = &world.tickets.url;
    let tools = Tools::new().tool("tickets.get", [("id", Constraint::exact(1))]);
    let want = Want::tools(url, &tools);
    let narrow = world.support().token(&world.person("alice"), &want).await.unwrap();
    let other = post(url, narrow.expose(), &call("tickets.get", json!({ "id": 2 }))).await;
    assert_eq!(other.status(), 200);
    let result = &json_of(other).await["result"];
    assert_eq!(result["isError"], true);
    assert_eq!(result["_meta"]["deputy/decision"]["reason"], "argument_not_permitted");
    let envelope = &result["_meta"]["io.modelcontextprotocol/authorization"];
    assert_eq!(envelope["remediation"], "undisclosed");

    let read = message("resources/read", json!({ "uri": "x://y" }));
    let resource = post(url, narrow.expose(), &read).await;
    let error = &json_of(resource).await["error"];
    assert_eq!(error["code"], -32601);
    assert!(error["message"].as_str().unwrap().contains("open_methods"));
    assert_eq!(world.tickets.ran(), vec![]);
}

#[tokio::test]
async fn what_cannot_be_read_or_is_told_in_two_ways_is_not_passed_on() {
    let world = World::new().await;
    let url = &world.tickets.url;
    let bearer = format!("Bearer {}", world.token("alice", "tickets:read").await);
    let credentials = ("authorization", bearer.as_str());
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tickets.get"}}"#;
    let batch = format!("[{one}]");
    let large = call("tickets.get", json!({ "id": "x".repeat(BODY_BYTES_MAX) })).to_string();
    for body in [
        "",
        "[]",
        "null",
        "{",
        &batch,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"id":1,"id":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"id":NaN}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"tickets.get"}}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"tickets.get"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[1]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":1.00000000000000000001}}}"#,
        r#"{"id":1,"method":"tools/list"}"#,
        &"[".repeat(100_000),
        &large,
    ] {
        let answer = send(url, body.to_owned(), &[credentials]).await;
        assert_eq!(answer.status(), 400, "{body:.200}");
    }
    assert_eq!(send(url, vec![0xff, 0xfe], &[credentials]).await.status(), 400);
    for header in [("mcp-name", "tickets.close"), ("mcp-method", "tools/list")] {
        let answer = send(url, one, &[credentials, header]).await;
        assert_eq!(answer.status(), 400);
        assert_eq!(json_of(answer).await["error"]["code"], -32020);
    }
    assert_eq!(world.tickets.ran(), vec![]);
}

#[tokio::test]
async fn a_session_of_one_agent_or_person_is_not_continued_by_another() {
    let world = World::new().await;
    let url = &world.tickets.url;
    let hers = format!("Bearer {}", world.token("alice", "tickets:read").await);
    let his = format!("Bearer {}", world.token("bob", "tickets:read").await);
    let hello = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": LEGACY, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let version = ("mcp-protocol-version", LEGACY);
    let opened = send(url, hello.to_string(), &[version, ("authorization", &hers)]).await;
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let own = session.rsplit_once('.').unwrap().0;
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    let run = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "tickets.get", "arguments": { "id": 1 } },
    })
    .to_string();
    let with = |who: &str, session: &str, body: &str| {
        let headers = [version, ("authorization", who), ("mcp-session-id", session)];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        let (url, body) = (url.clone(), body.to_owned());
        async move {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            send(&url, body, &headers).await
        }
    };
    assert_eq!(with(&hers, &session, &ready).await.status(), 202);
    for foreign in [session.as_str(), own, "", "x", &format!("{own}.AAAA"), &format!("x{session}")]
    {
        assert_eq!(with(&his, foreign, &run).await.status(), 404, "{foreign}");
    }
    assert_eq!(with(&hers, own, &run).await.status(), 404, "an id of before the gate");
    assert_eq!(world.tickets.ran(), vec![]);
    let answer = with(&hers, &session, &run).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("Order A-17"));
    assert_eq!(world.tickets.ran().len(), 1);
}
