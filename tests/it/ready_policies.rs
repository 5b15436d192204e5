//! The policies of `docs/policies`, each from both sides: what it stops, and what it lets pass. They
//! are activated as an administrator does it, and asked through the doors.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{BILLING, REFUND_DESK, REFUNDS, TICKETS},
};

on_both! {
    no_destructive_tool_for_an_agent_far_from_the_person
    egress_only_for_a_group
    refunds_above_a_limit_only_for_a_role
    nothing_is_changed_outside_business_hours
    an_agent_reads_only_whatever_it_was_given
}

const READY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policies");

/// Activates one ready policy.
async fn activate(world: &World, name: &str) {
    let name = format!("delegation/{name}.cedar");
    let text = fs::read_to_string(Path::new(READY).join(&name)).unwrap();
    let set = json!({ "delegation": [{ "name": name, "text": text }] });
    let answer = world.operator().sends(Method::PUT, "/policies", Some(set)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json["warnings"], json!([]), "nothing of it is idle");
}

/// What an agent may do for people: read, write and delete tickets.
async fn tickets_are_allowed(world: &World, client: &str, uri: &str) {
    let allowance =
        json!([{ "resource": "tickets", "scope": "tickets:read tickets:write tickets:delete" }]);
    world.change("client", client, "agent", json!({ "uri": uri, "allowance": allowance })).await;
}

/// One client may hand anything to another.
async fn may_hand_over(world: &World, from: &str, to: &str) {
    let edge = json!({ "from": from, "to": to, "effects": ["read", "write", "destructive"] });
    world.put(&[("edge", &format!("{from}>{to}"), edge)]).await;
}

/// Support hands a ticket tool over to billing.
async fn handed_to_billing(world: &World, tool: &str) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(BILLING);
    exchange.tools(TICKETS, json!({ tool: {} })).token().await
}

async fn decides(world: &World, token: &str, tool: &str) -> String {
    world.server("tickets").decides(token, tool, json!({})).await
}

async fn no_destructive_tool_for_an_agent_far_from_the_person(world: World) {
    tickets_are_allowed(&world, "cl_support", "urn:agent:support").await;
    tickets_are_allowed(&world, "cl_billing", BILLING).await;
    tickets_are_allowed(&world, "cl_refunds", REFUND_DESK).await;
    may_hand_over(&world, "cl_support", "cl_billing").await;
    may_hand_over(&world, "cl_billing", "cl_refunds").await;
    let second = handed_to_billing(&world, "tickets.delete").await;
    let third = world.agent("billing").takes_over(&second).at(REFUND_DESK).token().await;
    let far = world.agent("refunds").takes_over(&third).at(TICKETS);
    let before = far.clone().token().await;
    assert_eq!(decides(&world, &before, "tickets.delete").await, "permitted");
    activate(&world, "short-destructive-chains").await;
    far.send().await.is_refused("actor_unauthorized");
    assert_eq!(decides(&world, &before, "tickets.delete").await, "policy_forbids");
    // One agent nearer, and it may.
    let near = world.agent("billing").takes_over(&second).at(TICKETS).token().await;
    assert_eq!(decides(&world, &near, "tickets.delete").await, "permitted");
    // What is not destructive goes as far as it likes.
    let second = handed_to_billing(&world, "tickets.get").await;
    let third = world.agent("billing").takes_over(&second).at(REFUND_DESK).token().await;
    let far = world.agent("refunds").takes_over(&third).at(TICKETS).token().await;
    assert_eq!(decides(&world, &far, "tickets.get").await, "permitted");
}

/// The issuer keeps these groups, and Alice is in some.
async fn groups_are_kept(world: &World) {
    let keep = json!([{ "claim": "groups", "keep": ["finance", "refund-approver"] }]);
    world.change("issuer", "corp", "groups", keep).await;
}

/// A refund tool for Alice, who is in these groups besides `support`.
async fn refund_tool(world: &World, tool: &str, groups: &[&str]) -> String {
    let groups: Vec<&str> = [&["support"], groups].concat();
    let alice = world.access_token(world.claims("alice").with("groups", json!(groups)));
    let exchange = world.agent("support").exchanges(&alice).at(REFUNDS);
    exchange.tools(REFUNDS, json!({ tool: {} })).token().await
}

async fn egress_only_for_a_group(world: World) {
    groups_are_kept(&world).await;
    activate(&world, "egress-for-finance").await;
    let refunds = world.server("refunds");
    for (groups, reason) in [(vec![], "policy_forbids"), (vec!["finance"], "permitted")] {
        let token = refund_tool(&world, "refunds.export", &groups).await;
        assert_eq!(refunds.decides(&token, "refunds.export", json!({})).await, reason);
    }
    let token = refund_tool(&world, "refunds.list", &[]).await;
    assert_eq!(refunds.decides(&token, "refunds.list", json!({})).await, "permitted");
}

async fn refunds_above_a_limit_only_for_a_role(world: World) {
    groups_are_kept(&world).await;
    let schema = json!({ "type": "object", "properties": { "amount": { "type": "integer" } } });
    world.change("tool", "refunds.issue", "input_schema", schema).await;
    activate(&world, "refund-limit").await;
    let refunds = world.server("refunds");
    let anybody = refund_tool(&world, "refunds.issue", &[]).await;
    let approver = refund_tool(&world, "refunds.issue", &["refund-approver"]).await;
    for (arguments, reason) in [
        (json!({ "amount": 500 }), "permitted"),
        (json!({ "amount": 501 }), "policy_forbids"),
        (json!({}), "policy_forbids"),
    ] {
        let decided = refunds.decides(&anybody, "refunds.issue", arguments.clone()).await;
        assert_eq!(decided, reason, "{arguments}");
        assert_eq!(refunds.decides(&approver, "refunds.issue", arguments).await, "permitted");
    }
    // A text is no amount, for nobody.
    let text = json!({ "amount": "1" });
    let reason = refunds.decides(&anybody, "refunds.issue", text).await;
    assert_eq!(reason, "arguments_not_representable");
}

