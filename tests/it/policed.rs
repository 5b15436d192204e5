//! Calls and tokens under policies: what a policy stops that the constraint would have allowed, what
//! it demands, and that it never widens. What a set may say at all is tested where it is compiled.

use deputy::model::event::{Event, Kind};
use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{BILLING, REFUNDS, STATS, TICKETS},
    wire::claims,
};

on_both! {
    a_policy_stops_what_the_constraint_allows
    a_policy_is_asked_at_every_call_and_not_at_login
    a_policy_never_allows_what_was_not_delegated
    a_caller_is_never_told_which_policy
    a_shadow_policy_is_on_record_and_stops_nothing
    an_argument_of_another_type_is_denied_where_a_policy_looks_at_it
    a_policy_may_stop_the_delegation_itself
    su1_a_policy_wants_the_person_to_be_authenticated_otherwise
    su3_no_exchange_raises_acr_or_renews_auth_time
    dp5_a_policy_wants_the_token_to_be_bound
    a_policy_leaves_a_token_less_time_and_never_more
    a_server_that_never_asks_is_not_given_what_a_policy_concerns
    a_group_claim_of_another_type_is_no_absence
    what_two_policies_say_stands_on_record_once
    policies_hold_for_an_agent_that_acts_for_itself
    an_owner_of_several_resources_must_say_which_acts
    groups_are_carried_as_far_as_they_are_known_and_no_further
    policies_know_the_whole_chain
}

/// Activates delegation policies.
pub async fn policies(world: &World, text: &str) {
    let set = json!({ "by": "test", "delegation": [{ "name": "test.cedar", "text": text }] });
    world.put(&[("policy_set", "active", set)]).await;
}

/// `refunds.list` takes an order and an amount.
async fn typed(world: &World) {
    let schema = json!({ "type": "object", "properties": {
        "order_id": { "type": "string" }, "amount": { "type": "integer" },
    } });
    world.change("tool", "refunds.list", "input_schema", schema).await;
}

const LIMIT: &str = r#"@id("limit") forbid (principal, action == Action::"refunds/refunds.list", resource)
    when { context.arguments has amount && context.arguments.amount > 500 };"#;

/// A token of the support agent's for `refunds.list` with these limits.
async fn lists(world: &World, arguments: Value) -> String {
    let tools = json!({ "refunds.list": arguments });
    world.agent("support").exchanges(&world.alice()).at(REFUNDS).tools(REFUNDS, tools).token().await
}

async fn decides(world: &World, token: &str, arguments: Value) -> String {
    world.server("refunds").decides(token, "refunds.list", arguments).await
}

fn details<'a>(event: &'a Event, name: &str) -> Vec<&'a str> {
    event.detail.iter().filter(|(n, _)| **n == *name).map(|(_, value)| value.as_str()).collect()
}

async fn newest(world: &World, kind: Kind) -> Event {
    world.events().await.into_iter().find(|event| event.kind == kind).unwrap()
}

async fn a_policy_stops_what_the_constraint_allows(world: World) {
    typed(&world).await;
    policies(&world, LIMIT).await;
    let range = json!({ "amount": { "constraint_type": "range", "min": 1, "max": 5000 } });
    let token = lists(&world, range).await;
    assert_eq!(decides(&world, &token, json!({ "amount": 500 })).await, "permitted");
    assert_eq!(decides(&world, &token, json!({ "amount": 501 })).await, "policy_forbids");
    let event = newest(&world, Kind::Decision).await;
    assert_eq!((&*event.reason, details(&event, "policy")), ("policy_forbids", vec!["limit"]));
    // What the constraint does not permit never comes to the policy.
    assert_eq!(decides(&world, &token, json!({ "amount": 5001 })).await, "argument_not_permitted");
}

async fn a_policy_is_asked_at_every_call_and_not_at_login(world: World) {
    typed(&world).await;
    let token = lists(&world, json!({})).await;
    assert_eq!(decides(&world, &token, json!({ "amount": 501 })).await, "permitted");
    policies(&world, LIMIT).await;
    assert_eq!(decides(&world, &token, json!({ "amount": 501 })).await, "policy_forbids");
    policies(&world, "").await;
    assert_eq!(decides(&world, &token, json!({ "amount": 501 })).await, "permitted");
}

async fn a_policy_never_allows_what_was_not_delegated(world: World) {
    policies(
        &world,
        r#"@id("nobody") forbid (principal, action, resource)
           when { principal.issuer == "nobody's" };"#,
    )
    .await;
    let token = lists(&world, json!({})).await;
    let server = world.server("refunds");
    assert_eq!(server.decides(&token, "refunds.export", json!({})).await, "tool_not_delegated");
    assert_eq!(server.decides(&token, "refunds.list", json!({})).await, "permitted");
}

