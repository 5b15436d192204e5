//! Client authentication at every endpoint that wants it: one registered method, one answer for
//! every wrong client.

use crate::world::{World, on_both, story::TICKETS};

on_both! {
    i8_every_wrong_client_gets_one_answer
    te4_two_methods_or_two_clients_are_invalid_request
    te4_the_registered_method_and_no_other
    a_disabled_client_is_nobody
    a_flood_of_wrong_secrets_locks_nobody_out
}

async fn i8_every_wrong_client_gets_one_answer(world: World) {
    let good = world.agent("support").posts("token");
    let billing = world.secret(&deputy::base::id::ClientId::parse("cl_billing").unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for (id, secret) in [
        ("cl_support", "wrong"),
        ("cl_support", ""),
        ("cl_support", billing.expose()),
        ("cl_nobody", "wrong"),
        ("CL_SUPPORT", "wrong"),
        ("cl_support' OR 1=1--", "wrong"),
        ("", ""),
    ] {
        for endpoint in ["token", "introspect", "revoke"] {
            let request = world.agent("support").posts(endpoint).basic(Some((id, secret)));
            let answer = request.field("token", "x").send().await;
            answer.is_refused("invalid_client");
            assert_eq!(
                answer.header("www-authenticate"),
                r#"Basic realm="deputy", charset="UTF-8""#
            );
            seen.insert(answer.json["error_description"].to_string());
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    let proved = good.field("grant_type", "client_credentials").send().await;
    assert_eq!(proved.status, 200);
}

async fn te4_two_methods_or_two_clients_are_invalid_request(world: World) {
    let asks = world.agent("support").asks_for_itself();
    let two = asks.clone().field("client_id", "cl_support").field("client_secret", "x");
    two.send().await.is_refused("invalid_request");
    let asserted = asks.clone().field("client_assertion", "x");
    asserted.send().await.is_refused("invalid_request");
    let other = asks.clone().field("client_id", "cl_billing");
    other.send().await.is_refused("invalid_request");
    let same = asks.field("client_id", "cl_support");
    assert_eq!(same.send().await.status, 200, "its own client_id contradicts nothing");
}

async fn te4_the_registered_method_and_no_other(world: World) {
    let id = deputy::base::id::ClientId::parse("cl_support").unwrap();
    let secret = world.secret(&id);
    let in_body = world.agent("support").asks_for_itself().basic(None);
    let in_body = in_body.field("client_id", "cl_support").field("client_secret", secret.expose());
    let answer = in_body.clone().send().await;
    answer.is_refused("invalid_client");
    assert_eq!(answer.header("www-authenticate"), "", "it did not use Authorization");
    let method = serde_json::json!("client_secret_post");
    world.change("client", "cl_support", "token_endpoint_auth_method", method).await;
    assert_eq!(in_body.send().await.status, 200);
    world.agent("support").asks_for_itself().send().await.is_refused("invalid_client");
}

async fn a_disabled_client_is_nobody(world: World) {
    let asks = world.agent("support").asks_for_itself();
    assert_eq!(asks.clone().send().await.status, 200, "its secret is remembered");
    world.change("client", "cl_support", "enabled", serde_json::json!(false)).await;
    asks.send().await.is_refused("invalid_client");
}

async fn a_flood_of_wrong_secrets_locks_nobody_out(world: World) {
    for _ in 0..50 {
        let wrong = world.agent("support").asks_for_itself().basic(Some(("cl_support", "wrong")));
        wrong.send().await.is_refused("invalid_client");
    }
    let good = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    assert_eq!(good.scope("tickets:read").send().await.status, 200);
}
