//! Introspection (RFC 7662) with the call context: who learns what about a token, and every reason
//! for which a call may or may not run.

mod arguments;
mod denials;

use serde_json::{Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::{ARCHIVE, BILLING, LEDGER, REFUNDS, STATS, TICKETS},
    wire::{Answer, claims, entry, exact},
};

on_both! {
    in1_token_is_required_and_the_hint_is_only_a_hint
    in2_the_caller_is_authenticated
    in3_inactive_is_byte_identical
    in4_a_live_token_tells_its_members
    in5_only_the_owner_of_the_audience_learns_anything
    in6_no_store
    in5_a_server_of_several_resources_names_the_one_that_acts
    what_is_not_decided_is_refused
    a_tool_is_known_by_its_exact_name
    scopes_alone_never_cover_what_cannot_be_undone
    onward_entries_permit_nothing_at_the_audience
}

const INACTIVE: &str = r#"{"active":false}"#;

async fn reading(world: &World) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").token().await
}

async fn limited(world: &World, tools: Value) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.tools(TICKETS, tools).token().await
}

/// Everything that a caller can tell two answers apart by.
fn seen(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let told = answer.headers.iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
    let told = told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, answer.text.clone(), told.collect())
}

async fn in1_token_is_required_and_the_hint_is_only_a_hint(world: World) {
    let token = reading(&world).await;
    let asks = world.agent("tickets").introspects(&token);
    asks.clone().without("token").send().await.is_refused("invalid_request");
    asks.clone().field("token", "").send().await.is_refused("invalid_request");
    asks.clone().also("token", &token).send().await.is_refused("invalid_request");
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let answer = asks.clone().field("token_type_hint", hint).send().await;
        assert_eq!(answer.json["active"], true, "{hint}");
    }
    let get = world.get("/oauth2/introspect").await;
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
}

async fn in2_the_caller_is_authenticated(world: World) {
    let token = reading(&world).await;
    let asks = world.agent("tickets").introspects(&token);
    asks.clone().basic(None).send().await.is_refused("invalid_client");
    asks.clone().basic(Some(("cl_tickets", "wrong"))).send().await.is_refused("invalid_client");
    asks.clone().basic(Some(("cl_nobody", "wrong"))).send().await.is_refused("invalid_client");
    world.change("client", "cl_tickets", "enabled", json!(false)).await;
    asks.send().await.is_refused("invalid_client");
}

async fn in3_inactive_is_byte_identical(world: World) {
    let (live, other) = (reading(&world).await, reading(&world).await);
    let revoked = reading(&world).await;
    world.agent("support").revokes(&revoked).send().await;
    let foreign = world.alice();
    let hand_over = world.agent("support").exchanges(&foreign).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).token().await;
    let not_for_you = world.agent("support").exchanges(&foreign).at(REFUNDS);
    let not_for_you = not_for_you.scope("refunds:read").token().await;
    let (said, signature) = live.rsplit_once('.').unwrap();
    let (_, another) = other.rsplit_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", said.split_once('.').unwrap().1);
    let dead = [
        "garbage".to_owned(),
        "\u{fffd}".to_owned(),
        "a".repeat(5_000),
        format!("{said}.{another}"),
        live[..live.len() - 1].to_owned(),
        format!("{said}."),
        format!("{live}="),
        format!("{live}A"),
        format!(" {live}"),
        format!(".{signature}"),
        none,
        revoked,
        hand_over,
        not_for_you,
        foreign,
        world.agent("support").asks_for_itself().token().await,
    ];
    let tickets = world.server("tickets");
    assert!(tickets.accepts(&live).await);
    let first = seen(&tickets.sees("unknown").await);
    assert_eq!((first.0, first.1.as_str()), (200, INACTIVE));
    for token in &dead {
        assert_eq!(seen(&tickets.sees(token).await), first, "{token}");
        assert_eq!(seen(&tickets.asks(token, "tickets.get", "{}").await), first, "{token}");
    }
    world.advance(119).await;
    assert!(tickets.accepts(&live).await);
    world.advance(1).await;
    assert_eq!(seen(&tickets.sees(&live).await), first, "expired: no leeway for our own");
}

