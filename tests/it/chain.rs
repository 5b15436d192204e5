//! Who acts for whom, hop by hop: the actor chain and what travels with it.

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{self, BILLING, LEDGER, REFUNDS, TICKETS},
    wire::{claims, entry, exact},
};

on_both! {
    act5_a_chain_deeper_than_the_maximum_is_refused
    act10_a_registered_issuer_may_assert_its_own_actors
    act19_the_subject_is_the_same_person_on_every_hop
    tx9_the_outermost_act_is_the_current_actor
    tx10_introspection_shows_act_as_the_token_has_it
    tx11_may_act_lets_its_agent_through_and_is_never_copied
    act3_the_subject_s_profile_is_told
    at4_a_token_has_one_audience
    ri2_a_target_must_be_named
    ra4_granted_details_are_returned
    ra5_a_server_sees_the_details_that_are_meant_for_it
    su2_how_the_person_was_authenticated_is_told_on_every_hop
    su3_no_exchange_makes_an_authentication_newer_or_better
}

async fn act5_a_chain_deeper_than_the_maximum_is_refused(world: World) {
    let everything = json!([{ "resource": "refunds", "scope": "refunds:read" }]);
    let name = |n: usize| if n == 0 { "support".to_owned() } else { format!("hop{n}") };
    for n in 1..=9 {
        let agent = story::agent(&name(n), &format!("urn:agent:hop{n}"), &everything);
        world.put_client(agent).await;
        let id = format!("cl_{}>cl_{}", name(n - 1), name(n));
        let edge =
            json!({ "from": format!("cl_{}", name(n - 1)), "to": format!("cl_{}", name(n)) });
        world.put(&[("edge", &id, edge)]).await;
    }
    let tools = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let first = world.agent("support").exchanges(&world.alice()).at("urn:agent:hop1");
    let mut token = first.tools(REFUNDS, tools).token().await;
    for n in 1..8 {
        let next = world.agent(&name(n)).takes_over(&token).at(&format!("urn:agent:hop{}", n + 1));
        token = next.token().await;
    }
    let mut depth = 0;
    let mut hop = &claims(&token)["act"];
    while hop.is_object() {
        depth += 1;
        hop = &hop["act"];
    }
    assert_eq!(depth, 8);
    let beyond = world.agent("hop8").takes_over(&token).at("urn:agent:hop9").send().await;
    beyond.is_refused("invalid_request");
    let beyond = world.agent("hop8").takes_over(&token).at(REFUNDS).send().await;
    beyond.is_refused("invalid_request");
}

async fn act10_a_registered_issuer_may_assert_its_own_actors(world: World) {
    let issuer = world.issuer.url();
    let asserts = |act: Value| world.access_token(world.claims("alice").with("act", act));
    let bot = json!({ "iss": issuer.as_str(), "sub": "desk-bot", "extra": [1, 2] });
    let exchange = |token: &str| {
        let exchange = world.agent("support").exchanges(token).at(TICKETS);
        exchange.scope("tickets:read").send()
    };
    exchange(&asserts(bot.clone())).await.is_refused("invalid_request");
    world.change("issuer", "corp", "asserts_actors", json!(true)).await;
    let token = exchange(&asserts(bot.clone())).await.token();
    assert_eq!(claims(&token)["act"]["sub"], "cl_support");
    assert_eq!(claims(&token)["act"]["act"], bot, "carried beneath ours, unknown members too");
    // Its own actors only: ours it cannot name, and a bare `sub` names nobody.
    let ours = json!({ "iss": crate::world::ISSUER, "sub": "cl_billing" });
    exchange(&asserts(ours)).await.is_refused("invalid_request");
    exchange(&asserts(json!({ "sub": "desk-bot" }))).await.is_refused("invalid_request");
}

/// Alice's hand-over to the billing agent, and its call token.
async fn line(world: &World) -> (String, String) {
    let tools = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, tools).token().await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    (hand_over, call)
}

async fn act19_the_subject_is_the_same_person_on_every_hop(world: World) {
    let (hand_over, call) = line(&world).await;
    for token in [&hand_over, &call] {
        let said = claims(token);
        assert_eq!(said["sub"], "alice");
        assert_eq!(said["sub_id"]["iss"], world.issuer.url().as_str());
    }
}

async fn tx9_the_outermost_act_is_the_current_actor(world: World) {
    let (_, call) = line(&world).await;
    let act = &claims(&call)["act"];
    assert_eq!((&act["sub"], &act["act"]["sub"]), (&json!("cl_billing"), &json!("cl_support")));
    // Only the outermost may present the token; whoever stands inside has no say any more.
    let narrows = |agent: &str| world.agent(agent).exchanges(&call).at(REFUNDS);
    assert_eq!(narrows("billing").send().await.status, 200);
    narrows("support").send().await.is_refused("invalid_request");
    world.agent("support").revokes(&call).send().await;
    assert!(world.server("refunds").accepts(&call).await, "nor can it give the token back");
}