async fn nothing_is_changed_outside_business_hours(world: World) {
    activate(&world, "business-hours").await;
    let ticket = async |tool: &str| {
        let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
        let token = exchange.tools(TICKETS, json!({ tool: {} })).token().await;
        decides(&world, &token, tool).await
    };
    let hours = |hours: u32| hours * 3_600;
    // Friday, 15 January 2027, 9:00 in Berlin.
    assert_eq!(ticket("tickets.update").await, "permitted");
    world.advance(hours(9)).await;
    assert_eq!(ticket("tickets.update").await, "policy_forbids", "18:00");
    assert_eq!(ticket("tickets.get").await, "permitted", "reading goes on");
    world.advance(hours(16)).await;
    assert_eq!(ticket("tickets.update").await, "policy_forbids", "Saturday, 10:00");
    world.advance(hours(47)).await;
    assert_eq!(ticket("tickets.update").await, "permitted", "Monday, 9:00");
    // Half a year later clocks go by summer time: Monday, 19 July, 8:00 in Berlin, 6:00 UTC.
    world.advance(hours(26 * 7 * 24 - 2)).await;
    assert_eq!(ticket("tickets.update").await, "permitted", "8:00");
    world.advance(hours(10)).await;
    assert_eq!(ticket("tickets.update").await, "policy_forbids", "18:00");
}

async fn an_agent_reads_only_whatever_it_was_given(world: World) {
    tickets_are_allowed(&world, "cl_billing", BILLING).await;
    may_hand_over(&world, "cl_support", "cl_billing").await;
    let handed = handed_to_billing(&world, "tickets.update").await;
    let writes = world.agent("billing").takes_over(&handed).at(TICKETS);
    let before = writes.clone().token().await;
    assert_eq!(decides(&world, &before, "tickets.update").await, "permitted");
    activate(&world, "read-only-agent").await;
    writes.send().await.is_refused("actor_unauthorized");
    assert_eq!(decides(&world, &before, "tickets.update").await, "policy_forbids");
    let handed = handed_to_billing(&world, "tickets.get").await;
    let reads = world.agent("billing").takes_over(&handed).at(TICKETS).token().await;
    assert_eq!(decides(&world, &reads, "tickets.get").await, "permitted");
    // Another agent writes as before.
    let own = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let own = own.tools(TICKETS, json!({ "tickets.update": {} })).token().await;
    assert_eq!(decides(&world, &own, "tickets.update").await, "permitted");
}

/// The files that stand in the directory of ready policies.
fn ready() -> Vec<String> {
    let files = fs::read_dir(Path::new(READY).join("delegation")).unwrap();
    let mut names: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_guide_names_every_ready_policy_and_a_test_activates_each() {
    let guide = fs::read_to_string(Path::new(READY).join("../POLICY.md")).unwrap();
    let here = include_str!("ready_policies.rs");
    let names = ready();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(guide.contains(&format!("policies/delegation/{name}")), "{name}");
        let stem = name.strip_suffix(".cedar").unwrap();
        assert!(here.contains(&format!("activate(&world, \"{stem}\")")), "{name}");
    }
}

#[test]
fn what_the_guide_shows_as_cedar_is_cedar_that_validates() {
    let guide = fs::read_to_string(Path::new(READY).join("../POLICY.md")).unwrap();
    let shown: Vec<&str> = guide.split("```cedar\n").skip(1).collect();
    assert!(shown.len() >= 3, "the guide shows what policies look like");
    for text in shown {
        let text = text.split("```").next().unwrap();
        let policies = deputy::policy::Policies::compile(1, &sources(text), [&refunds()]);
        let faults = policies.as_ref().map_or_else(Vec::clone, |p| p.warnings().to_vec());
        assert!(policies.is_ok() && faults.is_empty(), "{text}\n{faults:#?}");
    }
}

fn sources(text: &str) -> deputy::model::policy::Sources {
    let source = deputy::model::policy::Source { name: "guide".to_owned(), text: text.to_owned() };
    deputy::model::policy::Sources { delegation: vec![source], ..Default::default() }
}

/// The refund server as the guide supposes it.
fn refunds() -> deputy::model::resource::Resource {
    use deputy::registry::{resource, tool};
    let document = json!({
        "id": "refunds", "resource": REFUNDS, "owner": "cl_refunds", "name": "Refunds",
        "scopes_supported": ["refunds:write"],
    });
    let mut refunds = resource::parse(&document.to_string()).unwrap();
    for (name, effect) in [("refunds.issue", "destructive"), ("refunds.export", "egress")] {
        let amount = json!({ "amount": { "type": "integer" } });
        let tool: Value = json!({
            "resource": "refunds", "name": name, "scopes": ["refunds:write"], "effect": effect,
            "changed_at": 1, "changed_on": 1,
            "input_schema": { "type": "object", "properties": amount },
        });
        let (_, tool) = tool::parse(&tool.to_string()).unwrap();
        refunds.tools.insert(tool.name.clone(), tool);
    }
    refunds
}
