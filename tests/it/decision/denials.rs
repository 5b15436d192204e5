//! Denials: every reason for its own cause, and nothing in an answer that an injected agent could go
//! and ask for.

use serde_json::json;

use super::{limited, reading};
use crate::world::{
    World, on_both,
    story::{ARCHIVE, REFUNDS, TICKETS},
    wire::{entry, exact},
};

on_both! {
    every_reason_is_given_for_its_own_cause
    a_tool_that_was_disabled_changed_or_revoked_is_none
    a_denial_never_says_what_would_have_been_enough
    a_denial_tells_no_other_limit
    mc3_a_missing_scope_is_named_for_reading_alone
    mc8_every_other_denial_is_a_tool_result_that_discloses_nothing
}

async fn every_reason_is_given_for_its_own_cause(world: World) {
    let support = world.agent("support");
    let order = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let named = support.exchanges(&world.alice()).at(REFUNDS).tools(REFUNDS, order).token().await;
    let scoped = support.exchanges(&world.alice()).at(REFUNDS).scope("refunds:read").token().await;
    let refunds = world.server("refunds");
    for (token, tool, arguments, reason) in [
        (&named, "refunds.list", json!({ "order_id": "A-17" }), "permitted"),
        (&named, "refunds.list", json!({ "order_id": "a-17" }), "argument_not_permitted"),
        (&named, "refunds.list", json!({}), "argument_missing"),
        (&named, "refunds.list", json!({ "order_id": "A-17", "x": 1 }), "argument_unexpected"),
        (&named, "refunds.list", json!([]), "arguments_malformed"),
        (&named, "refunds.export", json!({}), "tool_not_delegated"),
        (&scoped, "refunds.list", json!({ "anything": 1 }), "permitted"),
        (&scoped, "refunds.export", json!({}), "tool_not_delegated"),
        (&scoped, "refunds.issue", json!({}), "scope_missing"),
        (&scoped, "refunds.List", json!({}), "tool_unknown"),
        (&scoped, "refunds.list ", json!({}), "tool_unknown"),
        (&scoped, "*", json!({}), "tool_unknown"),
    ] {
        let decided = refunds.decides(token, tool, arguments).await;
        assert_eq!(decided, reason, "{tool}");
    }
    let twice = refunds.asks(&scoped, "refunds.list", r#"{"a":1,"a":2}"#).await;
    assert_eq!(twice.json["decision"]["reason"], "arguments_malformed");
    world.change("tool", "refunds.list", "enabled", json!(false)).await;
    assert_eq!(refunds.decides(&scoped, "refunds.list", json!({})).await, "tool_disabled");
    world.change("tool", "refunds.list", "enabled", json!(true)).await;
    world.change("tool", "refunds.list", "changed_at", json!(0)).await;
    assert_eq!(refunds.decides(&scoped, "refunds.list", json!({})).await, "tool_changed");
}

async fn a_tool_that_was_disabled_changed_or_revoked_is_none(world: World) {
    let tickets = world.server("tickets");
    for (member, value) in [("scopes", json!(["tickets:write"])), ("effect", json!("write"))] {
        let token = reading(&world).await;
        assert_eq!(tickets.decides(&token, "tickets.get", json!({})).await, "permitted");
        world.change("tool", "tickets.get", member, value).await;
        assert_eq!(tickets.decides(&token, "tickets.get", json!({})).await, "tool_changed");
        world.change("tool", "tickets.get", "scopes", json!(["tickets:read"])).await;
        let still = tickets.decides(&token, "tickets.get", json!({})).await;
        assert_eq!(still, "tool_changed", "changed back is not unchanged");
    }
    world.change("tool", "tickets.get", "effect", json!("read")).await;
    let token = limited(&world, json!({ "tickets.get": {}, "tickets.update": {} })).await;
    world.revoke(json!({ "tool": { "resource": "tickets", "name": "tickets.get" } })).await;
    assert_eq!(tickets.decides(&token, "tickets.get", json!({})).await, "tool_revoked");
    assert_eq!(tickets.decides(&token, "tickets.update", json!({})).await, "permitted");
    world.change("tool", "tickets.get", "enabled", json!(false)).await;
    assert_eq!(tickets.decides(&token, "tickets.get", json!({})).await, "tool_disabled");
}

async fn a_denial_never_says_what_would_have_been_enough(world: World) {
    let order = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let call = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let call = call.tools(REFUNDS, order.clone()).token().await;
    let refunds = world.server("refunds");
    let denied = refunds.asks(&call, "refunds.list", r#"{"order_id":"B-99"}"#).await;
    let decision = &denied.json["decision"];
    assert_eq!(decision["argument"], "/order_id");
    assert_eq!(decision["remediation"]["authorization_details"][0]["tools"], order);
    assert!(!denied.text.contains("B-99"), "nor is the value repeated");
    let denied = refunds.asks(&call, "refunds.export", "{}").await;
    assert!(denied.json["decision"].get("remediation").is_none());
    assert!(!denied.text.contains("refunds:read") && !denied.text.contains("egress"));
}

async fn a_denial_tells_no_other_limit(world: World) {
    let tools = json!({
        "tickets.get": { "id": exact(4711) },
        "tickets.update": { "id": exact(990_099), "text": exact("hidden-limit") },
    });
    let token = limited(&world, tools).await;
    let tickets = world.server("tickets");
    let denied = tickets.asks(&token, "tickets.get", r#"{"id":1}"#).await;
    let own = json!([entry(TICKETS, json!({ "tickets.get": { "id": exact(4711) } }))]);
    assert_eq!(denied.json["decision"]["remediation"]["authorization_details"], own);
    for (tool, arguments) in
        [("tickets.get", r#"{"id":1}"#), ("tickets.delete", "{}"), ("tickets.none", "{}")]
    {
        let answer = tickets.asks(&token, tool, arguments).await;
        let members = answer.json.as_object().unwrap();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["active", "decision"], "{tool}");
        for secret in ["990099", "hidden-limit", "tickets.update", "tickets:", "alice", ARCHIVE] {
            assert!(!answer.text.contains(secret), "{tool} tells {secret}: {}", answer.text);
        }
    }
    for (tool, arguments) in [("tickets.delete", "{}"), ("tickets.get", "[]")] {
        let answer = tickets.asks(&token, tool, arguments).await;
        assert!(!answer.text.contains("4711"), "{tool}: {}", answer.text);
    }
}

async fn mc3_a_missing_scope_is_named_for_reading_alone(world: World) {
    let trash = json!({
        "resource": "tickets", "name": "tickets.trash", "scopes": ["tickets:delete"],
        "effect": "read", "input_schema": {}, "changed_at": 0, "changed_on": 0,
    });
    world.put(&[("tool", "tickets.trash", trash)]).await;
    let tickets = world.server("tickets");
    let writing = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let writing = writing.scope("tickets:write").token().await;
    let told = tickets.asks(&writing, "tickets.get", "{}").await.json["decision"].clone();
    assert_eq!(
        (&told["reason"], &told["required_scope"]),
        (&json!("scope_missing"), &json!("tickets:read"))
    );
    let challenge = told["challenge"].as_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", scope=\"tickets:read\""));
    assert!(challenge.contains("/resources/tickets/oauth-protected-resource"), "{challenge}");
    assert_eq!(told["mcp"], json!({ "status": 403 }));
    let reading = reading(&world).await;
    for (tool, why) in [
        ("tickets.update", "a write"),
        ("tickets.delete", "destructive"),
        ("tickets.trash", "beyond the agent's allowance"),
    ] {
        let answer = tickets.asks(&reading, tool, "{}").await;
        assert_eq!(answer.json["decision"]["reason"], "scope_missing", "{tool}");
        assert_eq!(answer.json["decision"]["mcp"]["status"], 200, "{tool}");
        assert!(!answer.text.contains("required_scope"), "{why}: {}", answer.text);
        assert!(!answer.text.contains("challenge") && !answer.text.contains("tickets:"), "{why}");
    }
    world.change("resource", "tickets", "step_up_hints", json!(true)).await;
    let opted = tickets.asks(&reading, "tickets.update", "{}").await;
    assert_eq!(opted.json["decision"]["required_scope"], "tickets:write");
    let beyond = tickets.asks(&reading, "tickets.delete", "{}").await;
    assert!(beyond.json["decision"].get("required_scope").is_none());
}

async fn mc8_every_other_denial_is_a_tool_result_that_discloses_nothing(world: World) {
    let order = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let call = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let call = call.tools(REFUNDS, order).token().await;
    let refunds = world.server("refunds");
    for (tool, arguments) in
        [("refunds.list", r#"{"order_id":"B"}"#), ("refunds.list", "[]"), ("refunds.export", "{}")]
    {
        let denied = refunds.asks(&call, tool, arguments).await;
        let decision = &denied.json["decision"];
        let text = |name: &str| decision[name].as_str().unwrap();
        let (reason, message, id) = (text("reason"), text("message"), text("id"));
        let expected = json!({ "status": 200, "result": {
            "isError": true,
            "content": [{
                "type": "text",
                "text": format!("denied ({reason}): {message} [decision {id}]"),
            }],
            "_meta": { "io.modelcontextprotocol/authorization": {
                "reason": "insufficient_authorization", "remediation": "undisclosed",
            }},
        }});
        assert_eq!(decision["mcp"], expected);
        assert!(!expected.to_string().contains("A-17"), "a model is not told what it may do");
    }
    let permitted = refunds.asks(&call, "refunds.list", r#"{"order_id":"A-17"}"#).await;
    assert!(permitted.json["decision"].get("mcp").is_none());
}