async fn tx10_introspection_shows_act_as_the_token_has_it(world: World) {
    let (_, call) = line(&world).await;
    let seen = world.server("refunds").sees(&call).await;
    assert_eq!(seen.json["act"], claims(&call)["act"]);
    assert_eq!(seen.json["act"]["sub"], "cl_billing");
}

async fn tx11_may_act_lets_its_agent_through_and_is_never_copied(world: World) {
    let may_act = json!({ "sub": story::FOREIGN_CLIENT });
    let alice = world.access_token(world.claims("alice").with("may_act", may_act));
    let exchange = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let token = exchange.token().await;
    assert_eq!(claims(&token).get("may_act"), None);
    let seen = world.server("tickets").sees(&token).await;
    assert_eq!(seen.json.get("may_act"), None);
}

async fn act3_the_subject_s_profile_is_told(world: World) {
    let (_, call) = line(&world).await;
    assert_eq!(claims(&call)["sub_profile"], "user");
    assert_eq!(claims(&call)["act"]["sub_profile"], "ai_agent");
    assert_eq!(world.server("refunds").sees(&call).await.json["sub_profile"], "user");
}

async fn at4_a_token_has_one_audience(world: World) {
    let (hand_over, call) = line(&world).await;
    assert_eq!(claims(&hand_over)["aud"], BILLING);
    assert_eq!(claims(&call)["aud"], REFUNDS);
}

async fn ri2_a_target_must_be_named(world: World) {
    let exchange = world.agent("support").exchanges(&world.alice()).scope("tickets:read");
    exchange.send().await.is_refused("invalid_target");
}

async fn ra4_granted_details_are_returned(world: World) {
    let tools = json!({ "tickets.get": { "id": exact(4711) } });
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let answer = exchange.tools(TICKETS, tools.clone()).send().await;
    assert_eq!(answer.json["authorization_details"], json!([entry(TICKETS, tools)]));
    assert_eq!(answer.json["scope"], "tickets:read");
}

async fn ra5_a_server_sees_the_details_that_are_meant_for_it(world: World) {
    let here = entry(REFUNDS, json!({ "refunds.list": {} }));
    let onward = entry(LEDGER, json!({ "ledger.get": {} }));
    let exchange = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let token = exchange.details(json!([here, onward])).token().await;
    let seen = world.server("refunds").sees(&token).await;
    assert_eq!(seen.json["authorization_details"], json!([here]));
}

/// What a token or an answer says about how the person was authenticated.
fn authentication(said: &Value) -> Value {
    json!([said["auth_time"], said["acr"], said["amr"]])
}

async fn su2_how_the_person_was_authenticated_is_told_on_every_hop(world: World) {
    let logged_in = world.deputy.now().epoch_s() - 500;
    let alice = world.claims("alice").with("auth_time", logged_in);
    let alice = alice.with("acr", "urn:corp:gold").with("amr", json!(["pwd", "hwk"]));
    let alice = world.access_token(alice);
    let tools = json!({ "refunds.list": {} });
    let hand_over = world.agent("support").exchanges(&alice).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, tools).token().await;
    world.advance(60).await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    let narrowed = world.agent("billing").exchanges(&call).at(REFUNDS).token().await;
    let expected = json!([logged_in, "urn:corp:gold", ["pwd", "hwk"]]);
    for token in [&hand_over, &call, &narrowed] {
        assert_eq!(authentication(&claims(token)), expected);
    }
    let seen = world.server("refunds").sees(&narrowed).await.json;
    assert_eq!(authentication(&seen), expected);
}

async fn su3_no_exchange_makes_an_authentication_newer_or_better(world: World) {
    let asked = |subject: &str| {
        let exchange = world.agent("support").exchanges(subject).at(TICKETS);
        let exchange = exchange.scope("tickets:read").field("acr_values", "urn:corp:gold");
        exchange.field("max_age", "0").field("auth_time", "2000000000").field("acr", "gold")
    };
    // What the issuer does not say is not made up, and what the agent says about it is nothing.
    let call = asked(&world.alice()).token().await;
    assert_eq!(authentication(&claims(&call)), json!([null, null, null]));
    world.advance(30).await;
    let narrowed = asked(&call).token().await;
    let seen = world.server("tickets").sees(&narrowed).await.json;
    assert_eq!(authentication(&seen), json!([null, null, null]));
    // An agent's own token was made without a person.
    let own = world.agent("support").asks_for_itself().field("acr", "gold").token().await;
    let confirmed = asked(&world.alice()).actor(&own).token().await;
    assert_eq!(authentication(&claims(&confirmed)), json!([null, null, null]));
}
