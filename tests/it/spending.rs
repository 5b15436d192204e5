//! `max_calls` and `call_id`: how often a call may run, however many hold a part of the authority,
//! and what asking twice costs.

use std::sync::Arc;

use deputy::model::event::{Event, Kind, Outcome};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{
    World, on_both,
    story::{BILLING, LEDGER, REFUNDS, STATS, TICKETS},
    wire::{Answer, claims, entry},
};

on_both! {
    ra1_max_calls_is_granted_shown_and_counted
    max_calls_only_shrinks_and_what_is_omitted_is_inherited
    narrowing_for_oneself_does_not_renew_the_budget
    one_budget_for_all_who_grew_from_a_hand_over
    a_child_with_fewer_calls_spends_its_own_and_its_parents
    an_onward_entry_has_its_own_budget
    exactly_so_many_calls_run_however_many_ask_at_once
    only_decisions_spend
    no_calls_are_counted_at_a_server_that_does_not_ask
    a_budget_outlives_a_restart
    a_question_asked_again_is_the_same_decision_and_free
    a_call_id_names_one_call_only
    a_repeated_question_is_judged_again
    many_who_ask_the_same_at_once_get_one_decision
    the_call_id_of_an_uncounted_read_is_not_looked_at
    a_database_that_is_away_never_allows
}

/// Authority over a tool of a location, for so many calls.
fn counted(location: &str, tool: &str, max_calls: u32) -> Value {
    let mut entry = entry(location, json!({ tool: {} }));
    entry["max_calls"] = json!(max_calls);
    entry
}

/// Reading tickets, so many times.
async fn reading(world: &World, max_calls: u32) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.details(json!([counted(TICKETS, "tickets.get", max_calls)])).token().await
}

/// Listing refunds, so many times, handed over to billing.
async fn handed_over(world: &World, max_calls: u32) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(BILLING);
    exchange.details(json!([counted(REFUNDS, "refunds.list", max_calls)])).token().await
}

async fn taken_over(world: &World, hand_over: &str) -> String {
    world.agent("billing").takes_over(hand_over).at(REFUNDS).token().await
}

async fn gets(world: &World, token: &str) -> String {
    world.server("tickets").decides(token, "tickets.get", json!({})).await
}

async fn lists(world: &World, token: &str) -> String {
    world.server("refunds").decides(token, "refunds.list", json!({})).await
}

/// Asks about a call under a name.
async fn asks(world: &World, token: &str, tool: &str, arguments: &str, call_id: &str) -> Answer {
    let asks = world.agent("tickets").introspects(token).at(TICKETS).field("tool", tool);
    asks.field("arguments", arguments).field("call_id", call_id).send().await
}

fn reason(answer: &Answer) -> &str {
    answer.json["decision"]["reason"].as_str().unwrap_or("inactive")
}

fn id(answer: &Answer) -> String {
    answer.json["decision"]["id"].as_str().unwrap().to_owned()
}

async fn decisions(world: &World, outcome: Outcome) -> Vec<Event> {
    let decided = |event: &Event| event.kind == Kind::Decision && event.outcome == outcome;
    world.events().await.into_iter().filter(decided).collect()
}

async fn ra1_max_calls_is_granted_shown_and_counted(world: World) {
    let details = json!([counted(TICKETS, "tickets.get", 2)]);
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let answer = exchange.details(details.clone()).send().await;
    assert_eq!(answer.json["authorization_details"], details);
    let token = answer.token();
    assert_eq!(claims(&token)["authorization_details"], details);
    let seen = world.server("tickets").sees(&token).await;
    assert_eq!(seen.json["authorization_details"], details);
    for expected in ["permitted", "permitted", "calls_exhausted", "calls_exhausted"] {
        assert_eq!(gets(&world, &token).await, expected);
    }
    // What the token does not cover is denied as before, and the token is live all the same.
    let other = world.server("tickets").decides(&token, "tickets.update", json!({})).await;
    assert_eq!(other, "tool_not_delegated");
    assert!(world.server("tickets").accepts(&token).await);
    let denied = decisions(&world, Outcome::Refused).await;
    let reasons: Vec<&str> = denied.iter().map(|event| &*event.reason).collect();
    assert_eq!(reasons, ["tool_not_delegated", "calls_exhausted", "calls_exhausted"]);
    assert_eq!(decisions(&world, Outcome::Granted).await.len(), 2);
    // A denial tells what is allowed in no way.
    let answer = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    assert!(answer.json["decision"].get("remediation").is_none());
}