async fn in4_a_live_token_tells_its_members(world: World) {
    let tools = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let here = entry(REFUNDS, tools);
    let onward = entry(LEDGER, json!({ "ledger.get": {} }));
    let now = world.deputy.now().epoch_s();
    let alice = world.access_token(world.claims("alice").with("auth_time", now - 30));
    let token = world.agent("support").exchanges(&alice).at(REFUNDS);
    let token = token.details(json!([here, onward])).token().await;
    let answer = world.server("refunds").sees(&token).await;
    let said = &answer.json;
    let support = json!({ "iss": ISSUER, "sub": "cl_support", "sub_profile": "ai_agent" });
    let alice = json!({ "format": "iss_sub", "iss": world.issuer.url(), "sub": "alice" });
    for (member, value) in [
        ("active", json!(true)),
        ("iss", json!(ISSUER)),
        ("sub", json!("alice")),
        ("sub_id", alice),
        ("aud", json!(REFUNDS)),
        ("client_id", json!("cl_support")),
        ("act", support),
        ("scope", json!("refunds:read")),
        ("token_type", json!("Bearer")),
        ("iat", json!(now)),
        ("exp", json!(now + 120)),
        ("auth_time", json!(now - 30)),
        ("jti", claims(&token)["jti"].clone()),
        ("txn", claims(&token)["txn"].clone()),
        ("authorization_details", json!([here])),
    ] {
        assert_eq!(said[member], value, "{member}");
    }
    assert!(!answer.text.contains("null") && !answer.text.contains(LEDGER), "{}", answer.text);
    let plain = world.server("tickets").sees(&reading(&world).await).await;
    for absent in ["authorization_details", "acr", "amr", "decision", "may_act", "cnf"] {
        assert!(plain.json.get(absent).is_none(), "{absent}: {}", plain.text);
    }
}

async fn in5_only_the_owner_of_the_audience_learns_anything(world: World) {
    let token = reading(&world).await;
    for client in ["support", "billing", "refunds", "ledger"] {
        for asks in [
            world.agent(client).introspects(&token),
            world.agent(client).introspects(&token).at(TICKETS),
            world.agent(client).introspects(&token).at(TICKETS).field("tool", "tickets.get"),
        ] {
            assert_eq!(asks.send().await.text, INACTIVE, "{client}");
        }
    }
    let owner = world.agent("tickets").introspects(&token);
    assert_eq!(owner.clone().send().await.json["active"], true);
    assert_eq!(owner.clone().at(TICKETS).send().await.json["active"], true);
    for wrong in [ARCHIVE, REFUNDS, "https://nobody.example/mcp", "tickets", "https://[", "/mcp"] {
        assert_eq!(owner.clone().at(wrong).send().await.text, INACTIVE, "{wrong}");
    }
    // Who owns the resource now, not who owned it then.
    world.change("resource", "tickets", "owner", json!("cl_ledger")).await;
    assert_eq!(owner.send().await.text, INACTIVE);
    assert!(world.server("tickets").accepts(&token).await);
}

