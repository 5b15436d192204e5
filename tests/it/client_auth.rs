//! Client authentication at every endpoint that wants it: one registered method, one answer for
//! every wrong client.

use deputy::{
    base::{
        id::{ClientId, CredentialId},
        random::Random,
        secret::Secret,
    },
    engine::authenticate::new_secret,
};
use serde_json::json;

use crate::world::{
    World, on_both,
    story::{TICKETS, cheap_hash},
    wire,
};

on_both! {
    i8_every_wrong_client_gets_one_answer
    te4_two_methods_or_two_clients_are_invalid_request
    te4_the_registered_method_and_no_other
    a_disabled_client_is_nobody
    a_flood_of_wrong_secrets_locks_nobody_out
    i8_unknown_and_wrong_differ_in_nothing
    te4_basic_is_read_raw_and_form_encoded
    te4_what_is_no_basic_is_a_wrong_client
    te9_credentials_never_stand_in_the_query
    two_secrets_live_side_by_side_and_one_expires
    guesses_with_a_good_tag_are_throttled_and_a_known_client_is_not
}

async fn i8_every_wrong_client_gets_one_answer(world: World) {
    let good = world.agent("support").posts("token");
    let billing = world.secret(&ClientId::parse("cl_billing").unwrap());
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
    let id = ClientId::parse("cl_support").unwrap();
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

/// A form that asks for an agent's own token, with this `Authorization`.
async fn authorized(world: &World, authorization: &str) -> reqwest::Response {
    let asked = wire::client().post(format!("{}/oauth2/token", world.url));
    let asked = asked.header("authorization", authorization);
    let asked = asked.header("content-type", "application/x-www-form-urlencoded");
    asked.body("grant_type=client_credentials").send().await.unwrap()
}

fn support() -> ClientId {
    ClientId::parse("cl_support").unwrap()
}

async fn i8_unknown_and_wrong_differ_in_nothing(world: World) {
    let mut texts = std::collections::BTreeSet::new();
    for id in ["cl_support", "cl_nobody"] {
        for in_body in [true, false] {
            let asked = world.agent("support").asks_for_itself().basic(None);
            let answer = if in_body {
                asked.field("client_id", id).field("client_secret", "ds_wrong").send().await
            } else {
                asked.basic(Some((id, "ds_wrong"))).send().await
            };
            answer.is_refused("invalid_client");
            let challenged = !answer.header("www-authenticate").is_empty();
            assert_eq!(challenged, !in_body, "TE-4: only who used Authorization");
            let error_id = answer.json["error_id"].as_str().unwrap();
            texts.insert(answer.text.replace(error_id, "-"));
        }
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
}

async fn te4_basic_is_read_raw_and_form_encoded(world: World) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let secret = world.secret(&support());
    let everything = |text: &str| {
        let escaped: Vec<String> = text.bytes().map(|b| format!("%{b:02x}")).collect();
        escaped.concat()
    };
    for (id, secret) in [
        ("cl_support".to_owned(), secret.expose().clone()),
        ("cl%5Fsupport".to_owned(), secret.expose().replace('_', "%5F").replace('-', "%2D")),
        (everything("cl_support"), everything(secret.expose())),
    ] {
        let credentials = STANDARD.encode(format!("{id}:{secret}"));
        for scheme in ["Basic", "basic", "BASIC"] {
            let answer = authorized(&world, &format!("{scheme} {credentials}")).await;
            assert_eq!(answer.status(), 200, "{id}");
        }
    }
}

async fn te4_what_is_no_basic_is_a_wrong_client(world: World) {
    let secret = world.secret(&support());
    for authorization in [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !!!".to_owned(),
        "Basic Y2xfc3VwcG9ydA==".to_owned(),
        "Basic /////w==".to_owned(),
        format!("Bearer {}", secret.expose()),
        "Digest username=\"cl_support\"".to_owned(),
        "Negotiate abc".to_owned(),
    ] {
        let answer = authorized(&world, &authorization).await;
        assert_eq!(answer.status(), 401, "{authorization}");
        assert!(answer.headers().contains_key("www-authenticate"), "{authorization}");
        assert!(answer.text().await.unwrap().contains("\"invalid_client\""));
    }
}

async fn te9_credentials_never_stand_in_the_query(world: World) {
    let secret = world.secret(&support());
    let query = format!("token?client_id=cl_support&client_secret={}", secret.expose());
    for endpoint in [query.as_str(), "token?client_id=cl_support", "introspect?x=1", "revoke?x"] {
        let asked = world.agent("support").posts(endpoint).basic(None);
        let answer = asked.field("grant_type", "client_credentials").send().await;
        answer.is_refused("invalid_request");
        assert!(!answer.text.contains("ds_"), "no secret comes back");
    }
}

/// A further secret of the support agent, with its stored hash.
async fn another_secret(world: &World, random: u8, expires: Option<i64>) -> Secret<String> {
    let tag = &world.deputy.snapshot().config.macs.secret_tag;
    let secret = new_secret(tag, &support(), &[random; 32]);
    let id = CredentialId::from_bytes(Random::system().bytes().unwrap()).to_string();
    let mut document = json!({
        "client_id": "cl_support", "id": id, "hash": cheap_hash(&secret),
        "created": world.deputy.now().epoch_s(),
    });
    if let Some(expires) = expires {
        document["expires"] = json!(expires);
    }
    world.put(&[("credential", &id, document)]).await;
    secret
}

async fn two_secrets_live_side_by_side_and_one_expires(world: World) {
    let ends = world.deputy.now().epoch_s() + 100;
    let second = another_secret(&world, 9, Some(ends)).await;
    let with_second = world.agent("support").asks_for_itself();
    let with_second = with_second.basic(Some(("cl_support", second.expose())));
    assert_eq!(world.agent("support").asks_for_itself().send().await.status, 200);
    assert_eq!(with_second.clone().send().await.status, 200);
    world.advance(99).await;
    assert_eq!(with_second.clone().send().await.status, 200);
    world.advance(1).await;
    with_second.send().await.is_refused("invalid_client");
    assert_eq!(world.agent("support").asks_for_itself().send().await.status, 200);
}

async fn guesses_with_a_good_tag_are_throttled_and_a_known_client_is_not(world: World) {
    let asks = world.agent("support").asks_for_itself();
    assert_eq!(asks.clone().send().await.status, 200, "now it is remembered");
    let tag = &world.deputy.snapshot().config.macs.secret_tag;
    let guess = |guess: u8| {
        let guess = new_secret(tag, &support(), &[guess; 32]);
        asks.clone().basic(Some(("cl_support", guess.expose()))).send()
    };
    guess(20).await.is_refused("invalid_client");
    for next in 21..26 {
        guess(next).await.is_refused("slow_down");
    }
    guess(20).await.is_refused("invalid_client");
    assert_eq!(asks.clone().send().await.status, 200, "whoever is remembered goes on");
    let fresh = world.agent("billing").asks_for_itself();
    let told = fresh.clone().send().await;
    told.is_refused("slow_down");
    assert_eq!(told.header("retry-after"), "1", "it is not told that its secret is wrong");
    world.advance(1).await;
    assert_eq!(fresh.send().await.status, 200, "a second later the source may try again");
}