async fn a_caller_is_never_told_which_policy(world: World) {
    typed(&world).await;
    policies(&world, LIMIT).await;
    let token = lists(&world, json!({})).await;
    let answer = world.server("refunds").asks(&token, "refunds.list", r#"{"amount":501}"#).await;
    assert_eq!(answer.json["active"], false);
    let decision = &answer.json["decision"];
    assert_eq!(decision["reason"], "policy_forbids");
    assert!(!answer.text.contains("limit") && !answer.text.contains("500"), "{}", answer.text);
    assert_eq!(decision["mcp"]["status"], 200, "nothing is cured by asking again");
    assert!(decision["remediation"].is_null());
}

async fn a_shadow_policy_is_on_record_and_stops_nothing(world: World) {
    typed(&world).await;
    policies(&world, &LIMIT.replace("@id", "@shadow @id")).await;
    let token = lists(&world, json!({})).await;
    assert_eq!(decides(&world, &token, json!({ "amount": 501 })).await, "permitted");
    let event = newest(&world, Kind::Decision).await;
    assert_eq!(details(&event, "shadow_policy"), ["limit"]);
    assert_eq!(decides(&world, &token, json!({ "amount": 1 })).await, "permitted");
    assert_eq!(details(&newest(&world, Kind::Decision).await, "shadow_policy"), [""; 0]);
}

async fn an_argument_of_another_type_is_denied_where_a_policy_looks_at_it(world: World) {
    typed(&world).await;
    policies(&world, LIMIT).await;
    let token = lists(&world, json!({})).await;
    for hidden in [json!("501"), json!(501.5), json!([501])] {
        let reason = decides(&world, &token, json!({ "amount": hidden })).await;
        assert_eq!(reason, "arguments_not_representable");
    }
    assert_eq!(decides(&world, &token, json!({ "order_id": 7 })).await, "permitted");
}

async fn a_policy_may_stop_the_delegation_itself(world: World) {
    policies(
        &world,
        r#"@id("no-egress") forbid (principal, action == Action::"delegate", resource)
             when { context.effects.contains("egress") };
           @id("no-billing") forbid (principal, action == Action::"delegate",
             resource == Agent::"cl_billing") when { context.tools.contains("refunds/refunds.list") };
           @id("watched") @shadow forbid (principal, action == Action::"delegate", resource);"#,
    )
    .await;
    let asks = |tool: &str| {
        let tools = json!({ tool: {} });
        world.agent("support").exchanges(&world.alice()).at(REFUNDS).tools(REFUNDS, tools)
    };
    asks("refunds.export").send().await.is_refused("actor_unauthorized");
    let event = newest(&world, Kind::Exchange).await;
    assert_eq!((&*event.reason, details(&event, "policy")), ("policy_forbids", vec!["no-egress"]));
    let granted = asks("refunds.list").send().await;
    assert_eq!(granted.status, 200, "{}", granted.text);
    assert_eq!(details(&newest(&world, Kind::Exchange).await, "shadow_policy"), ["watched"]);
    let tools = json!({ "refunds.list": {} });
    let hand_over =
        world.agent("support").exchanges(&world.alice()).at(BILLING).tools(REFUNDS, tools);
    hand_over.send().await.is_refused("actor_unauthorized");
}

/// Alice as her issuer says that she was authenticated.
fn alice(world: &World, acr: &str, auth_time: i64) -> String {
    let claims = world.claims("alice");
    world.access_token(claims.with("acr", json!(acr)).with("auth_time", json!(auth_time)))
}

const MFA: &str = r#"@id("mfa") @require("acr:mfa") forbid (principal, action in Action::"effect-read",
      resource == Resource::"refunds");
    @id("mfa-ledger") @require("acr:mfa") forbid (principal, action == Action::"delegate",
      resource == Resource::"tickets");"#;

async fn su1_a_policy_wants_the_person_to_be_authenticated_otherwise(world: World) {
    policies(&world, MFA).await;
    let now = world.deputy.now().epoch_s();
    let ask = |subject: &str, at: &str, scope: &str| {
        world.agent("support").exchanges(subject).at(at).scope(scope)
    };
    let weak = alice(&world, "pwd", now - 5);
    let refused = ask(&weak, TICKETS, "tickets:read").send().await;
    refused.is_refused("insufficient_user_authentication");
    assert_eq!(refused.json["acr_values"], "mfa");
    let token = ask(&weak, REFUNDS, "refunds:read").token().await;
    let denied = world.server("refunds").asks(&token, "refunds.list", "{}").await;
    let decision = &denied.json["decision"];
    assert_eq!(decision["reason"], "insufficient_user_authentication");
    let challenge = decision["challenge"].as_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""));
    assert!(challenge.ends_with("acr_values=\"mfa\""), "{challenge}");
    assert_eq!(decision["mcp"]["status"], 401);
    let strong = alice(&world, "mfa", now - 5);
    assert_eq!(ask(&strong, TICKETS, "tickets:read").send().await.status, 200);
    let token = ask(&strong, REFUNDS, "refunds:read").token().await;
    assert_eq!(decides(&world, &token, json!({})).await, "permitted");
}

