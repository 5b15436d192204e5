//! How far and how long authority passes from one agent to another, and how we know of each actor.

use serde_json::{Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::{self, BILLING, LEDGER, REFUNDS},
    wire::{Request, claims, entry},
};

on_both! {
    an_edge_bounds_the_chain_that_passes
    an_edge_bounds_the_life_of_what_passes
    an_onward_entry_passes_an_edge_too
    act_every_hop_says_how_we_know_of_it
    act_a_holder_that_narrows_stays_as_it_was_proved
}

const AUDIT: &str = "urn:agent:audit";

/// A third agent, which the billing agent may hand refunds to.
async fn third(world: &World, max_depth: i64) {
    let refunds = json!([{ "resource": "refunds", "scope": "refunds:read" }]);
    world.put_client(story::agent("audit", AUDIT, &refunds)).await;
    let edge = json!({ "from": "cl_billing", "to": "cl_audit", "max_depth": max_depth });
    world.put(&[("edge", "cl_billing>cl_audit", edge)]).await;
}

fn hands_over<'a>(world: &'a World, subject: &str) -> Request<'a> {
    let exchange = world.agent("support").exchanges(subject).at(BILLING);
    exchange.tools(REFUNDS, json!({ "refunds.list": {} }))
}

/// A call token for refunds that carries the ledger onward.
fn carries<'a>(world: &'a World, subject: &str) -> Request<'a> {
    let here = entry(REFUNDS, json!({ "refunds.list": {} }));
    let onward = entry(LEDGER, json!({ "ledger.get": {} }));
    world.agent("support").exchanges(subject).at(REFUNDS).details(json!([here, onward]))
}

/// Alice's token, in which her identity provider says that a bot of its own acts for her.
async fn with_a_bot(world: &World) -> String {
    world.change("issuer", "corp", "asserts_actors", json!(true)).await;
    let bot = json!({ "iss": world.issuer.url(), "sub": "desk-bot" });
    world.access_token(world.claims("alice").with("act", bot))
}

async fn newest_refusal(world: &World) -> String {
    let refused = |event: &deputy::model::event::Event| event.error.is_some();
    world.events().await.into_iter().find(refused).unwrap().reason.to_string()
}

async fn an_edge_bounds_the_chain_that_passes(world: World) {
    third(&world, 2).await;
    world.change("edge", "cl_support>cl_billing", "max_depth", json!(2)).await;
    let hand_over = hands_over(&world, &world.alice()).token().await;
    let on = || world.agent("billing").takes_over(&hand_over).at(AUDIT);
    on().send().await.is_refused("actor_unauthorized");
    assert_eq!(newest_refusal(&world).await, "chain_too_deep_for_edge");
    world.change("edge", "cl_billing>cl_audit", "max_depth", json!(3)).await;
    let further = on().token().await;
    let call = world.agent("audit").takes_over(&further).at(REFUNDS).token().await;
    assert!(world.server("refunds").accepts(&call).await, "three actors");
    let asserted = with_a_bot(&world).await;
    hands_over(&world, &asserted).send().await.is_refused("actor_unauthorized");
}

async fn an_edge_bounds_the_life_of_what_passes(world: World) {
    world.change("edge", "cl_support>cl_billing", "max_ttl_s", json!(45)).await;
    let answer = hands_over(&world, &world.alice()).send().await;
    assert_eq!(answer.json["expires_in"], 45);
    world.advance(15).await;
    let call = world.agent("billing").takes_over(&answer.token()).at(REFUNDS).send().await;
    assert_eq!(call.json["expires_in"], 30, "nothing that is made of it lives longer");
    world.change("edge", "cl_support>cl_billing", "max_ttl_s", json!(900)).await;
    let answer = hands_over(&world, &world.alice()).send().await;
    assert_eq!(answer.json["expires_in"], 600, "it lengthens nothing");
}

async fn an_onward_entry_passes_an_edge_too(world: World) {
    let edge = "cl_support>cl_refunds";
    world.change("edge", edge, "max_ttl_s", json!(20)).await;
    world.change("edge", edge, "max_depth", json!(2)).await;
    assert_eq!(carries(&world, &world.alice()).send().await.json["expires_in"], 20);
    let plain = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let plain = plain.scope("refunds:read").send().await;
    assert_eq!(plain.json["expires_in"], 120, "what stays here passes no edge");
    let asserted = with_a_bot(&world).await;
    carries(&world, &asserted).send().await.is_refused("actor_unauthorized");
    assert_eq!(newest_refusal(&world).await, "chain_too_deep_for_edge");
    // What an agent sends onward for itself passes it as well.
    let everything = json!([
        { "resource": "refunds", "scope": "refunds:read" },
        { "resource": "ledger", "scope": "ledger:read" },
    ]);
    let mut support = story::agent("support", story::SUPPORT, &everything);
    support["agent"]["own_allowance"] = everything;
    world.put(&[("client", "cl_support", support)]).await;
    let here = entry(REFUNDS, json!({ "refunds.list": {} }));
    let onward = entry(LEDGER, json!({ "ledger.get": {} }));
    let own = || world.agent("support").asks_for_itself().at(REFUNDS);
    let sent_on = own().details(json!([here, onward])).send().await;
    assert_eq!(sent_on.json["expires_in"], 20, "{}", sent_on.text);
    let kept = own().scope("refunds:read").send().await;
    assert_eq!(kept.json["expires_in"], 120);
}

async fn act_every_hop_says_how_we_know_of_it(world: World) {
    world
        .change("client", "cl_billing", "token_endpoint_auth_method", json!("client_secret_post"))
        .await;
    let idp = world.issuer.url();
    let hand_over = hands_over(&world, &with_a_bot(&world).await).token().await;
    let secret = world.secret(&deputy::base::id::ClientId::parse("cl_billing").unwrap());
    let taken = world.agent("billing").takes_over(&hand_over).at(REFUNDS).basic(None);
    let taken = taken.field("client_id", "cl_billing").field("client_secret", secret.expose());
    let call = taken.token().await;
    assert_eq!(claims(&call)["via"], json!(["client_secret_post", "client_secret_basic"]));
    let expected = json!([
        { "sub": "cl_billing", "iss": ISSUER, "provenance": "verified", "via": "client_secret_post" },
        { "sub": "cl_support", "iss": ISSUER, "provenance": "verified", "via": "client_secret_basic" },
        { "sub": "desk-bot", "iss": idp, "provenance": "asserted", "via": idp },
    ]);
    assert_eq!(world.server("refunds").sees(&call).await.json["chain"], expected);
    world.server("refunds").asks(&call, "refunds.list", "{}").await;
    let newest = world.operator().get("/events?limit=3").await.json;
    for event in newest["items"].as_array().unwrap() {
        let depth = event["chain"].as_array().unwrap().len();
        assert_eq!(event["chain"], json!(expected.as_array().unwrap()[3 - depth..]), "{event}");
    }
}

async fn act_a_holder_that_narrows_stays_as_it_was_proved(world: World) {
    let call = carries(&world, &world.alice()).token().await;
    let narrow = world.agent("support").exchanges(&call).at(REFUNDS).token().await;
    assert_eq!(claims(&narrow)["via"], json!(["client_secret_basic"]));
    let own = world.agent("support").asks_for_itself().token().await;
    let seen = [&claims(&own)["via"], &claims(&own)["act"]];
    assert_eq!(seen, [&Value::Null, &Value::Null], "nobody acts for an agent that asks for itself");
}
