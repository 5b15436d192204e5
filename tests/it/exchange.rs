//! RFC 8693 at the token endpoint: what an exchange needs, what it answers, what it refuses.

use serde_json::json;

use crate::world::{
    ISSUER, World, on_both,
    story::{BILLING, FOREIGN_CLIENT, LEDGER, REFUNDS, SUPPORT, TICKETS},
    wire::{ACCESS_TOKEN, ID_TOKEN, JWT, claims, exact, header},
};

on_both! {
    the_story_from_the_user_to_the_call
    tx1_an_exchange_is_one_form_of_one_grant
    tx2_the_subject_token_and_its_type_are_required
    tx2_an_actor_token_and_its_type_come_together
    tx3_every_other_parameter_comes_once
    tx4_one_token_is_for_one_target
    tx5_an_unknown_token_type_is_invalid_request
    tx6_a_token_is_what_it_was_declared_to_be
    tx7_the_answer_says_all_that_it_must
    tx8_bad_subject_token_is_invalid_request
    tx12_an_exchange_is_never_impersonation
    tx13_the_subject_token_stays_as_good_as_it_was
    tx14_nobody_exchanges_without_authentication
    te1_unknown_parameters_are_ignored_and_empty_ones_omitted
    te3_other_grants_are_not_offered
    te3_a_server_that_is_no_agent_may_not_exchange
    te5_what_answers_for_tokens_and_secrets_is_never_stored
    te6_expires_in_is_a_whole_number_and_the_scope_is_told
    te9_nothing_is_taken_from_the_query
    ri1_an_unknown_resource_is_invalid_target
    ri1_a_resource_is_told_by_its_canonical_uri
    at1_a_token_is_typed_and_names_its_key
    at2_a_token_has_every_required_claim
    at5_an_agent_s_own_token_is_about_the_agent
    act13_an_id_token_starts_a_delegation_and_never_names_an_actor
    an_agent_has_no_authority_of_its_own_by_default
    a_refusal_is_on_record_under_its_error_id
}

async fn the_story_from_the_user_to_the_call(world: World) {
    let alice = world.alice();
    let ticket = world.agent("support").exchanges(&alice).at(TICKETS);
    let ticket =
        ticket.tools(TICKETS, json!({ "tickets.get": { "id": exact(4711) } })).token().await;
    let tickets = world.server("tickets");
    assert_eq!(tickets.decides(&ticket, "tickets.get", json!({ "id": 4711 })).await, "permitted");

    let order = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let hand_over = world.agent("support").exchanges(&alice).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, order).token().await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    let refunds = world.server("refunds");
    for (tool, arguments, reason) in [
        ("refunds.list", json!({ "order_id": "A-17" }), "permitted"),
        ("refunds.list", json!({ "order_id": "*" }), "argument_not_permitted"),
        ("refunds.export", json!({ "days": 30 }), "tool_not_delegated"),
    ] {
        assert_eq!(refunds.decides(&call, tool, arguments).await, reason);
    }
    let act = &claims(&call)["act"];
    assert_eq!((&act["sub"], &act["act"]["sub"]), (&json!("cl_billing"), &json!("cl_support")));
    assert_eq!(claims(&call)["sub"], "alice");

    let txn = claims(&call)["txn"].clone();
    world.revoke(json!({ "transaction": txn })).await;
    assert!(!refunds.accepts(&call).await && !tickets.accepts(&ticket).await);
    let again = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    again.send().await.is_refused("invalid_request");
}

async fn tx1_an_exchange_is_one_form_of_one_grant(world: World) {
    let exchange =
        || world.agent("support").exchanges(&world.alice()).at(TICKETS).scope("tickets:read");
    assert_eq!(exchange().send().await.status, 200);
    exchange().without("grant_type").send().await.is_refused("invalid_request");
    exchange().send_body("{}", "application/json").await.is_refused("invalid_request");
    let get = world.get("/oauth2/token").await;
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
}

async fn tx2_the_subject_token_and_its_type_are_required(world: World) {
    for name in ["subject_token", "subject_token_type"] {
        let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
        let exchange = exchange.scope("tickets:read");
        exchange.clone().without(name).send().await.is_refused("invalid_request");
        exchange.field(name, "").send().await.is_refused("invalid_request");
    }
}

async fn tx2_an_actor_token_and_its_type_come_together(world: World) {
    let actor = world.agent("support").asks_for_itself().token().await;
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let exchange = exchange.scope("tickets:read").actor(&actor);
    assert_eq!(exchange.clone().send().await.status, 200);
    for name in ["actor_token", "actor_token_type"] {
        exchange.clone().without(name).send().await.is_refused("invalid_request");
    }
}

