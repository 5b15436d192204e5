//! What is on record, and when: the audit log's table, told as cases.

use std::fs;

use deputy::{
    base::id::ClientId,
    model::event::{Event, Kind, Outcome},
    service::keys::ADMIN_TOKEN_FILE,
};
use serde_json::json;

use crate::{
    postgres::cluster,
    world::{
        World, on_both,
        story::TICKETS,
        wire::{claims, exact},
    },
};

on_both! {
    a_granted_exchange_is_on_record_with_its_chain
    a_refused_exchange_is_on_record_with_its_subject_and_error_id
    every_decision_is_on_record_and_a_plain_question_is_not
    requests_before_authentication_are_summed_up_once_a_minute
    no_token_and_no_secret_is_written_down
}

async fn ticket(world: &World) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let tools = json!({ "tickets.get": { "id": exact(4711) }, "tickets.update": {} });
    exchange.tools(TICKETS, tools).token().await
}

fn newest(events: &[Event], kind: Kind) -> &Event {
    events.iter().find(|event| event.kind == kind).unwrap()
}

fn subject(event: &Event) -> &str {
    event.subject.as_ref().map_or("", |subject| &subject.sub)
}

async fn a_granted_exchange_is_on_record_with_its_chain(world: World) {
    let token = ticket(&world).await;
    let events = world.events().await;
    let event = newest(&events, Kind::Exchange);
    assert_eq!((event.outcome, subject(event)), (Outcome::Granted, "alice"));
    assert_eq!(event.delegation.unwrap().to_string(), claims(&token)["jti"].as_str().unwrap());
    let hop = event.chain.first().unwrap();
    assert_eq!((&*hop.sub, hop.via.as_deref()), ("cl_support", Some("client_secret_basic")));
}

async fn a_refused_exchange_is_on_record_with_its_subject_and_error_id(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let refused = exchange.scope("tickets:nonsense").send().await;
    refused.is_refused("invalid_scope");
    let events = world.events().await;
    let event = newest(&events, Kind::Exchange);
    assert_eq!((event.outcome, &*event.reason), (Outcome::Refused, "scope_unknown"));
    assert_eq!(subject(event), "alice");
    assert_eq!(event.error.unwrap().to_string(), refused.json["error_id"].as_str().unwrap());
}

async fn every_decision_is_on_record_and_a_plain_question_is_not(world: World) {
    let token = ticket(&world).await;
    let tickets = world.server("tickets");
    let before = world.events().await.len();
    assert!(tickets.accepts(&token).await);
    tickets.asks("garbage", "tickets.update", "{}").await;
    assert_eq!(world.events().await.len(), before);
    for (tool, arguments, reason) in [
        ("tickets.get", json!({ "id": 4711 }), "permitted"),
        ("tickets.get", json!({ "id": 1 }), "argument_not_permitted"),
        ("tickets.update", json!({ "any": "thing" }), "permitted"),
    ] {
        let answer = tickets.asks(&token, tool, &arguments.to_string()).await;
        let events = world.events().await;
        let event = newest(&events, Kind::Decision);
        let id = event.decision.unwrap().to_string();
        assert_eq!(answer.json["decision"]["id"], id, "the answer names its record");
        assert_eq!((&*event.reason, event.tool.as_deref()), (reason, Some(tool)));
        assert_eq!((subject(event), event.chain.len()), ("alice", 1));
        // Events of one second are listed newest first only by their place in the log.
        world.advance(1).await;
    }
    assert_eq!(world.events().await.len(), before + 3);
}

async fn requests_before_authentication_are_summed_up_once_a_minute(world: World) {
    // Off the minute, at which everything would be summed up already.
    world.advance(1).await;
    let made_up = world.agent("support").exchanges("x").basic(Some(("cl_support", "guess")));
    for _ in 0..5 {
        made_up.clone().send().await.is_refused("invalid_client");
    }
    let counted = |events: &[Event]| {
        events.iter().filter(|event| event.kind == Kind::Unauthenticated).count()
    };
    assert_eq!(counted(&world.events().await), 0);
    world.advance(59).await;
    let events = world.events().await;
    assert_eq!(counted(&events), 1);
    let event = newest(&events, Kind::Unauthenticated);
    assert_eq!(&*event.reason, "client_authentication_failed");
    assert!(event.detail.contains(&("count".into(), "5".to_owned())), "{:?}", event.detail);
}

async fn no_token_and_no_secret_is_written_down(world: World) {
    let alice = world.alice();
    let exchange = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let token = exchange.token().await;
    let asked = world.server("tickets").decides(&token, "tickets.get", json!({ "id": 1 })).await;
    assert_eq!(asked, "permitted");
    let client = json!({ "client_id": "cl_new", "name": "New" });
    let created = world.operator().post("/clients", client).await;
    let admin = fs::read_to_string(world.deputy.options().keys_dir.join(ADMIN_TOKEN_FILE)).unwrap();
    let support = ClientId::parse("cl_support").unwrap();
    world.events().await;
    let database = everything(&world.deputy.options().database);
    for secret in [
        &alice,
        &token,
        world.secret(&support).expose(),
        created.json["client_secret"].as_str().unwrap(),
        admin.trim(),
    ] {
        // A signature, or the random part of a secret, is enough to know it by. PostgreSQL writes
        // bytes down as digits.
        let tail = &secret[secret.len() - 40..];
        let digits: Vec<String> = tail.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!database.contains(tail) && !database.contains(&digits.concat()));
    }
    assert!(database.contains("cl_support"), "this is the database");
}

/// All that a database holds.
fn everything(database: &str) -> String {
    let Some(file) = database.strip_prefix("sqlite:") else { return cluster().dump(database) };
    let read = |name: String| String::from_utf8_lossy(&fs::read(name).unwrap()).into_owned();
    format!("{}{}", read(file.to_owned()), read(format!("{file}-wal")))
}
