//! The cases of `tests/vectors/sdk`, which every SDK passes.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::Router;
use deputy_client::{
    agent::{Subject, Token, Want},
    authority::{Constraint, Tools},
    credentials::Credentials,
    deputy::Deputy,
    error::ExchangeError,
    gate::DeputyLayer,
};
use reqwest::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::{
    requests::{call, message, post},
    unreliable::{Pretender, agent, issuer, listener},
    world::PATIENCE,
};

const RESOURCE: &str = "http://127.0.0.1:9/mcp";

/// A file of cases, with these names filled in.
fn load(name: &str, names: &[(&str, &str)]) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/sdk");
    let mut text = fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    for (name, value) in names {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    serde_json::from_str(&text).unwrap()
}

/// What is answered in a case.
fn body(case: &Value, live: &Value) -> String {
    if let Some(text) = case["text"].as_str() {
        return text.to_owned();
    }
    let mut answer = if case["live"] == true { live.clone() } else { json!({}) };
    for (name, value) in case["answer"].as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer.to_string()
}

fn status(case: &Value) -> u16 {
    case["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap())
}

#[tokio::test]
async fn what_a_server_is_answered_is_what_its_client_gets() {
    let cases = load("answers", &[])["cases"].as_array().unwrap().len();
    for at in 0..cases {
        let (deputy, server) = (listener().await, listener().await);
        let origin = format!("http://{}", server.local_addr().unwrap());
        let (issuer, resource) = (issuer(&deputy), format!("{origin}/mcp"));
        let metadata = format!("{origin}/.well-known/oauth-protected-resource/mcp");
        let names = [("issuer", &*issuer), ("resource", &resource), ("metadata", &metadata)];
        let vectors = load("answers", &names);
        let case = &vectors["cases"][at];
        Pretender::at(deputy, status(case), body(case, &vectors["live"]), None);
        let asked = Deputy::new(&issuer, Credentials::secret("cl_x", "secret"), &resource).unwrap();
        let gate = DeputyLayer::new(asked.with_timeout(PATIENCE)).unwrap();
        let behind = Router::new().fallback(|| async { "passed" }).layer(gate);
        tokio::spawn(async move { axum::serve(server, behind).await });
        let about_call = case["asked"] == "call";
        let question = if about_call {
            call("t", json!({ "a": 1 }))
        } else {
            message("tools/list", json!({}))
        };
        let answer = post(&resource, "token", &question).await;
        holds(case, answer, about_call, vectors["closed_text"].as_str().unwrap()).await;
    }
}

async fn holds(case: &Value, answer: reqwest::Response, about_call: bool, closed: &str) {
    let (name, gets) = (&case["name"], &case["gets"]);
    let header = |header| answer.headers().get(header).map(|value| value.to_str().unwrap().into());
    let (challenge, later): (Option<String>, Option<String>) =
        (header(WWW_AUTHENTICATE), header(RETRY_AFTER));
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(text == "passed", gets == "passes", "{name}: {text}");
    if text == "passed" {
        return;
    }
    let said: Value = serde_json::from_str(&text).unwrap();
    let told = said["result"]["content"][0]["text"].as_str();
    let decision = said["result"]["_meta"].get("deputy/decision");
    if gets != "closed" {
        assert_eq!(json!(status), gets["status"], "{name}");
        assert_eq!(json!(challenge), gets["challenge"], "{name}");
        assert_eq!(json!(told), gets["text"], "{name}");
        assert_eq!(json!(decision), gets["meta"], "{name}");
    } else if about_call {
        assert_eq!((status, challenge), (200, None), "{name}");
        assert_eq!(said["result"]["isError"], true, "{name}");
        assert!(told.unwrap().starts_with(closed), "{name}: {told:?}");
        assert_eq!(said["result"].get("_meta"), None, "{name}");
    } else {
        assert_eq!((status, challenge, later.is_some()), (503, None, true), "{name}");
    }
}

#[tokio::test]
async fn what_an_agent_is_answered_is_a_token_a_no_or_later() {
    for case in load("exchange", &[])["cases"].as_array().unwrap() {
        let (name, gets) = (&case["name"], &case["gets"]);
        let pretender = Pretender::saying(status(case), body(case, &Value::Null)).await;
        let agent = agent(&pretender.issuer);
        let got = agent.token(&Subject::access_token("t"), &Want::scope(RESOURCE, "s")).await;
        let got = match got {
            Ok(token) => json!({ "token": token.expose(), "scope": token.scope() }),
            Err(ExchangeError::Unavailable(_)) => json!("unavailable"),
            Err(ExchangeError::Refused(no)) => json!({ "refused": {
                "error": no.error, "description": no.description, "error_id": no.error_id,
            } }),
        };
        assert_eq!(got, *gets, "{name}");
    }
}

#[tokio::test]
async fn an_agent_steps_up_to_what_was_named_beforehand_once_and_no_further() {
    let issued = json!({
        "access_token": "x", "token_type": "Bearer", "scope": "s", "expires_in": 120,
    });
    for case in load("step_up", &[])["cases"].as_array().unwrap() {
        let (name, text) = (&case["name"], |member: &str| case[member].as_str().unwrap_or(""));
        let pretender = Pretender::saying(200, issued.to_string()).await;
        let sent = AtomicUsize::new(0);
        let answer = async |_: &Token| {
            sent.fetch_add(1, Ordering::SeqCst);
            let challenge = case["challenge"].as_str();
            let answer = http::Response::builder().status(status(case));
            let answer = match challenge {
                Some(challenge) => answer.header(WWW_AUTHENTICATE, challenge),
                None => answer,
            };
            answer.body(())
        };
        let mut want = Want::scope(RESOURCE, text("scope"));
        let agent = agent(&pretender.issuer);
        let subject = Subject::access_token("t");
        let got = agent.send(&subject, &mut want, text("step_up"), answer).await.unwrap();
        assert_eq!(got.status(), status(case), "{name}");
        let asked = pretender.asked();
        let scopes: Vec<String> = asked.iter().map(|form| scope_of(form)).collect();
        assert_eq!(json!(scopes), case["exchanges"], "{name}");
        assert_eq!(sent.load(Ordering::SeqCst), scopes.len(), "{name}");
    }
}

/// The scope that a form asks for.
fn scope_of(form: &str) -> String {
    let scope = form.split('&').find_map(|pair| pair.strip_prefix("scope="));
    scope.unwrap().replace('+', " ").replace("%20", " ")
}

fn tools(of: &Value) -> Tools {
    of.as_object().unwrap().iter().fold(Tools::new(), |tools, (tool, arguments)| {
        let arguments = arguments.as_object().unwrap().iter();
        let limits = arguments.map(|(name, limit)| (&**name, Constraint::json(limit.clone())));
        tools.tool(tool, limits)
    })
}

fn want(of: &Value) -> Want {
    let (resource, scope) = (of["resource"].as_str().unwrap(), of["scope"].as_str());
    let mut want = match (of.get("tools"), scope) {
        (None, Some(scope)) => Want::scope(resource, scope),
        (Some(named), None) => Want::tools(resource, &tools(named)),
        (Some(named), Some(scope)) => Want::tools(resource, &tools(named)).with_scope(scope),
        (None, None) => panic!("nothing is wanted"),
    };
    for (location, named) in of["onward"].as_object().into_iter().flatten() {
        want = want.onward(location, &tools(named));
    }
    want
}

#[tokio::test]
async fn a_token_is_kept_for_what_it_was_asked_for() {
    let vectors = load("exchange", &[("resource", RESOURCE)]);
    for memory in vectors["memory"].as_array().unwrap() {
        let issued = json!({
            "access_token": "x", "token_type": "Bearer", "scope": "s",
            "expires_in": memory["expires_in"],
        });
        let pretender = Pretender::saying(200, issued.to_string()).await;
        let agent = agent(&pretender.issuer);
        for wanted in memory["wants"].as_array().unwrap() {
            let subject = Subject::access_token(wanted["subject"].as_str().unwrap());
            agent.token(&subject, &want(wanted)).await.unwrap();
        }
        assert_eq!(json!(pretender.asked().len()), memory["exchanges"], "{}", memory["name"]);
    }
}