async fn tx3_every_other_parameter_comes_once(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let exchange = exchange.scope("tickets:read").field("requested_token_type", ACCESS_TOKEN);
    for name in
        ["grant_type", "subject_token", "subject_token_type", "scope", "requested_token_type"]
    {
        let twice = exchange.clone().also(name, "x");
        twice.send().await.is_refused("invalid_request");
    }
    let same = exchange.also("resource", TICKETS).also("audience", TICKETS);
    assert_eq!(same.send().await.status, 200, "one target, said three times");
}

async fn tx4_one_token_is_for_one_target(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).scope("tickets:read");
    exchange.clone().send().await.is_refused("invalid_target");
    let two = exchange.at(TICKETS).also("resource", REFUNDS);
    two.send().await.is_refused("invalid_target");
}

async fn tx5_an_unknown_token_type_is_invalid_request(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let exchange = exchange.scope("tickets:read");
    for kind in [
        "access_token",
        "urn:ietf:params:oauth:token-type:saml2",
        "urn:ietf:params:oauth:token-type:refresh_token",
        "urn:ietf:params:oauth:token-type:ACCESS_TOKEN",
    ] {
        for name in ["subject_token_type", "requested_token_type"] {
            exchange.clone().field(name, kind).send().await.is_refused("invalid_request");
        }
    }
    exchange.field("requested_token_type", JWT).send().await.is_refused("invalid_request");
}

async fn tx6_a_token_is_what_it_was_declared_to_be(world: World) {
    let (alice, support) = (world.alice(), world.agent("support"));
    let id_token = world.issuer.id_token(id_claims(&world)).unwrap();
    let call = support.exchanges(&alice).at(REFUNDS).scope("refunds:read").token().await;
    let tools = json!({ "refunds.list": {} });
    let hand_over = support.exchanges(&alice).at(BILLING).tools(REFUNDS, tools).token().await;
    let agent_token = support.asks_for_itself().token().await;
    for (token, kinds) in [
        (&alice, vec![JWT]),
        (&id_token, vec![ACCESS_TOKEN, JWT]),
        (&call, vec![ID_TOKEN, JWT]),
        (&hand_over, vec![ACCESS_TOKEN, ID_TOKEN]),
        (&agent_token, vec![ACCESS_TOKEN, ID_TOKEN, JWT]),
    ] {
        for kind in kinds {
            for client in ["support", "billing"] {
                let wrong = world.agent(client).exchanges(token).field("subject_token_type", kind);
                let wrong = wrong.at(REFUNDS).scope("refunds:read");
                wrong.send().await.is_refused("invalid_request");
            }
        }
    }
}

fn id_claims(world: &World) -> deputy::demo::issuer::claims::Claims {
    deputy::demo::issuer::claims::Claims::new("alice", FOREIGN_CLIENT, world.deputy.now())
}

async fn tx7_the_answer_says_all_that_it_must(world: World) {
    let alice = world.alice();
    let call = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let call = call.send().await;
    assert_eq!((call.status, call.header("cache-control")), (200, "no-store"));
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.json["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(call.json["token_type"], "Bearer");
    assert_eq!(call.json["expires_in"], 120);
    assert_eq!(call.json["scope"], "tickets:read");
    assert!(call.json.get("refresh_token").is_none());

    let hand_over = world.agent("support").exchanges(&alice).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).send().await;
    assert_eq!(hand_over.json["issued_token_type"], JWT);
    assert_eq!(hand_over.json["token_type"], "N_A");
    assert_eq!(hand_over.json["expires_in"], 600);
    assert!(hand_over.json.get("scope").is_none(), "a hand-over has none");
    assert_eq!(hand_over.json["authorization_details"][0]["locations"][0], REFUNDS);
}

async fn tx8_bad_subject_token_is_invalid_request(world: World) {
    let mut sentences = std::collections::BTreeSet::new();
    for token in [
        "garbage".to_owned(),
        format!("{}x", world.alice()),
        world.access_token(world.claims("alice").with("aud", "somebody-else")),
        world.access_token(world.claims("alice").with("exp", world.deputy.now().epoch_s() - 61)),
        world.issuer.access_token(world.claims("alice"), "stranger", "assist").unwrap(),
    ] {
        let exchange = world.agent("support").exchanges(&token).at(TICKETS);
        let answer = exchange.scope("tickets:read").send().await;
        answer.is_refused("invalid_request");
        assert!(answer.json["error_id"].is_string());
        sentences.insert(answer.json["error_description"].to_string());
    }
    assert_eq!(sentences.len(), 1, "which check failed is nobody's business: {sentences:?}");
}

