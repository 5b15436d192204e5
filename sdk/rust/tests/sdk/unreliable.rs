//! Deputy down, slow, or answering rubbish: nothing runs, nothing is a 401, and somebody is told.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode};
use deputy_client::{
    agent::{Agent, Subject, Want},
    answer::Verdict,
    authority::{Constraint, Tools},
    credentials::Credentials,
    deputy::{Call, Deputy},
    error::{ExchangeError, SetupError, Unavailable},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    requests::{MODERN, call, message, post, send},
    servers::Desk,
    world::PATIENCE,
};

const HERE: &str = "http://127.0.0.1:9/mcp";

/// Something at Deputy's place that answers as it likes; what it was asked is noted.
pub struct Pretender {
    pub issuer: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Whether and what a pretender answers.
#[derive(Clone)]
struct Lines {
    status: u16,
    body: String,
    held: Option<Arc<Notify>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn answer(State(lines): State<Lines>, form: String) -> (StatusCode, String) {
    lines.asked.lock().unwrap().push(form);
    if let Some(held) = &lines.held {
        held.notified().await;
    }
    (StatusCode::from_u16(lines.status).unwrap(), lines.body)
}

impl Pretender {
    pub async fn saying(status: u16, body: impl Into<String>) -> Pretender {
        Pretender::at(listener().await, status, body.into(), None)
    }

