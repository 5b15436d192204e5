//! RFC 7662 with the context of a call: who may know what, and every reason of a decision.

use serde_json::json;

use crate::world::{
    ISSUER, World, on_both,
    story::{ARCHIVE, BILLING, REFUNDS, TICKETS},
    wire::{claims, exact},
};

on_both! {
    in1_a_token_is_required_and_get_is_not_offered
    in2_a_caller_is_authenticated
    in3_inactive_is_byte_identical
    in4_an_active_answer_agrees_with_the_token
    in5_a_token_is_live_for_its_audience_alone
    in5_an_owner_of_several_says_which_one_acts
    in6_a_token_dies_at_its_second
    every_reason_is_given_for_its_own_cause
    a_denial_never_says_what_would_have_been_enough
    mc3_a_missing_scope_is_named_for_reading_alone
    mc8_every_other_denial_is_a_tool_result_that_discloses_nothing
    an_operation_by_method_and_path_is_not_decided_by_guessing
}

async fn ticket(world: &World, scope: &str) -> String {
    world.agent("support").exchanges(&world.alice()).at(TICKETS).scope(scope).token().await
}

async fn in1_a_token_is_required_and_get_is_not_offered(world: World) {
    world.agent("tickets").posts("introspect").send().await.is_refused("invalid_request");
    assert_eq!(world.get("/oauth2/introspect?token=x").await.status, 405);
    let token = ticket(&world, "tickets:read").await;
    let hinted =
        world.agent("tickets").introspects(&token).field("token_type_hint", "refresh_token");
    assert_eq!(hinted.send().await.json["active"], true, "a hint is only a hint");
}

async fn in2_a_caller_is_authenticated(world: World) {
    let token = ticket(&world, "tickets:read").await;
    let asked = world.agent("tickets").introspects(&token);
    asked.clone().basic(None).send().await.is_refused("invalid_client");
    let wrong = asked.basic(Some(("cl_tickets", "wrong"))).send().await;
    wrong.is_refused("invalid_client");
    assert!(wrong.header("www-authenticate").starts_with("Basic realm="), "TE-4");
}

async fn in3_inactive_is_byte_identical(world: World) {
    let tickets = world.server("tickets");
    let live = ticket(&world, "tickets:read").await;
    let revoked = ticket(&world, "tickets:read").await;
    world.agent("support").revokes(&revoked).send().await;
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).token().await;
    let own = world.agent("support").asks_for_itself().token().await;
    let cut = &live[..live.len() - 1];
    let longer = format!("{live}A");
    let mut seen = std::collections::BTreeSet::new();
    for token in ["x", cut, &longer, &revoked, &hand_over, &own, &world.alice()] {
        for answer in [tickets.sees(token).await, tickets.asks(token, "tickets.get", "{}").await] {
            seen.insert((answer.status, answer.text));
        }
    }
    seen.insert({
        let answer = world.server("refunds").asks(&live, "refunds.list", "{}").await;
        (answer.status, answer.text)
    });
    world.advance(120).await;
    let expired = tickets.asks(&live, "tickets.get", "{}").await;
    seen.insert((expired.status, expired.text));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(200, r#"{"active":false}"#.to_owned())]);
}

async fn in4_an_active_answer_agrees_with_the_token(world: World) {
    let token = ticket(&world, "tickets:read").await;
    let answer = world.server("tickets").sees(&token).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let said = claims(&token);
    for name in
        ["iss", "sub", "aud", "client_id", "act", "scope", "iat", "exp", "jti", "txn", "sub_id"]
    {
        assert_eq!(answer.json[name], said[name], "{name}");
    }
    assert_eq!(
        (&answer.json["iss"], &answer.json["token_type"]),
        (&json!(ISSUER), &json!("Bearer"))
    );
    assert!(answer.json.get("decision").is_none(), "nothing was decided");
}

async fn in5_a_token_is_live_for_its_audience_alone(world: World) {
    let token = ticket(&world, "tickets:read").await;
    for stranger in ["support", "billing", "refunds", "ledger"] {
        let answer = world.agent(stranger).introspects(&token).send().await;
        assert_eq!(answer.text, r#"{"active":false}"#, "{stranger}");
    }
    assert!(world.server("tickets").accepts(&token).await);
    assert!(!world.server("archive").accepts(&token).await, "another resource of the same owner");
}

async fn in5_an_owner_of_several_says_which_one_acts(world: World) {
    let token = ticket(&world, "tickets:read").await;
    let asked = world.agent("tickets").introspects(&token).field("tool", "tickets.get");
    let asked = asked.field("arguments", "{}");
    assert_eq!(asked.clone().send().await.text, r#"{"active":false}"#);
    let elsewhere = asked.clone().field("resource", ARCHIVE).send().await;
    assert_eq!(elsewhere.text, r#"{"active":false}"#);
    assert_eq!(asked.field("resource", TICKETS).send().await.json["active"], true);
}

async fn in6_a_token_dies_at_its_second(world: World) {
    let token = ticket(&world, "tickets:read").await;
    world.advance(119).await;
    assert!(world.server("tickets").accepts(&token).await);
    world.advance(1).await;
    assert!(!world.server("tickets").accepts(&token).await);
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

async fn mc3_a_missing_scope_is_named_for_reading_alone(world: World) {
    let writer = ticket(&world, "tickets:write").await;
    let tickets = world.server("tickets");
    let denied = tickets.asks(&writer, "tickets.get", "{}").await;
    assert_eq!(denied.json["decision"]["required_scope"], "tickets:read");
    let challenge = denied.json["decision"]["challenge"].as_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", scope=\"tickets:read\""));
    assert_eq!(denied.json["decision"]["mcp"], json!({ "status": 403 }));
    let reader = ticket(&world, "tickets:read").await;
    for tool in ["tickets.update", "tickets.delete"] {
        let denied = tickets.asks(&reader, tool, "{}").await;
        assert_eq!(denied.json["decision"]["reason"], "scope_missing");
        assert!(denied.json["decision"].get("required_scope").is_none(), "{tool}");
        assert_eq!(denied.json["decision"]["mcp"]["status"], 200, "{tool}");
    }
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

async fn an_operation_by_method_and_path_is_not_decided_by_guessing(world: World) {
    let token = ticket(&world, "tickets:read").await;
    for name in ["method", "path", "query", "body", "arguments", "call_id"] {
        let asked = world.agent("tickets").introspects(&token).field(name, "x");
        asked.send().await.is_refused("invalid_request");
    }
}