async fn tx12_an_exchange_is_never_impersonation(world: World) {
    let token = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let token = token.scope("tickets:read").token().await;
    let act = &claims(&token)["act"];
    let expected = json!({ "iss": ISSUER, "sub": "cl_support", "sub_profile": "ai_agent" });
    assert_eq!(*act, expected);
    let seen = world.server("tickets").sees(&token).await;
    assert_eq!(seen.json["act"], expected, "TX-10");
}

async fn tx13_the_subject_token_stays_as_good_as_it_was(world: World) {
    let alice = world.alice();
    let exchange = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let (first, second) = (exchange.clone().token().await, exchange.token().await);
    let tickets = world.server("tickets");
    assert!(tickets.accepts(&first).await && tickets.accepts(&second).await);
    assert_ne!(claims(&first)["jti"], claims(&second)["jti"]);
    assert_eq!(claims(&first)["txn"], claims(&second)["txn"]);
}

async fn tx14_nobody_exchanges_without_authentication(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let exchange = exchange.scope("tickets:read").basic(None);
    exchange.clone().send().await.is_refused("invalid_client");
    exchange.field("client_id", "cl_support").send().await.is_refused("invalid_client");
}

async fn te1_unknown_parameters_are_ignored_and_empty_ones_omitted(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let exchange = exchange.scope("tickets:read").field("nonsense", "1").field("actor_token", "");
    let exchange = exchange.field("actor_token_type", "").field("authorization_details", "");
    assert_eq!(exchange.send().await.status, 200);
}

async fn te3_other_grants_are_not_offered(world: World) {
    for grant in ["authorization_code", "refresh_token", "password", "CLIENT_CREDENTIALS"] {
        let asked = world.agent("support").asks_for_itself().field("grant_type", grant);
        asked.send().await.is_refused("unsupported_grant_type");
    }
}

async fn te3_a_server_that_is_no_agent_may_not_exchange(world: World) {
    let exchange = world.agent("tickets").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").send().await.is_refused("unauthorized_client");
    world.agent("tickets").asks_for_itself().send().await.is_refused("unauthorized_client");
}

async fn te5_what_answers_for_tokens_and_secrets_is_never_stored(world: World) {
    let support = world.agent("support");
    let exchange = support.exchanges(&world.alice()).at(TICKETS).scope("tickets:read");
    let given = exchange.clone().send().await;
    let back = support.revokes(&given.token());
    for (answer, status) in [
        (given, 200),
        (support.asks_for_itself().send().await, 200),
        (back.send().await, 200),
        (exchange.clone().scope("nothing").send().await, 400),
        (exchange.clone().basic(None).send().await, 401),
        (exchange.send_body("x".repeat(100_000), "application/x-www-form-urlencoded").await, 413),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
}

async fn te6_expires_in_is_a_whole_number_and_the_scope_is_told(world: World) {
    let exchange = || world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let named = json!({ "tickets.get": {} });
    for (request, scope) in [
        (exchange().scope("tickets:write tickets:read"), "tickets:read tickets:write"),
        (exchange().tools(TICKETS, named), "tickets:read"),
    ] {
        let answer = request.send().await;
        assert_eq!(answer.json["scope"], scope, "{answer:?}");
        assert!(answer.text.contains("\"expires_in\":120,"), "{answer:?}");
    }
}

async fn te9_nothing_is_taken_from_the_query(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let exchange = exchange.scope("tickets:read");
    let query = exchange.body();
    let mut in_query = world.agent("support").posts(&format!("token?{query}"));
    in_query.clone().send().await.is_refused("invalid_request");
    in_query = in_query.field("grant_type", "client_credentials");
    in_query.send().await.is_refused("invalid_request");
}

async fn ri1_an_unknown_resource_is_invalid_target(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).scope("tickets:read");
    for target in [
        "https://elsewhere.example/mcp",
        "https://tickets.example/mcp/",
        "https://tickets.example/mcp#fragment",
        "https://tickets.example/MCP",
        "https://tickets.example/x/../mcp",
        "https://tickets.example/%6dcp",
        "https://user@tickets.example/mcp",
        "https://tickets.example:8443/mcp",
        "http://tickets.example/mcp",
        "tickets",
        "/mcp",
        "*",
        ISSUER,
    ] {
        exchange.clone().at(target).send().await.is_refused("invalid_target");
    }
}