    pub fn at(
        listener: TcpListener,
        status: u16,
        body: String,
        held: Option<Arc<Notify>>,
    ) -> Pretender {
        let asked = Arc::default();
        let lines = Lines { status, body, held, asked: Arc::clone(&asked) };
        let issuer = issuer(&listener);
        let router = Router::new().fallback(answer).with_state(lines);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Pretender { issuer, asked }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub async fn listener() -> TcpListener {
    _ = rustls::crypto::ring::default_provider().install_default();
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub fn issuer(listener: &TcpListener) -> String {
    format!("http://{}/oauth2", listener.local_addr().unwrap())
}

fn guard(issuer: &str) -> Deputy {
    let deputy = Deputy::new(issuer, Credentials::secret("cl_x", "hush-hush"), HERE).unwrap();
    deputy.with_timeout(PATIENCE)
}

pub fn agent(issuer: &str) -> Agent {
    let agent = Agent::new(issuer, Credentials::secret("cl_x", "hush-hush")).unwrap();
    agent.with_timeout(PATIENCE)
}

fn a_call() -> Call {
    Call { tool: "t".to_owned(), arguments: "{}".to_owned() }
}

/// A yes to the call of `t`, with something changed.
fn permitted(issuer: &str, other: &Value) -> String {
    let mut yes = json!({
        "active": true, "iss": issuer, "aud": HERE, "sub": "alice", "client_id": "cl_a",
        "scope": "s", "exp": 9_999_999_999_u64,
        "decision": { "allow": true, "reason": "permitted", "tool": "t", "id": "d" },
    });
    for (name, value) in other.as_object().unwrap() {
        yes[name] = value.clone();
    }
    yes.to_string()
}

#[tokio::test]
async fn what_is_not_clearly_a_yes_is_no_decision() {
    for other in [
        json!({ "active": "true" }),
        json!({ "active": null }),
        json!({ "decision": null }),
        json!({ "decision": {} }),
        json!({ "decision": { "allow": 1, "reason": "permitted" } }),
        json!({ "decision": { "allow": true } }),
        json!({ "decision": { "allow": true, "reason": "policy_forbids" } }),
        json!({ "decision": { "allow": false, "reason": "permitted" } }),
        json!({ "decision": { "allow": true, "reason": "permitted", "tool": "another" } }),
        json!({ "active": false }),
        json!({ "aud": "https://elsewhere.example" }),
        json!({ "aud": [HERE] }),
        json!({ "iss": "https://elsewhere.example" }),
        json!({ "sub": null }),
        json!({ "client_id": 1 }),
        json!({ "exp": "soon" }),
        json!({ "scope": ["s"] }),
    ] {
        let listener = listener().await;
        let yes = permitted(&issuer(&listener), &other);
        let pretender = Pretender::at(listener, 200, yes, None);
        let answer = guard(&pretender.issuer).decide("token", &a_call(), None).await;
        assert!(matches!(answer, Err(Unavailable::Answer(_))), "{other}: {answer:?}");
    }
    let twice = r#"{"active":false,"active":true}"#.to_owned();
    for body in [String::new(), "[]".to_owned(), "<html>".to_owned(), twice, "x".repeat(70_000)] {
        let pretender = Pretender::saying(200, body).await;
        assert!(guard(&pretender.issuer).introspect("token").await.is_err());
    }
    for status in [201, 301, 400, 401, 403, 404, 429, 500, 503] {
        let pretender = Pretender::saying(status, json!({ "active": true }).to_string()).await;
        let answer = guard(&pretender.issuer).introspect("token").await;
        assert!(matches!(answer, Err(Unavailable::Status { .. })), "{status}");
    }
    let pretender = Pretender::saying(401, r#"{"error":"invalid_client"}"#).await;
    let answer = guard(&pretender.issuer).introspect("token").await.unwrap_err();
    assert!(answer.to_string().contains("its secret or registered key"));
}

#[tokio::test]
async fn every_question_has_a_call_id_of_its_own_and_is_never_answered_from_memory() {
    let listener = listener().await;
    let yes = permitted(&issuer(&listener), &json!({}));
    let pretender = Pretender::at(listener, 200, yes, None);
    let deputy = guard(&pretender.issuer);
    for _ in 0..3 {
        let answer = deputy.decide("token", &a_call(), None).await.unwrap();
        assert!(matches!(answer, Verdict::Permitted(..)));
    }
    let asked = pretender.asked();
    let ids: Vec<&str> = asked.iter().map(|form| form.split("call_id=").nth(1).unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn a_call_is_asked_about_once_with_the_bytes_that_the_server_gets() {
    let (listener, door) = (listener().await, Desk::Tickets.open().await);
    let tool = json!({ "allow": true, "reason": "permitted", "tool": "tickets.get", "id": "d" });
    let yes = permitted(&issuer(&listener), &json!({ "aud": door.url, "decision": tool }));
    let pretender = Pretender::at(listener, 200, yes, None);
    let credentials = Credentials::secret("cl_x", "s");
    let url = door.url.clone();
    let server = door
        .serve(Deputy::new(&pretender.issuer, credentials, &url).unwrap().with_timeout(PATIENCE));
    let body = call("tickets.get", json!({ "id": 1 })).to_string();
    let body = body.replace(r#"{"id":1}"#, r#"{ "id" : 10e-1, "more":{"b":[],"a":null} }"#);
    let headers = [
        ("authorization", "Bearer t"),
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/call"),
        ("mcp-name", "tickets.get"),
    ];
    let answer = send(&server.url, body, &headers).await.text().await.unwrap();
    assert!(answer.contains("Order A-17"), "{answer}");
    let asked = pretender.asked();
    assert_eq!(asked.len(), 1);
    let form = format!("http://form.invalid/?{}", asked[0]);
    let form = reqwest::Url::parse(&form).unwrap();
    let sent = form.query_pairs().find(|(name, _)| name == "arguments").unwrap().1;
    assert_eq!(sent, r#"{ "id" : 10e-1, "more":{"b":[],"a":null} }"#);
    let ran = server.ran();
    assert_eq!(ran[0].1, serde_json::from_str::<Value>(&sent).unwrap());
}

#[tokio::test]
async fn a_server_stays_closed_and_says_why() {
    let nobody = listener().await;
    let down = issuer(&nobody);
    drop(nobody);
    let rubbish = Pretender::saying(200, "<html>").await;
    let slow = listener().await;
    let slow = Pretender::at(slow, 200, "{}".to_owned(), Some(Arc::default()));
    for (issuer, why) in
        [(&down, "reached"), (&rubbish.issuer, "JSON object"), (&slow.issuer, "within 300ms")]
    {
        let door = Desk::Tickets.open().await;
        let deputy = Deputy::new(issuer, Credentials::secret("cl_x", "s"), &door.url).unwrap();
        let timeout = Duration::from_millis(if why.contains("300ms") { 300 } else { 60_000 });
        let server = door.serve(deputy.with_timeout(timeout));
        let answer = post(&server.url, "token", &call("tickets.get", json!({ "id": 1 }))).await;
        assert_eq!(answer.status(), 200);
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let said = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(answer["result"]["isError"], true);
        assert!(said.starts_with("not done") && said.contains(why), "{said}");
        let other = post(&server.url, "token", &message("tools/list", json!({}))).await;
        assert_eq!(other.status(), 503);
        assert!(other.headers().contains_key("retry-after"));
        assert!(!other.headers().contains_key("www-authenticate"));
        assert_eq!(server.ran(), vec![]);
    }
}

#[tokio::test]
async fn an_agent_is_told_no_from_later() {
    let (want, subject) = (Want::scope(HERE, "s"), Subject::access_token("hush-token"));
    let no = Pretender::saying(400, r#"{"error":"invalid_scope","error_id":"e1"}"#).await;
    let refused = agent(&no.issuer).token(&subject, &want).await.unwrap_err();
    assert!(matches!(refused, ExchangeError::Refused(_)));
    assert!(refused.to_string().contains("(error id e1)"));
    for (status, body) in [
        (503, r#"{"error":"temporarily_unavailable"}"#),
        (429, r#"{"error":"slow_down"}"#),
        (200, "x"),
        (200, "{}"),
        (200, r#"{"access_token":"x","token_type":"N_A","expires_in":60}"#),
        (200, r#"{"access_token":"x","token_type":"Bearer","expires_in":"60"}"#),
        (200, r#"{"access_token":"","token_type":"Bearer","expires_in":60}"#),
    ] {
        let later = Pretender::saying(status, body).await;
        let answer = agent(&later.issuer).token(&subject, &want).await;
        assert!(matches!(answer, Err(ExchangeError::Unavailable(_))), "{body}: {answer:?}");
    }
}

const ISSUED: &str = r#"{"access_token":"x","token_type":"Bearer","expires_in":120,"scope":"s"}"#;

#[tokio::test]
async fn many_tasks_that_want_one_token_wait_for_one_exchange() {
    let held = Arc::new(Notify::new());
    let pretender =
        Pretender::at(listener().await, 200, ISSUED.to_owned(), Some(Arc::clone(&held)));
    let agent = agent(&pretender.issuer);
    let done = Arc::new(AtomicUsize::new(0));
    let get = || {
        let (agent, done) = (agent.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let (want, subject) = (Want::scope(HERE, "s"), Subject::access_token("t"));
            agent.token(&subject, &want).await.unwrap();
            done.fetch_add(1, Ordering::Relaxed);
        })
    };
    let leader = get();
    let others: Vec<_> = (0..20).map(|_| get()).collect();
    while pretender.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    // Who led goes away; one of those who wait leads next.
    leader.abort();
    held.notify_one();
    held.notify_one();
    while done.load(Ordering::Relaxed) < 20 {
        held.notify_one();
        tokio::task::yield_now().await;
    }
    for other in others {
        other.await.unwrap();
    }
    assert!(pretender.asked().len() <= 2, "{}", pretender.asked().len());
}

#[tokio::test]
async fn a_token_is_kept_for_what_it_was_asked_for_until_shortly_before_it_expires() {
    let subject = Subject::access_token("t");
    let pretender = Pretender::saying(200, ISSUED).await;
    let agent_ = agent(&pretender.issuer);
    let anything = Tools::new().tool("t", [("a", Constraint::anything())]);
    let wants = [
        Want::scope(HERE, "s"),
        Want::scope(HERE, "s r"),
        Want::tools(HERE, &Tools::new().tool("t", [])),
        Want::tools(HERE, &anything),
        Want::tools(HERE, &anything).with_scope("s"),
        Want::tools(HERE, &anything).onward("https://other.example/mcp", &anything),
        Want::scope("http://127.0.0.1:9/mcp2", "s"),
    ];
    for want in wants.iter().chain(&wants) {
        agent_.token(&subject, want).await.unwrap();
    }
    agent_.token(&Subject::access_token("another"), &wants[0]).await.unwrap();
    agent_.token(&Subject::id_token("t"), &wants[0]).await.unwrap();
    assert_eq!(pretender.asked().len(), wants.len() + 2);

    let brief = Pretender::saying(200, ISSUED.replace("120", "0")).await;
    let agent = agent(&brief.issuer);
    for _ in 0..2 {
        agent.token(&subject, &wants[0]).await.unwrap();
    }
    assert_eq!(brief.asked().len(), 2);
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    _ = listener().await;
    let (agent, deputy) = (agent("https://x.example/oauth2"), guard("https://x.example/oauth2"));
    let subject = Subject::hand_over("hush-token");
    let pretender = Pretender::saying(200, ISSUED.replace("\"x\"", "\"hush-issued\"")).await;
    let other = self::agent(&pretender.issuer);
    let token = other.token(&subject, &Want::scope(HERE, "s")).await.unwrap();
    let printed = format!("{agent:?} {other:?} {deputy:?} {subject:?} {token:?}");
    assert!(!printed.contains("hush"), "{printed}");
    let resource = "https://x.example/mcp?a=b";
    let wrong = Deputy::new("https://x.example", Credentials::secret("a", "hush"), resource);
    assert_eq!(wrong.unwrap_err(), SetupError::Resource(resource.to_owned()));
}