async fn su3_no_exchange_raises_acr_or_renews_auth_time(world: World) {
    let now = world.deputy.now().epoch_s();
    let subject = alice(&world, "pwd", now - 100);
    let tools = json!({ "refunds.list": {} });
    let hand_over = world.agent("support").exchanges(&subject).at(BILLING).tools(REFUNDS, tools);
    let hand_over = hand_over.token().await;
    world.advance(10).await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    for token in [&hand_over, &call] {
        let claims = claims(token);
        assert_eq!((&claims["acr"], &claims["auth_time"]), (&json!("pwd"), &json!(now - 100)));
    }
}

async fn dp5_a_policy_wants_the_token_to_be_bound(world: World) {
    policies(
        &world,
        r#"@id("bound") @require("dpop") forbid (principal, action == Action::"delegate",
             resource == Resource::"tickets");
           @id("bound-calls") @require("dpop") forbid (principal, action in Action::"call",
             resource == Resource::"refunds");"#,
    )
    .await;
    let support = world.agent("support");
    let refused = support.exchanges(&world.alice()).at(TICKETS).scope("tickets:read").send().await;
    refused.is_refused("invalid_dpop_proof");
    let token = lists(&world, json!({})).await;
    assert_eq!(decides(&world, &token, json!({})).await, "dpop_required");
}

async fn a_policy_leaves_a_token_less_time_and_never_more(world: World) {
    let lives = async |world: &World| {
        let support = world.agent("support");
        let answer =
            support.exchanges(&world.alice()).at(TICKETS).scope("tickets:read").send().await;
        answer.json["expires_in"].as_i64().unwrap()
    };
    let max = |ttl: u32| {
        format!(
            r#"@id("short") @require("max_ttl:{ttl}")
               forbid (principal, action == Action::"delegate", resource);"#
        )
    };
    let usual = lives(&world).await;
    policies(&world, &max(30)).await;
    assert_eq!(lives(&world).await, 30);
    policies(&world, &max(900)).await;
    assert_eq!(lives(&world).await, usual);
}