async fn max_calls_only_shrinks_and_what_is_omitted_is_inherited(world: World) {
    let parent = reading(&world, 3).await;
    let narrows = world.agent("support").exchanges(&parent).at(TICKETS);
    let more = narrows.clone().details(json!([counted(TICKETS, "tickets.get", 4)]));
    more.send().await.is_refused("invalid_authorization_details");
    for (asked, shown) in [(Some(3), 3), (Some(1), 1), (None, 3)] {
        let mut details = json!([entry(TICKETS, json!({ "tickets.get": {} }))]);
        if let Some(calls) = asked {
            details[0]["max_calls"] = json!(calls);
        }
        let child = narrows.clone().details(details).token().await;
        assert_eq!(claims(&child)["authorization_details"][0]["max_calls"], shown);
    }
    // By scope alone, and by saying nothing at all.
    for child in [narrows.clone().scope("tickets:read"), narrows] {
        let child = child.token().await;
        assert_eq!(claims(&child)["authorization_details"][0]["max_calls"], 3);
    }
    for bad in [json!(0), json!(-1), json!(1.5), json!("2"), json!(1_000_001), Value::Null] {
        let mut details = json!([entry(TICKETS, json!({ "tickets.get": {} }))]);
        details[0]["max_calls"] = bad;
        let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
        exchange.details(details).send().await.is_refused("invalid_authorization_details");
    }
}

async fn narrowing_for_oneself_does_not_renew_the_budget(world: World) {
    let mut token = reading(&world, 3).await;
    let first = token.clone();
    for _ in 0..3 {
        assert_eq!(gets(&world, &token).await, "permitted");
        token = world.agent("support").exchanges(&token).at(TICKETS).token().await;
    }
    assert_eq!(gets(&world, &token).await, "calls_exhausted");
    assert_eq!(gets(&world, &first).await, "calls_exhausted");
}

async fn one_budget_for_all_who_grew_from_a_hand_over(world: World) {
    let hand_over = handed_over(&world, 3).await;
    let tokens = [taken_over(&world, &hand_over).await, taken_over(&world, &hand_over).await];
    assert_eq!(lists(&world, &tokens[0]).await, "permitted");
    assert_eq!(lists(&world, &tokens[1]).await, "permitted");
    assert_eq!(lists(&world, &tokens[0]).await, "permitted");
    assert_eq!(lists(&world, &tokens[0]).await, "calls_exhausted");
    assert_eq!(lists(&world, &tokens[1]).await, "calls_exhausted");
    let late = taken_over(&world, &hand_over).await;
    assert_eq!(lists(&world, &late).await, "calls_exhausted");
}

async fn a_child_with_fewer_calls_spends_its_own_and_its_parents(world: World) {
    let parent = reading(&world, 3).await;
    let narrows = world.agent("support").exchanges(&parent).at(TICKETS);
    let child = narrows.details(json!([counted(TICKETS, "tickets.get", 2)])).token().await;
    assert_eq!(gets(&world, &child).await, "permitted");
    assert_eq!(gets(&world, &child).await, "permitted");
    assert_eq!(gets(&world, &child).await, "calls_exhausted");
    // The refused one took nothing from the parent.
    assert_eq!(gets(&world, &parent).await, "permitted");
    assert_eq!(gets(&world, &parent).await, "calls_exhausted");
}

async fn an_onward_entry_has_its_own_budget(world: World) {
    let details = json!([counted(REFUNDS, "refunds.list", 1), counted(LEDGER, "ledger.get", 2)]);
    let exchange = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let token = exchange.details(details).token().await;
    assert_eq!(lists(&world, &token).await, "permitted");
    assert_eq!(lists(&world, &token).await, "calls_exhausted");
    let onward = || world.agent("refunds").exchanges(&token).at(LEDGER).token();
    let (one, other) = (onward().await, onward().await);
    let ledger = world.server("ledger");
    assert_eq!(ledger.decides(&one, "ledger.get", json!({})).await, "permitted");
    assert_eq!(ledger.decides(&other, "ledger.get", json!({})).await, "permitted");
    assert_eq!(ledger.decides(&one, "ledger.get", json!({})).await, "calls_exhausted");
}