async fn in6_no_store(world: World) {
    let token = limited(&world, json!({ "tickets.get": {} })).await;
    let tickets = world.server("tickets");
    for answer in [
        tickets.sees(&token).await,
        tickets.sees("garbage").await,
        tickets.asks(&token, "tickets.get", "{}").await,
        tickets.asks(&token, "tickets.update", "{}").await,
        world.agent("tickets").posts("introspect").send().await,
    ] {
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

async fn in5_a_server_of_several_resources_names_the_one_that_acts(world: World) {
    let token = reading(&world).await;
    let asks = world.agent("tickets").introspects(&token);
    assert_eq!(asks.clone().send().await.json["active"], true, "no call, no doubt");
    let call = asks.field("tool", "tickets.get");
    let unsaid = call.clone().send().await;
    unsaid.is_refused("invalid_request");
    assert!(unsaid.text.contains("`resource`"), "{}", unsaid.text);
    assert_eq!(call.clone().at(ARCHIVE).send().await.text, INACTIVE);
    assert_eq!(call.at(TICKETS).send().await.json["decision"]["reason"], "permitted");
    let refunds = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let refunds = refunds.scope("refunds:read").token().await;
    let only = world.agent("refunds").introspects(&refunds).field("tool", "refunds.list");
    assert_eq!(only.send().await.json["decision"]["allow"], true, "it owns one only");
}

async fn what_is_not_decided_is_refused(world: World) {
    let token = reading(&world).await;
    let asks = world.agent("tickets").introspects(&token).at(TICKETS);
    for name in ["method", "path", "query", "body", "arguments", "call_id"] {
        asks.clone().field(name, "x").send().await.is_refused("invalid_request");
    }
    let call = asks.clone().field("tool", "tickets.get");
    call.clone().field("method", "GET").send().await.is_refused("invalid_request");
    call.clone().also("tool", "tickets.get").send().await.is_refused("invalid_request");
    call.clone()
        .also("arguments", "{}")
        .also("arguments", "{}")
        .send()
        .await
        .is_refused("invalid_request");
    call.clone().field("call_id", &"x".repeat(129)).send().await.is_refused("invalid_request");
    asks.also("resource", TICKETS).send().await.is_refused("invalid_request");
    let answer = call.field("call_id", &"x".repeat(128)).send().await;
    assert_eq!(answer.json["active"], true);
}

async fn a_tool_is_known_by_its_exact_name(world: World) {
    let token = reading(&world).await;
    let tickets = world.server("tickets");
    for tool in [
        "tickets.g\u{435}t",
        "\u{ff54}ickets.get",
        "tickets\u{ff0e}get",
        "tickets.get\u{200b}",
        "\u{feff}tickets.get",
        "tickets.ge\u{74}\u{301}",
        "Tickets.get",
        "tickets.get ",
        " tickets.get",
        "tickets/get",
        "tickets.",
        "archive.get",
        "tool",
        "../tickets.get",
        &"t".repeat(4_000),
    ] {
        let answer = tickets.asks(&token, tool, "{}").await;
        assert_eq!(answer.json["decision"]["reason"], "tool_unknown", "{tool}");
        assert!(answer.json["decision"].get("tool").is_none(), "{tool}");
    }
    assert_eq!(tickets.decides(&token, "tickets.get", json!({})).await, "permitted");
}

async fn scopes_alone_never_cover_what_cannot_be_undone(world: World) {
    let purge = json!({
        "resource": "refunds", "name": "refunds.purge", "scopes": ["refunds:read"],
        "effect": "destructive", "input_schema": {}, "changed_at": 0, "changed_on": 0,
    });
    world.put(&[("tool", "refunds.purge", purge)]).await;
    let refunds = world.server("refunds");
    let undetailed = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let undetailed = undetailed.scope("refunds:read refunds:write").token().await;
    for (tool, reason) in [
        ("refunds.list", "permitted"),
        ("refunds.export", "tool_not_delegated"),
        ("refunds.purge", "tool_not_delegated"),
        ("refunds.issue", "tool_not_delegated"),
    ] {
        assert_eq!(refunds.decides(&undetailed, tool, json!({})).await, reason, "{tool}");
    }
    let stats = world.agent("support").exchanges(&world.alice()).at(STATS);
    let stats = stats.scope("stats:read").token().await;
    assert_eq!(world.server("stats").decides(&stats, "anything", json!({})).await, "tool_unknown");
}

async fn onward_entries_permit_nothing_at_the_audience(world: World) {
    // A tool of the same name at both places: the strongest case.
    let same = json!({
        "resource": "refunds", "name": "ledger.get", "scopes": ["refunds:read"],
        "effect": "read", "input_schema": {}, "changed_at": 0, "changed_on": 0,
    });
    world.put(&[("tool", "refunds.ledger.get", same)]).await;
    let details = json!([
        entry(REFUNDS, json!({ "refunds.list": {} })),
        entry(LEDGER, json!({ "ledger.get": {} })),
    ]);
    let token = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let token = token.details(details).token().await;
    let refunds = world.server("refunds");
    assert_eq!(refunds.decides(&token, "refunds.list", json!({})).await, "permitted");
    assert_eq!(refunds.decides(&token, "ledger.get", json!({})).await, "tool_not_delegated");
    assert!(!world.server("ledger").accepts(&token).await, "not sent to the ledger");
}
