//! Signed introspection answers (RFC 9701): what is in them, who gets one, and that none passes for
//! a token.

use serde_json::{Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::TICKETS,
    wire::{Answer, claims, header},
};

on_both! {
    in8_a_signed_answer_says_what_the_plain_one_says
    in8_an_inactive_token_is_said_to_be_so_with_a_signature
    in8_only_who_asks_by_name_gets_a_signed_answer
    in8_the_asker_s_algorithm_is_used
    in8_a_refused_asker_gets_plain_json
    in9_a_signed_answer_is_no_token
}

const SIGNED: &str = "application/token-introspection+jwt";

async fn ticket(world: &World) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").token().await
}

async fn asked(world: &World, token: &str, accept: &str) -> Answer {
    let question = world.agent("tickets").introspects(token).at(TICKETS);
    question.header("accept", accept).send().await
}

async fn in8_a_signed_answer_says_what_the_plain_one_says(world: World) {
    let token = ticket(&world).await;
    let question = world.agent("tickets").introspects(&token).at(TICKETS);
    let question = question.field("tool", "tickets.get").field("arguments", r#"{"id":1}"#);
    let plain = question.clone().send().await.json;
    let answer = question.header("accept", SIGNED).send().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, SIGNED));
    assert_eq!(answer.header("cache-control"), "no-store");
    let head = header(&answer.text);
    assert_eq!((&head["typ"], &head["alg"]), (&json!("token-introspection+jwt"), &json!("ES256")));
    let keys = world.get("/oauth2/jwks").await.json;
    assert_eq!(keys["keys"][0]["kid"], head["kid"]);
    let said = claims(&answer.text);
    let members: Vec<&String> = said.as_object().unwrap().keys().collect();
    assert_eq!(members, ["iss", "aud", "iat", "token_introspection"], "nothing of a token on top");
    assert_eq!((&said["iss"], &said["aud"]), (&json!(ISSUER), &json!("cl_tickets")));
    assert_eq!(said["iat"], world.deputy.now().epoch_s());
    let without_id = |answer: &Value| {
        let mut answer = answer.clone();
        answer["decision"]["id"] = Value::Null;
        answer
    };
    assert_eq!(without_id(&said["token_introspection"]), without_id(&plain));
    assert_eq!(plain["active"], true);
}

async fn in8_an_inactive_token_is_said_to_be_so_with_a_signature(world: World) {
    let elsewhere = world.agent("support").exchanges(&world.alice()).at(crate::world::story::STATS);
    let elsewhere = elsewhere.scope("stats:read").token().await;
    for token in ["x", &elsewhere, &world.alice()] {
        let answer = asked(&world, token, SIGNED).await;
        assert_eq!(claims(&answer.text)["token_introspection"], json!({ "active": false }));
    }
}

async fn in8_only_who_asks_by_name_gets_a_signed_answer(world: World) {
    let token = ticket(&world).await;
    for (accept, signed) in [
        ("", false),
        ("*/*", false),
        ("application/*", false),
        ("application/json", false),
        ("application/jwt", false),
        ("application/token-introspection+jwt;q=0", false),
        ("application/json, application/token-introspection+jwt;q=0.9", false),
        ("application/token-introspection+jwt;q=x", false),
        ("application/json;q=0.9, application/token-introspection+jwt", true),
        ("Application/Token-Introspection+JWT, */*;q=0.1", true),
    ] {
        let answer = asked(&world, &token, accept).await;
        assert_eq!(answer.header("content-type") == SIGNED, signed, "{accept}");
        assert_eq!(answer.json["active"] == true, !signed, "{accept}");
    }
}

async fn in8_the_asker_s_algorithm_is_used(world: World) {
    let token = ticket(&world).await;
    for alg in ["RS256", "Ed25519"] {
        crate::keys::choose(&world, alg).await;
        world.change("client", "cl_tickets", "introspection_signed_response_alg", json!(alg)).await;
        let answer = asked(&world, &token, SIGNED).await;
        assert_eq!(header(&answer.text)["alg"], alg);
    }
    let listed = world.get("/.well-known/oauth-authorization-server/oauth2").await.json;
    let all = json!(["ES256", "RS256", "Ed25519"]);
    assert_eq!(listed["introspection_signing_alg_values_supported"], all);
}

async fn in8_a_refused_asker_gets_plain_json(world: World) {
    let question = world.agent("tickets").introspects("x").header("accept", SIGNED);
    question.clone().basic(None).send().await.is_refused("invalid_client");
    question.without("token").send().await.is_refused("invalid_request");
}

async fn in9_a_signed_answer_is_no_token(world: World) {
    let token = ticket(&world).await;
    let answer = asked(&world, &token, SIGNED).await.text;
    assert!(!world.server("tickets").accepts(&answer).await);
    let presented = world.agent("support").exchanges(&answer).at(TICKETS).scope("tickets:read");
    presented.send().await.is_refused("invalid_request");
    let taken_over = world.agent("support").takes_over(&answer).at(TICKETS);
    taken_over.scope("tickets:read").send().await.is_refused("invalid_request");
}