async fn exactly_so_many_calls_run_however_many_ask_at_once(world: World) {
    let world = Arc::new(world);
    let hand_over = handed_over(&world, 20).await;
    // Siblings, and a child of one of them that may do less.
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(taken_over(&world, &hand_over).await);
    }
    let narrows = world.agent("billing").exchanges(&tokens[0]).at(REFUNDS);
    let few = narrows.details(json!([counted(REFUNDS, "refunds.list", 4)])).token().await;
    tokens.push(few.clone());
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let (world, token) = (Arc::clone(&world), tokens[n % tokens.len()].clone());
        tasks.spawn(async move { (lists(&world, &token).await, token) });
    }
    let answers = tasks.join_all().await;
    let allowed = answers.iter().filter(|(reason, _)| reason == "permitted");
    assert_eq!(allowed.clone().count(), 20);
    assert!(allowed.filter(|(_, token)| *token == few).count() <= 4);
    assert!(answers.iter().all(|(reason, _)| reason == "permitted" || reason == "calls_exhausted"));
    for token in &tokens {
        assert_eq!(lists(&world, token).await, "calls_exhausted");
    }
}

async fn only_decisions_spend(world: World) {
    let token = reading(&world, 1).await;
    let tickets = world.server("tickets");
    for _ in 0..3 {
        assert!(tickets.accepts(&token).await);
        // Denied for other reasons.
        assert_eq!(
            tickets.decides(&token, "tickets.delete", json!({})).await,
            "tool_not_delegated"
        );
        let malformed = tickets.asks(&token, "tickets.get", "[]").await;
        assert_eq!(reason(&malformed), "arguments_malformed");
        // Somebody else's question.
        let stranger = world.agent("refunds").introspects(&token).field("tool", "tickets.get");
        assert_eq!(stranger.at(TICKETS).send().await.text, r#"{"active":false}"#);
        world.agent("support").exchanges(&token).at(TICKETS).token().await;
    }
    assert_eq!(gets(&world, &token).await, "permitted");
    assert_eq!(gets(&world, &token).await, "calls_exhausted");
}

async fn no_calls_are_counted_at_a_server_that_does_not_ask(world: World) {
    let tool = json!({
        "resource": "stats", "name": "stats.read", "scopes": ["stats:read"], "effect": "read",
        "input_schema": { "type": "object" }, "changed_at": 0, "changed_on": 0,
    });
    world.put(&[("tool", "stats.read", tool)]).await;
    let mut details = entry(STATS, json!({ "stats.read": {} }));
    details["max_calls"] = json!(1);
    let exchange = world.agent("support").exchanges(&world.alice()).at(STATS);
    let refused = exchange.details(json!([details])).send().await;
    refused.is_refused("invalid_authorization_details");
}

async fn a_budget_outlives_a_restart(world: World) {
    let token = reading(&world, 2).await;
    assert_eq!(gets(&world, &token).await, "permitted");
    let before = asks(&world, &token, "tickets.get", "{}", "last").await;
    assert_eq!(reason(&before), "permitted");
    let world = world.restart().await;
    assert_eq!(gets(&world, &token).await, "calls_exhausted");
    let again = asks(&world, &token, "tickets.get", "{}", "last").await;
    assert_eq!((reason(&again), id(&again)), ("permitted", id(&before)));
}

async fn a_question_asked_again_is_the_same_decision_and_free(world: World) {
    let token = reading(&world, 2).await;
    let first = asks(&world, &token, "tickets.get", r#"{"a":1,"b":[{"c":2.50}]}"#, "one").await;
    assert_eq!(reason(&first), "permitted");
    for spelled in [
        r#"{"a":1,"b":[{"c":2.50}]}"#,
        r#"{ "b": [ { "c": 2.5 } ], "a": 1.0 }"#,
        r#"{"\u0061":1e0,"b":[{"c":25e-1}]}"#,
    ] {
        let again = asks(&world, &token, "tickets.get", spelled, "one").await;
        assert_eq!((again.json["active"].clone(), id(&again)), (json!(true), id(&first)));
        assert_eq!(again.text, first.text);
    }
    assert_eq!(decisions(&world, Outcome::Granted).await.len(), 1);
    // No arguments are an empty object.
    let bare = world.agent("tickets").introspects(&token).at(TICKETS).field("tool", "tickets.get");
    let bare = bare.field("call_id", "two").send().await;
    assert_eq!(id(&asks(&world, &token, "tickets.get", "{}", "two").await), id(&bare));
    assert_eq!(gets(&world, &token).await, "calls_exhausted");
}

async fn a_call_id_names_one_call_only(world: World) {
    let exchange = || world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let tools = json!({ "tickets.get": {}, "tickets.update": {} });
    let mut details = entry(TICKETS, tools);
    details["max_calls"] = json!(3);
    let token = exchange().details(json!([details.clone()])).token().await;
    let first = asks(&world, &token, "tickets.update", r#"{"id":1}"#, "one").await;
    assert_eq!(reason(&first), "permitted");
    for (tool, arguments) in [
        ("tickets.update", r#"{"id":2}"#),
        ("tickets.update", r#"{"id":"1"}"#),
        ("tickets.update", r#"{"id":1,"more":null}"#),
        ("tickets.update", "{}"),
        ("tickets.get", r#"{"id":1}"#),
    ] {
        let reused = asks(&world, &token, tool, arguments, "one").await;
        assert_eq!(reason(&reused), "call_id_reused", "{tool} {arguments}");
        assert_eq!(reused.json["active"], false);
        assert_ne!(id(&reused), id(&first));
    }
    let denied = decisions(&world, Outcome::Refused).await;
    assert!(denied.len() == 5 && denied.iter().all(|event| &*event.reason == "call_id_reused"));
    // Another token has names of its own; and nothing but the first was taken from the budget.
    let other = exchange().details(json!([details])).token().await;
    let there = asks(&world, &other, "tickets.get", "{}", "one").await;
    assert_eq!(reason(&there), "permitted");
    assert_eq!(gets(&world, &token).await, "permitted");
    assert_eq!(gets(&world, &token).await, "permitted");
    assert_eq!(gets(&world, &token).await, "calls_exhausted");
}

async fn a_repeated_question_is_judged_again(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let token = exchange.tools(TICKETS, json!({ "tickets.update": {} })).token().await;
    let ask = || asks(&world, &token, "tickets.update", "{}", "one");
    let first = ask().await;
    assert_eq!((reason(&first), id(&ask().await)), ("permitted", id(&first)));
    world.revoke(json!({ "tool": { "resource": "tickets", "name": "tickets.update" } })).await;
    assert_eq!(reason(&ask().await), "tool_revoked");
    world.revoke(json!({ "delegation": claims(&token)["jti"] })).await;
    assert_eq!(ask().await.text, r#"{"active":false}"#);
}

async fn many_who_ask_the_same_at_once_get_one_decision(world: World) {
    let world = Arc::new(world);
    let token = reading(&world, 2).await;
    let mut tasks = JoinSet::new();
    for _ in 0..24 {
        let (world, token) = (Arc::clone(&world), token.clone());
        tasks.spawn(async move {
            let answer = asks(&world, &token, "tickets.get", "{}", "one").await;
            assert_eq!(reason(&answer), "permitted");
            id(&answer)
        });
    }
    let mut ids = tasks.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(gets(&world, &token).await, "permitted");
    assert_eq!(gets(&world, &token).await, "calls_exhausted");
    assert_eq!(decisions(&world, Outcome::Granted).await.len(), 2);
}

async fn the_call_id_of_an_uncounted_read_is_not_looked_at(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let token = exchange.scope("tickets:read").token().await;
    let first = asks(&world, &token, "tickets.get", r#"{"id":1}"#, "one").await;
    let other = asks(&world, &token, "tickets.get", r#"{"id":2}"#, "one").await;
    assert_eq!((reason(&first), reason(&other)), ("permitted", "permitted"));
    assert_ne!(id(&first), id(&other));
}

async fn a_database_that_is_away_never_allows(world: World) {
    let token = reading(&world, 5).await;
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let uncounted = exchange.scope("tickets:read").token().await;
    assert_eq!(gets(&world, &token).await, "permitted");
    world.deputy.store().close().await.unwrap();
    let away = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    assert_eq!((away.status, &away.json["error"]), (503, &json!("temporarily_unavailable")));
    // What asks only, and what spends nothing, needs no database.
    assert!(world.server("tickets").accepts(&token).await);
    assert_eq!(gets(&world, &uncounted).await, "permitted");
    assert_eq!(
        world.server("tickets").decides(&token, "tickets.delete", json!({})).await,
        "tool_not_delegated"
    );
}
