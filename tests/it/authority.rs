//! What a token may do: under every ceiling, refused beyond any of them, never trimmed; and who
//! may present which token.

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{BILLING, LEDGER, REFUND_DESK, REFUNDS, STATS, TICKETS},
    wire::{claims, entry, exact, payload},
};

on_both! {
    a_scope_is_never_widened
    a_user_token_without_scope_is_worth_nothing
    a_stolen_token_is_worth_nothing_to_another
    a_hand_over_is_used_by_its_receiver_alone
    a_child_never_widens_its_parent
    act6_inherited_act_is_byte_identical
    act7_a_holder_that_narrows_keeps_chain_and_life
    act4_no_actor_comes_twice
    act15_an_actor_token_only_confirms_its_client
    act20_may_act_names_who_may
    a_life_never_grows
    nobody_hands_over_without_an_edge
    a_server_uses_onward_entries_and_nothing_else
    a_scope_resource_is_promised_no_limits
    ra9_a_child_forbids_what_was_optional
    a_claim_of_the_subject_becomes_its_value_when_a_token_is_minted
    a_ceiling_by_a_claim_of_the_subject_holds
}

fn tools(order: Value) -> Value {
    json!({ "refunds.list": { "order_id": order } })
}

async fn hand_over(world: &World) -> String {
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    hand_over.tools(REFUNDS, tools(exact("A-17"))).token().await
}

async fn a_scope_is_never_widened(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    for scope in [
        "tickets:delete",
        "tickets:admin",
        "Tickets:read",
        "tickets:*",
        "*",
        "tickets:read ",
        " tickets:read",
        "tickets:read  tickets:write",
        "tickets:read\ttickets:write",
        "tickets:read\u{a0}tickets:write",
        "tickets:read tickets:read",
        "refunds:read",
        "tickets:read,tickets:write",
        "tickets:read\"",
        "assist",
        "openid",
    ] {
        exchange.clone().scope(scope).send().await.is_refused("invalid_scope");
    }
    exchange.clone().send().await.is_refused("invalid_scope");
    let answer = exchange.scope("tickets:write tickets:read").send().await;
    assert_eq!(answer.json["scope"], "tickets:read tickets:write", "TE-6");
    let bob = world.agent("support").exchanges(&world.token_of("bob")).at(TICKETS);
    bob.scope("tickets:read").send().await.is_refused("invalid_scope");
}

async fn a_user_token_without_scope_is_worth_nothing(world: World) {
    for none in [world.claims("alice").without("scope"), world.claims("alice").with("scope", "")] {
        let token = world.access_token(none);
        let exchange = || world.agent("support").exchanges(&token).at(TICKETS);
        exchange().scope("tickets:read").send().await.is_refused("invalid_scope");
        exchange().send().await.is_refused("invalid_scope");
        let named = exchange().tools(TICKETS, json!({ "tickets.get": {} }));
        named.send().await.is_refused("invalid_scope");
    }
}

async fn a_stolen_token_is_worth_nothing_to_another(world: World) {
    let alice = world.alice();
    let call = world.agent("support").exchanges(&alice).at(REFUNDS).scope("refunds:read");
    let call = call.token().await;
    for (thief, token) in [("billing", &alice), ("refunds", &alice), ("billing", &call)] {
        let theft = world.agent(thief).exchanges(token).at(REFUNDS).scope("refunds:read");
        theft.send().await.is_refused("invalid_request");
    }
    let server = world.agent("tickets").exchanges(&call).at(REFUNDS);
    server.send().await.is_refused("unauthorized_client");
}

async fn a_hand_over_is_used_by_its_receiver_alone(world: World) {
    let hand_over = hand_over(&world).await;
    for thief in ["support", "refunds"] {
        let theft = world.agent(thief).takes_over(&hand_over).at(REFUNDS);
        theft.send().await.is_refused("invalid_request");
    }
    assert!(!world.server("refunds").accepts(&hand_over).await, "it is good at no server");
    let elsewhere = world.agent("billing").takes_over(&hand_over).at(TICKETS);
    elsewhere.send().await.is_refused("invalid_target");
}