async fn a_server_that_never_asks_is_not_given_what_a_policy_concerns(world: World) {
    let now = world.deputy.now().epoch_s();
    let tool = json!({
        "resource": "stats", "name": "stats.get", "scopes": ["stats:read"], "effect": "read",
        "input_schema": { "type": "object" }, "changed_at": 0, "changed_on": now,
    });
    world.put(&[("tool", "stats.get", tool)]).await;
    let ask = || world.agent("support").exchanges(&world.alice()).at(STATS).scope("stats:read");
    assert_eq!(ask().send().await.status, 200);
    policies(&world, r#"@id("p") forbid (principal, action in Action::"stats/*", resource);"#)
        .await;
    ask().send().await.is_refused("invalid_scope");
    assert_eq!(&*newest(&world, Kind::Exchange).await.reason, "policy_never_asked");
    let watched = r#"@id("p") @shadow forbid (principal, action in Action::"stats/*", resource);"#;
    policies(&world, watched).await;
    assert_eq!(ask().send().await.status, 200, "what is only watched is not promised");
}

async fn groups_are_carried_as_far_as_they_are_known_and_no_further(world: World) {
    let groups = json!([
        { "claim": "groups", "keep": ["refund-approvers", "support"] },
        { "claim": "/realm_access/roles", "keep": ["exporter"] },
    ]);
    world.change("issuer", "corp", "groups", groups).await;
    policies(
        &world,
        r#"@id("approvers") forbid (principal, action == Action::"refunds/refunds.list", resource)
           unless { principal.groups.contains("refund-approvers") };"#,
    )
    .await;
    let member = world
        .claims("alice")
        .with("groups", json!(["refund-approvers", "support", "night-shift"]))
        .with("realm_access", json!({ "roles": ["exporter", "admin"] }));
    let exchange = |subject: &str| {
        let tools = json!({ "refunds.list": {} });
        world.agent("support").exchanges(subject).at(BILLING).tools(REFUNDS, tools)
    };
    let hand_over = exchange(&world.access_token(member)).token().await;
    let token = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    let known = json!(["exporter", "refund-approvers", "support"]);
    assert_eq!(claims(&token)["groups"], known, "and through every hop");
    assert_eq!(world.server("refunds").sees(&token).await.json["groups"], known);
    assert_eq!(decides(&world, &token, json!({})).await, "permitted");
    let hand_over = exchange(&world.alice()).token().await;
    let token = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    assert_eq!(claims(&token)["groups"], json!(["support"]));
    assert_eq!(decides(&world, &token, json!({})).await, "policy_forbids");
}

async fn a_group_claim_of_another_type_is_no_absence(world: World) {
    let groups = json!([{ "claim": "teams", "keep": ["suspended"] }]);
    world.change("issuer", "corp", "groups", groups).await;
    let exchange = |teams: Value| {
        let subject = world.access_token(world.claims("alice").with("teams", teams));
        world.agent("support").exchanges(&subject).at(TICKETS).scope("tickets:read")
    };
    for wrong in [json!({ "suspended": true }), json!([["suspended"]]), json!([7]), json!(7)] {
        exchange(wrong).send().await.is_refused("invalid_request");
        let reason = newest(&world, Kind::Exchange).await.reason;
        assert_eq!(&*reason, "subject_token_claims_malformed");
    }
    assert_eq!(claims(&exchange(json!("suspended")).token().await)["groups"], json!(["suspended"]));
    assert!(claims(&exchange(json!([])).token().await).get("groups").is_none());
}

async fn what_two_policies_say_stands_on_record_once(world: World) {
    let both = |how: &str| {
        format!(
            r#"@id("one") {how} forbid (principal, action in Action::"refunds/*", resource);
               @id("two") {how} forbid (principal, action in Action::"effect-read", resource);"#
        )
    };
    policies(&world, &both("")).await;
    let token = lists(&world, json!({})).await;
    assert_eq!(decides(&world, &token, json!({})).await, "policy_forbids");
    assert_eq!(details(&newest(&world, Kind::Decision).await, "policy"), ["one two"]);
    policies(&world, &both("@shadow")).await;
    assert_eq!(decides(&world, &token, json!({})).await, "permitted");
    let event = newest(&world, Kind::Decision).await;
    assert_eq!(details(&event, "shadow_policy"), ["one two"]);
    // Strict readers of the list read it too.
    let listed = world.operator().get("/events?kind=decision").await;
    let text =
        deputy::base::json::parse(listed.text.as_bytes(), &deputy::base::json::Limits::DEFAULT);
    assert!(listed.status == 200 && text.is_ok(), "{}", listed.text);
}

async fn policies_hold_for_an_agent_that_acts_for_itself(world: World) {
    let own = json!([{ "resource": "tickets", "scope": "tickets:read" }]);
    let mut document = crate::world::story::agent("support", crate::world::story::SUPPORT, &own);
    document["agent"]["own_allowance"] = own;
    world.put(&[("client", "cl_support", document)]).await;
    let asks = || world.agent("support").asks_for_itself().at(TICKETS).scope("tickets:read");
    assert_eq!(asks().send().await.status, 200);
    for condition in [
        "context.chain.contains(Agent::\"cl_support\")",
        "context.actor == Agent::\"cl_support\"",
        "context.depth == 1 && principal.is_agent",
    ] {
        let text =
            format!("@id(\"p\") forbid (principal, action, resource) when {{ {condition} }};");
        policies(&world, &text).await;
        asks().send().await.is_refused("actor_unauthorized");
    }
}

async fn an_owner_of_several_resources_must_say_which_acts(world: World) {
    // The ticket server owns the archive as well.
    let support = world.agent("support");
    let token = support.exchanges(&world.alice()).at(TICKETS).scope("tickets:read").token().await;
    let server = world.agent("tickets");
    let unsaid = server.introspects(&token).field("tool", "tickets.get").field("arguments", "{}");
    let refused = unsaid.send().await;
    refused.is_refused("invalid_request");
    assert!(refused.text.contains("resource"), "{}", refused.text);
    assert_eq!(server.introspects(&token).send().await.json["active"], true);
}

async fn policies_know_the_whole_chain(world: World) {
    policies(
        &world,
        r#"@id("deep") forbid (principal, action in Action::"refunds/*", resource)
           when { context.depth > 1 && context.actor == Agent::"cl_billing"
             && context.chain.contains(Agent::"cl_support") && context.verified
             && principal == Subject::"alice" && principal.issuer == "corp" };"#,
    )
    .await;
    let direct = lists(&world, json!({})).await;
    assert_eq!(decides(&world, &direct, json!({})).await, "permitted");
    let tools = json!({ "refunds.list": {} });
    let hand_over =
        world.agent("support").exchanges(&world.alice()).at(BILLING).tools(REFUNDS, tools);
    let hand_over = hand_over.token().await;
    let token = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    assert_eq!(decides(&world, &token, json!({})).await, "policy_forbids");
}
