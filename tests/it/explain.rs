//! Why a call was decided as it was: what an operator is shown, on both engines.

mod histories;

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{REFUNDS, TICKETS},
    wire::{Answer, exact},
};

on_both! {
    a_denial_is_explained_by_the_limit_that_decided
    an_allowed_read_is_found_without_an_index
    every_step_is_told_and_the_first_that_failed_decides
    what_changed_later_explains_nothing_that_was_decided_before
    what_was_not_kept_is_undecidable_and_the_record_stands
    a_revoked_tool_and_a_wrong_subject_are_told_apart
    a_call_id_that_was_reused_is_explained_though_no_argument_was_kept
    the_policy_that_decided_is_shown_as_it_was_written_then
    what_is_gone_is_named_and_the_record_stands
    an_auditor_may_ask_and_a_stranger_may_not
}

/// The explanation of the decision in an answer.
async fn explained(world: &World, answer: &Answer) -> Value {
    let id = answer.json["decision"]["id"].as_str().unwrap().to_owned();
    let told = world.operator().get(&format!("/decisions/{id}")).await;
    assert_eq!(told.status, 200, "{}", told.text);
    told.json
}

fn outcomes(explained: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let steps = explained["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(step, "step"), text(step, "outcome"))).collect()
}

fn outcome(explained: &Value, step: &str) -> String {
    let found = outcomes(explained).into_iter().find(|(name, _)| name == step);
    found.unwrap().1
}

async fn keep(world: &World, tool: &str, pointers: Value) {
    world.change("tool", tool, "keep_arguments", pointers).await;
}

async fn token(world: &World, resource: &str, tools: Value) -> String {
    world
        .agent("support")
        .exchanges(&world.alice())
        .at(resource)
        .tools(resource, tools)
        .token()
        .await
}

async fn a_denial_is_explained_by_the_limit_that_decided(world: World) {
    keep(&world, "refunds.list", json!(["order_id"])).await;
    let tools = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let token = token(&world, REFUNDS, tools).await;
    let denied = world.server("refunds").asks(&token, "refunds.list", r#"{"order_id":"*"}"#).await;
    let told = explained(&world, &denied).await;
    assert_eq!(told["recorded"]["reason"], "argument_not_permitted");
    assert_eq!(told["agrees"], true);
    assert_eq!(told["arguments"], json!({ "order_id": "*" }));
    assert_eq!(told["arguments_kept"], "whole");
    let limit = json!({
        "argument": "/order_id",
        "constraint": { "constraint_type": "exact", "value": "A-17" },
        "value": "*",
        "permits": false,
    });
    assert_eq!(told["limits"], json!([limit]));
    let grant = json!([{
        "type": "mcp_tool_call", "locations": [REFUNDS],
        "tools": { "refunds.list": { "order_id": exact("*") } },
    }]);
    assert_eq!(told["smallest_grant"], grant);
    assert_eq!(told["chain"][0]["via"], "client_secret_basic");
    assert!(told["remedy"].as_str().unwrap().contains("deputy simulate"));
    let versions = told["versions"].as_array().unwrap();
    assert!(versions.contains(&json!({ "kind": "client", "id": "cl_support", "version": 1 })));
    // The grant would have been enough.
    let wider = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let wider = wider.details(grant).token().await;
    let asked = world.server("refunds").asks(&wider, "refunds.list", r#"{"order_id":"*"}"#).await;
    assert_eq!(asked.json["decision"]["allow"], true);
}

async fn an_allowed_read_is_found_without_an_index(world: World) {
    keep(&world, "tickets.get", json!(["id"])).await;
    let token = token(&world, TICKETS, json!({ "tickets.get": { "id": exact("4711") } })).await;
    let tickets = world.server("tickets");
    let first = tickets.asks(&token, "tickets.get", r#"{"id":"4711"}"#).await;
    for _ in 0..5 {
        world.advance(1).await;
        tickets.asks(&token, "tickets.get", r#"{"id":"4711"}"#).await;
    }
    let told = explained(&world, &first).await;
    assert_eq!(told["recorded"]["decision"], first.json["decision"]["id"]);
    assert_eq!(told["agrees"], true);
    assert!(outcomes(&told).iter().all(|(_, outcome)| outcome == "passed"), "{told}");
    assert!(told.get("smallest_grant").is_none() && told.get("remedy").is_none());
}

async fn every_step_is_told_and_the_first_that_failed_decides(world: World) {
    let token = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    let tickets = world.server("tickets");
    for (tool, arguments, step, reason) in [
        ("tickets.nothing", "{}", "tool_registered", "tool_unknown"),
        ("tickets.update", "{}", "tool_named", "tool_not_delegated"),
        ("tickets.get", "[]", "", "arguments_malformed"),
    ] {
        let told = explained(&world, &tickets.asks(&token, tool, arguments).await).await;
        assert_eq!(told["recorded"]["reason"], reason);
        if step.is_empty() {
            // What could not be read was not kept.
            assert_eq!(outcome(&told, "arguments_readable"), "undecidable");
            continue;
        }
        assert_eq!(told["agrees"], true, "{told}");
        let steps = outcomes(&told);
        let at = steps.iter().position(|(name, _)| name == step).unwrap();
        assert!(steps[..at].iter().all(|(_, outcome)| outcome == "passed"), "{told}");
        assert_eq!(steps[at].1, "failed");
        assert!(steps[at + 1..].iter().all(|(_, outcome)| outcome == "not_reached"), "{told}");
    }
}

async fn what_changed_later_explains_nothing_that_was_decided_before(world: World) {
    keep(&world, "tickets.get", json!(["id"])).await;
    let token = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    let allowed = world.server("tickets").asks(&token, "tickets.get", r#"{"id":1}"#).await;
    let before = explained(&world, &allowed).await;
    world.change("tool", "tickets.get", "enabled", json!(false)).await;
    world.change("client", "cl_support", "enabled", json!(false)).await;
    world.change("resource", "tickets", "owner", json!("cl_ledger")).await;
    world.revoke(json!({ "agent": "cl_support" })).await;
    assert_eq!(explained(&world, &allowed).await, before);
    let world = world.restart().await;
    assert_eq!(explained(&world, &allowed).await, before);
}

async fn what_was_not_kept_is_undecidable_and_the_record_stands(world: World) {
    let tools = json!({ "tickets.get": { "id": exact("4711"), "fields": exact("all") } });
    let token = token(&world, TICKETS, tools).await;
    let tickets = world.server("tickets");
    let call = r#"{"id":"4712","fields":"all"}"#;
    let told = explained(&world, &tickets.asks(&token, "tickets.get", call).await).await;
    assert_eq!((&told["arguments_kept"], told.get("agrees")), (&json!("partly"), None));
    assert_eq!(outcome(&told, "arguments_readable"), "passed");
    assert_eq!(outcome(&told, "constraints"), "undecidable");
    assert_eq!(told["recorded"]["reason"], "argument_not_permitted");
    assert!(told.get("smallest_grant").is_none());
    // The record says which limit decided, though not by which value.
    let limits: Vec<_> = told["limits"].as_array().unwrap().iter().collect();
    let limit = |at: &str| *limits.iter().find(|limit| limit["argument"] == at).unwrap();
    assert_eq!((&limit("/id")["permits"], limit("/id").get("value")), (&json!(false), None));
    assert_eq!(limit("/fields").get("permits"), None);
    // One kept value that is not permitted settles it.
    keep(&world, "tickets.get", json!(["id"])).await;
    let tools = json!({ "tickets.get": { "id": exact("4711"), "fields": exact("all") } });
    let token = self::token(&world, TICKETS, tools).await;
    let told = explained(&world, &tickets.asks(&token, "tickets.get", call).await).await;
    assert_eq!((&told["arguments_kept"], &told["agrees"]), (&json!("partly"), &json!(true)));
    assert_eq!(outcome(&told, "constraints"), "failed");
    // Where any arguments are permitted, no value matters.
    let any = self::token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    let told = explained(&world, &tickets.asks(&any, "tickets.get", call).await).await;
    assert_eq!((&told["arguments_kept"], &told["agrees"]), (&json!("partly"), &json!(true)));
}

async fn a_revoked_tool_and_a_wrong_subject_are_told_apart(world: World) {
    let token = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    world.revoke(json!({ "tool": { "resource": "tickets", "name": "tickets.get" } })).await;
    let denied = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    let told = explained(&world, &denied).await;
    assert_eq!(outcome(&told, "tool_not_revoked"), "failed");
    assert_eq!(told["agrees"], true);
    assert!(told.get("smallest_grant").is_none(), "no grant would cure it");
}

async fn a_call_id_that_was_reused_is_explained_though_no_argument_was_kept(world: World) {
    let token = token(&world, TICKETS, json!({ "tickets.update": {} })).await;
    let asks = world.agent("tickets").introspects(&token).at(TICKETS);
    let asks = asks.field("tool", "tickets.update").field("call_id", "once");
    asks.clone().field("arguments", r#"{"id":1}"#).send().await;
    let denied = asks.field("arguments", r#"{"id":2}"#).send().await;
    let told = explained(&world, &denied).await;
    assert_eq!(told["recorded"]["reason"], "call_id_reused");
    assert_eq!((&told["arguments_kept"], &told["agrees"]), (&json!("partly"), &json!(true)));
    assert_eq!(outcome(&told, "not_used_up"), "failed");
    assert_eq!(outcome(&told, "constraints"), "passed");
}

async fn the_policy_that_decided_is_shown_as_it_was_written_then(world: World) {
    let enforced =
        "@id(\"no-tickets\")\nforbid (principal, action in Action::\"tickets/*\", resource);";
    let watched =
        "@id(\"nothing\")\n@shadow\nforbid (principal, action in Action::\"call\", resource);";
    let set =
        |text: &str| json!({ "delegation": [{ "name": "delegation/a.cedar", "text": text }] });
    let policies = format!("// Holidays.\n{enforced}\n{watched}");
    world.put(&[("policy_set", "active", set(&policies))]).await;
    let token = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    let denied = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    assert_eq!(denied.json["decision"]["reason"], "policy_forbids");
    assert!(!denied.text.contains("no-tickets"), "the caller is told no more: {}", denied.text);
    world.put(&[("policy_set", "active", set(""))]).await;
    let told = explained(&world, &denied).await;
    assert_eq!((outcome(&told, "policies").as_str(), &told["agrees"]), ("failed", &json!(true)));
    let named = |id: &str, line: u32, text: &str| json!([{ "id": id, "file": "delegation/a.cedar", "line": line, "text": text }]);
    let expected = json!({
        "version": 1,
        "decided": named("no-tickets", 2, enforced),
        "shadow": named("nothing", 4, watched),
    });
    assert_eq!(told["policies"], expected);
    let version = json!({ "kind": "policy_set", "id": "active", "version": 1 });
    assert!(told["versions"].as_array().unwrap().contains(&version), "{told}");
    assert!(told["remedy"].as_str().unwrap().contains("policy"), "{told}");
    let passed = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    assert!(explained(&world, &passed).await.get("policies").is_none(), "none said no");
    // Where values that were not kept leave the steps open, the record says which policy it was.
    let limited = json!({ "tickets.get": { "id": exact("4711") } });
    let limited = self::token(&world, TICKETS, limited).await;
    world.put(&[("policy_set", "active", set(&policies))]).await;
    let denied = world.server("tickets").asks(&limited, "tickets.get", r#"{"id":"4711"}"#).await;
    let told = explained(&world, &denied).await;
    assert_eq!((outcome(&told, "policies").as_str(), told.get("agrees")), ("undecidable", None));
    assert_eq!(told["policies"]["decided"], named("no-tickets", 2, enforced));
}

async fn what_is_gone_is_named_and_the_record_stands(world: World) {
    let token = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    let asked = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    let day = 86_400;
    world.advance(day).await;
    assert_eq!(explained(&world, &asked).await["agrees"], true);
    // The registry is replaced, and everything of then is swept.
    world.change("tool", "tickets.get", "enabled", json!(false)).await;
    world.advance(8 * day).await;
    let told = explained(&world, &asked).await;
    assert_eq!(told["recorded"]["reason"], "permitted");
    assert!(told["not_judged_again"].as_str().unwrap().contains("no longer kept"), "{told}");
    assert!(told.get("steps").is_none());
}

async fn an_auditor_may_ask_and_a_stranger_may_not(world: World) {
    let token = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    let asked = world.server("tickets").asks(&token, "tickets.get", "{}").await;
    let path = format!("/decisions/{}", asked.json["decision"]["id"].as_str().unwrap());
    assert_eq!(world.auditor().await.get(&path).await.status, 200);
    assert_eq!(world.get(&format!("/admin/v1{path}")).await.status, 401);
    for unknown in ["/decisions/AAAAAAAAAAAAAAAAAAAAAA", "/decisions/x", "/decisions/%00"] {
        assert_eq!(world.operator().get(unknown).await.status, 404, "{unknown}");
    }
}