async fn ri1_a_resource_is_told_by_its_canonical_uri(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).scope("tickets:read");
    let token = exchange.clone().at("HTTPS://Tickets.EXAMPLE/mcp").token().await;
    assert_eq!(claims(&token)["aud"], TICKETS);
    let token = exchange.field("audience", TICKETS).token().await;
    assert_eq!(claims(&token)["aud"], TICKETS, "RI-2: one string");
}

async fn at1_a_token_is_typed_and_names_its_key(world: World) {
    let token = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let head = header(&token.scope("tickets:read").token().await);
    let jwks = world.get("/oauth2/jwks").await.json;
    assert_eq!((&head["typ"], &head["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(head["kid"], jwks["keys"][0]["kid"]);
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).token().await;
    assert_eq!(header(&hand_over)["typ"], "handover+jwt", "JW-5");
}

async fn at2_a_token_has_every_required_claim(world: World) {
    let token = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let token = claims(&token.scope("tickets:read").token().await);
    let now = world.deputy.now().epoch_s();
    assert_eq!(token["iss"], ISSUER);
    assert_eq!(token["aud"], TICKETS);
    assert_eq!(token["client_id"], "cl_support", "TX-10");
    assert_eq!((&token["iat"], &token["exp"]), (&json!(now), &json!(now + 120)));
    assert_eq!(token["sub_profile"], "user", "ACT-3");
    let pair = json!({ "format": "iss_sub", "iss": world.issuer.url(), "sub": "alice" });
    assert_eq!(token["sub_id"], pair);
    assert_eq!(token["dlg"], json!([token["jti"]]));
    assert!(token.get("email").is_none() && token.get("groups").is_none(), "TX-15");
}

async fn at5_an_agent_s_own_token_is_about_the_agent(world: World) {
    let token = world.agent("support").asks_for_itself().field("sub", "alice").token().await;
    let token = claims(&token);
    assert_eq!((&token["sub"], &token["aud"]), (&json!("cl_support"), &json!(ISSUER)));
    assert_eq!(token["sub_profile"], "ai_agent");
    assert!(token.get("act").is_none() && token.get("scope").is_none());
}

async fn act13_an_id_token_starts_a_delegation_and_never_names_an_actor(world: World) {
    let claims_of = |claims: deputy::demo::issuer::claims::Claims| {
        let token = world.issuer.id_token(claims).unwrap();
        let exchange = world.agent("support").exchanges(&token);
        exchange.field("subject_token_type", ID_TOKEN).at(TICKETS).scope("tickets:read")
    };
    let token = claims(&claims_of(id_claims(&world)).token().await);
    assert_eq!((&token["sub"], &token["act"]["sub"]), (&json!("alice"), &json!("cl_support")));
    assert_eq!(token["auth_time"], world.deputy.now().epoch_s() - 30, "AT-2");
    for wrong in [
        id_claims(&world).with("aud", "another-app"),
        id_claims(&world).with("aud", json!([FOREIGN_CLIENT, "another-app"])),
        id_claims(&world).with("azp", "another-app"),
        id_claims(&world).with("events", json!({})),
    ] {
        claims_of(wrong).send().await.is_refused("invalid_request");
    }
}

async fn an_agent_has_no_authority_of_its_own_by_default(world: World) {
    let asks = || world.agent("support").asks_for_itself();
    let answer = asks().at(TICKETS).scope("tickets:read").send().await;
    answer.is_refused("actor_unauthorized");
    asks().at(SUPPORT).send().await.is_refused("actor_unauthorized");
    asks().scope("tickets:read").send().await.is_refused("invalid_target");

    let mut document = crate::world::story::agent("support", SUPPORT, &json!([]));
    document["agent"]["own_allowance"] = json!([{ "resource": "ledger", "scope": "ledger:read" }]);
    world.put(&[("client", "cl_support", document)]).await;
    let own = asks().at(LEDGER).scope("ledger:read").token().await;
    assert_eq!(world.server("ledger").decides(&own, "ledger.get", json!({})).await, "permitted");
    let for_alice = world.agent("support").exchanges(&world.alice()).at(LEDGER);
    for_alice.scope("ledger:read").send().await.is_refused("actor_unauthorized");
}

async fn a_refusal_is_on_record_under_its_error_id(world: World) {
    let asked = world.agent("billing").exchanges(&world.alice()).at(REFUNDS).scope("refunds:read");
    let answer = asked.send().await;
    answer.is_refused("invalid_request");
    let event = world.events().await.into_iter().find(|e| e.error.is_some()).unwrap();
    assert_eq!(event.error.unwrap().to_string(), answer.json["error_id"].as_str().unwrap());
    assert_eq!(&*event.reason, "issued_to_another_client");
}