async fn a_child_never_widens_its_parent(world: World) {
    let hand_over = hand_over(&world).await;
    let takes = || world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    for wider in [
        tools(exact("A-18")),
        tools(json!({ "constraint_type": "wildcard" })),
        tools(json!({ "constraint_type": "one_of", "values": ["A-17", "A-18"] })),
        json!({ "refunds.list": {} }),
        json!({ "refunds.export": {} }),
        json!({ "refunds.list": { "order_id": exact("A-17"), "page": exact(1) } }),
    ] {
        let answer = takes().tools(REFUNDS, wider).send().await;
        answer.is_refused("invalid_authorization_details");
    }
    let call = claims(&takes().scope("refunds:read").token().await);
    assert_eq!(call["authorization_details"], json!([entry(REFUNDS, tools(exact("A-17")))]));
    takes().scope("refunds:write").send().await.is_refused("invalid_scope");
}

async fn act6_inherited_act_is_byte_identical(world: World) {
    let hand_over = hand_over(&world).await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    let inherited = payload(&hand_over);
    let inherited = inherited.split(r#""act":"#).nth(1).unwrap().split('}').next().unwrap();
    assert!(payload(&call).contains(&format!(r#","act":{inherited}}}}}"#)));
    let (parent, child) = (claims(&hand_over), claims(&call));
    for name in ["sub", "sub_id", "txn"] {
        assert_eq!(parent[name], child[name], "ACT-19: {name}");
    }
    assert_eq!(child["dlg"], json!([parent["jti"], child["jti"]]));
}

async fn act7_a_holder_that_narrows_keeps_chain_and_life(world: World) {
    let wide = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let wide = wide.scope("tickets:read tickets:write").token().await;
    world.advance(30).await;
    let narrow = world.agent("support").exchanges(&wide).at(TICKETS).scope("tickets:read");
    let narrow = narrow.token().await;
    let (before, after) = (claims(&wide), claims(&narrow));
    assert_eq!((&before["act"], &before["exp"]), (&after["act"], &after["exp"]));
    assert_eq!(after["scope"], "tickets:read");
    let back = world.agent("support").exchanges(&narrow).at(TICKETS);
    back.scope("tickets:read tickets:write").send().await.is_refused("invalid_scope");
    let elsewhere = world.agent("support").exchanges(&wide).at(REFUNDS).scope("refunds:read");
    elsewhere.send().await.is_refused("invalid_target");
}

async fn act4_no_actor_comes_twice(world: World) {
    let hand_over = hand_over(&world).await;
    let back = json!({
        "from": "cl_billing", "to": "cl_support",
        "ceiling": [{ "resource": "refunds", "scope": "refunds:read" }],
    });
    world.put(&[("edge", "cl_billing>cl_support", back)]).await;
    let cycle = world.agent("billing").takes_over(&hand_over).at(crate::world::story::SUPPORT);
    cycle.send().await.is_refused("actor_unauthorized");
}

async fn act15_an_actor_token_only_confirms_its_client(world: World) {
    let alice = world.alice();
    let call = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let delegated = call.clone().token().await;
    let others = world.agent("billing").asks_for_itself().token().await;
    for actor in [delegated.as_str(), &others, &alice, "garbage"] {
        call.clone().actor(actor).send().await.is_refused("invalid_request");
    }
    let mine = world.agent("support").asks_for_itself().token().await;
    let confirmed = claims(&call.actor(&mine).token().await);
    assert_eq!(confirmed["act"], claims(&delegated)["act"]);
}

async fn act20_may_act_names_who_may(world: World) {
    let us = crate::world::ISSUER;
    for (may_act, granted) in [
        (json!({ "iss": us, "sub": "cl_support" }), true),
        (json!({ "sub": "support-desk" }), true),
        (json!({ "iss": us, "sub": "cl_billing" }), false),
        (json!({ "sub": "cl_support" }), false),
        (json!({ "iss": "https://else.example", "sub": "cl_support" }), false),
        (json!({}), false),
        (json!("cl_support"), false),
        (json!(null), false),
    ] {
        let token = world.access_token(world.claims("alice").with("may_act", may_act.clone()));
        let answer = world.agent("support").exchanges(&token).at(TICKETS).scope("tickets:read");
        let answer = answer.send().await;
        assert_eq!(answer.status == 200, granted, "{may_act}: {}", answer.text);
        assert!(!granted || claims(&answer.token()).get("may_act").is_none(), "never copied");
    }
}

async fn a_life_never_grows(world: World) {
    let now = world.deputy.now().epoch_s();
    let short = world.access_token(world.claims("alice").with("exp", now + 50));
    let ends = |token: &str| claims(token)["exp"].as_i64().unwrap();
    let call = world.agent("support").exchanges(&short).at(TICKETS).scope("tickets:read");
    assert_eq!(ends(&call.clone().token().await), now + 50);
    world.advance(50).await;
    call.send().await.is_refused("invalid_request");
}

async fn nobody_hands_over_without_an_edge(world: World) {
    let support = world.agent("support");
    let to = |agent: &str, tools: Value| {
        support.exchanges(&world.alice()).at(agent).tools(REFUNDS, tools).send()
    };
    to(BILLING, json!({ "refunds.export": {} })).await.is_refused("invalid_authorization_details");
    to(BILLING, json!({ "refunds.issue": {} })).await.is_refused("invalid_authorization_details");
    to("urn:agent:nobody", tools(exact(1))).await.is_refused("invalid_target");
    world.change("edge", "cl_support>cl_billing", "enabled", json!(false)).await;
    to(BILLING, tools(exact(1))).await.is_refused("actor_unauthorized");
    let scoped = support.exchanges(&world.alice()).at(BILLING).scope("refunds:read");
    scoped.send().await.is_refused("actor_unauthorized");
}

async fn a_server_uses_onward_entries_and_nothing_else(world: World) {
    let account = json!({ "ledger.get": { "account": exact("A-17") } });
    let call = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let details = json!([entry(REFUNDS, tools(exact("A-17"))), entry(LEDGER, account.clone())]);
    let call = call.details(details).token().await;
    assert!(!world.server("ledger").accepts(&call).await, "it permits nothing by itself");
    let onward = world.agent("refunds").exchanges(&call).at(LEDGER).token().await;
    let act = &claims(&onward)["act"];
    assert_eq!((&act["sub"], &act["act"]["sub"]), (&json!("cl_refunds"), &json!("cl_support")));
    let ledger = world.server("ledger");
    let allowed = ledger.decides(&onward, "ledger.get", json!({ "account": "A-17" })).await;
    let denied = ledger.decides(&onward, "ledger.get", json!({ "account": "B-1" })).await;
    assert_eq!((allowed.as_str(), denied.as_str()), ("permitted", "argument_not_permitted"));
    let same = world.agent("refunds").exchanges(&call).at(REFUNDS);
    same.send().await.is_refused("invalid_target");
    let handed = world.agent("support").exchanges(&world.alice()).at(REFUND_DESK);
    let handed = handed.tools(LEDGER, account).token().await;
    assert!(!world.server("refunds").accepts(&handed).await);
}

async fn a_scope_resource_is_promised_no_limits(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(STATS);
    assert_eq!(exchange.clone().scope("stats:read").send().await.status, 200);
    let limited = exchange.tools(STATS, json!({ "stats.get": {} }));
    limited.send().await.is_refused("invalid_authorization_details");
}

async fn ra9_a_child_forbids_what_was_optional(world: World) {
    let note = json!({ "constraint_type": "optional", "of": { "constraint_type": "wildcard" } });
    let wide = json!({ "tickets.get": { "id": exact(1), "note": note } });
    let wide = world.agent("support").exchanges(&world.alice()).at(TICKETS).tools(TICKETS, wide);
    let wide = wide.token().await;
    let narrow = |said: Value| {
        let narrow = world.agent("support").exchanges(&wide).at(TICKETS);
        narrow.tools(TICKETS, json!({ "tickets.get": said })).send()
    };
    let tickets = world.server("tickets");
    let absent = json!({ "constraint_type": "absent" });
    for said in [json!({ "id": exact(1) }), json!({ "id": exact(1), "note": absent })] {
        let token = narrow(said.clone()).await.token();
        let with = json!({ "id": 1, "note": "x" });
        assert_eq!(tickets.decides(&token, "tickets.get", json!({ "id": 1 })).await, "permitted");
        assert_eq!(tickets.decides(&token, "tickets.get", with).await, "argument_unexpected");
    }
    for wider in [
        json!({}),
        json!({ "note": absent }),
        json!({ "id": exact(1), "more": absent, "x": exact(1) }),
    ] {
        narrow(wider).await.is_refused("invalid_authorization_details");
    }
}

fn of_claim(name: &str) -> Value {
    json!({ "constraint_type": "subject_claim", "claim": name })
}

/// The issuer vouches for `customer`, and only knows of `nick`.
async fn map_claims(world: &World) {
    let mapping = json!({
        "customer": { "claim": "customer_id", "authoritative": true },
        "who": { "claim": "sub", "authoritative": true },
        "nick": { "claim": "nickname" },
    });
    world.change("issuer", "corp", "claim_mapping", mapping).await;
}

async fn a_claim_of_the_subject_becomes_its_value_when_a_token_is_minted(world: World) {
    map_claims(&world).await;
    let customer = |value: Value| {
        let claims = world.claims("alice").with("nickname", "C-17");
        world.access_token(claims.with("customer_id", value))
    };
    let asks = |token: &str, tools: Value| {
        world.agent("support").exchanges(token).at(REFUNDS).tools(REFUNDS, tools)
    };
    let seventeen = customer(json!("C-17"));
    let token = asks(&seventeen, tools(of_claim("customer"))).token().await;
    let details = &claims(&token)["authorization_details"];
    assert_eq!(*details, json!([entry(REFUNDS, tools(exact("C-17")))]));
    assert!(!payload(&token).contains("subject_claim"));
    for refused in [
        asks(&seventeen, tools(of_claim("nick"))),
        asks(&seventeen, tools(of_claim("nobody"))),
        asks(&world.alice(), tools(of_claim("customer"))),
        asks(&customer(json!(["C-17"])), tools(of_claim("customer"))),
        asks(&customer(json!(null)), tools(of_claim("customer"))),
    ] {
        refused.send().await.is_refused("invalid_authorization_details");
    }
    // At later hops the subject alone is known.
    let handed = asks(&seventeen, json!({ "refunds.list": {} })).at(BILLING).token().await;
    let later = |name| {
        let call = world.agent("billing").takes_over(&handed).at(REFUNDS);
        call.tools(REFUNDS, tools(of_claim(name))).send()
    };
    later("customer").await.is_refused("invalid_authorization_details");
    let known = claims(&later("who").await.token());
    assert_eq!(known["authorization_details"], json!([entry(REFUNDS, tools(exact("alice")))]));
}

async fn a_ceiling_by_a_claim_of_the_subject_holds(world: World) {
    map_claims(&world).await;
    let allowance = json!([
        { "resource": "refunds", "scope": "refunds:read", "tools": tools(of_claim("customer")) },
    ]);
    let agent = json!({ "uri": crate::world::story::SUPPORT, "allowance": allowance });
    world.change("client", "cl_support", "agent", agent).await;
    let alice = world.access_token(world.claims("alice").with("customer_id", "C-17"));
    let asks = |token: &str, order: Value| {
        let exchange = world.agent("support").exchanges(token).at(REFUNDS);
        exchange.tools(REFUNDS, tools(order)).send()
    };
    asks(&alice, exact("C-17")).await.token();
    asks(&alice, of_claim("customer")).await.token();
    for beyond in [exact("C-18"), json!({ "constraint_type": "wildcard" }), of_claim("who")] {
        asks(&alice, beyond).await.is_refused("invalid_authorization_details");
    }
    asks(&world.alice(), exact("C-17")).await.is_refused("invalid_authorization_details");
}
