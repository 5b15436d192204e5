//! Our signing keys change while tokens live.

use std::collections::BTreeSet;

use deputy::{
    base::{id::OperatorName, secret::Fingerprint, time::Seconds},
    registry::operator::{Operator, Role},
    service::{
        Deputy,
        admin::{Expected, KeyState, Kind, Sent, Whole},
    },
};
use josekit::{jwk::Jwk, jws};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{
    Instance, ROTATES_AFTER_S, World, on_both,
    story::{BILLING, REFUNDS, TICKETS},
    wire::{Answer, client, header, payload},
};

on_both! {
    jw9_keys_of_all_algorithms_rotate_together
    at1_a_resource_chooses_what_its_tokens_are_signed_with
    at1_what_only_we_read_is_signed_as_ever
    jw9_a_rotation_fails_no_honest_request
    jw9_keys_rotate_by_schedule
    a_retired_key_is_worth_nothing_nor_is_what_grew_from_it
}

fn operator() -> Operator {
    let name = OperatorName::parse("test").unwrap();
    Operator { name, token_hash: Fingerprint::of(b"x"), role: Role::Admin, enabled: true }
}

async fn published(world: &World) -> usize {
    world.get("/oauth2/jwks").await.json["keys"].as_array().unwrap().len()
}

async fn ticket(world: &World) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").token().await
}

async fn jw9_a_rotation_fails_no_honest_request(world: World) {
    let old = ticket(&world).await;
    world.deputy.rotate_signing_key(&operator()).await.unwrap();
    assert_eq!(published(&world).await, 2);
    assert!(world.deputy.rotate_signing_key(&operator()).await.is_err(), "one at a time");
    assert!(world.server("tickets").accepts(&old).await);
    assert_eq!(header(&ticket(&world).await)["kid"], header(&old)["kid"], "published, not signing");

    world.advance(599).await;
    let last = ticket(&world).await;
    world.advance(1).await;
    let new = ticket(&world).await;
    assert_eq!(header(&last)["kid"], header(&old)["kid"]);
    assert_ne!(header(&new)["kid"], header(&old)["kid"]);
    assert!(world.server("tickets").accepts(&last).await);
    assert!(world.server("tickets").accepts(&new).await);

    world.advance(960).await;
    assert_eq!(published(&world).await, 1, "the old key left when its last token was dead");
    let world = world.restart().await;
    assert_eq!(published(&world).await, 1);
    assert_eq!(header(&ticket(&world).await)["kid"], header(&new)["kid"]);
}

/// An operator says what the ticket server's tokens are signed with.
pub async fn choose(world: &World, alg: &str) {
    let stored = world.deputy.document(Kind::Resource, "tickets").await.unwrap();
    let mut document: Value = serde_json::from_str(&stored.body.to_json()).unwrap();
    document["token_signing_alg"] = json!(alg);
    let body = document.to_string();
    let sent = Sent {
        id: "tickets".to_owned(),
        names: &[],
        body: body.as_bytes(),
        expected: Expected::Any,
    };
    world.deputy.replace(&operator(), Whole::Resource, sent).await.unwrap();
}

async fn key_of(world: &World, token: &str) -> Value {
    let set = world.get("/oauth2/jwks").await.json;
    let kid = header(token)["kid"].clone();
    let keys = set["keys"].as_array().unwrap();
    keys.iter().find(|key| key["kid"] == kid).unwrap().clone()
}

/// Verifies a token as another implementation does. It knows Ed25519 by its older name only.
fn verify_elsewhere(token: &str, key: &Value) {
    let alg = key["alg"].as_str().unwrap().replace("Ed25519", "EdDSA");
    let mut key = key.clone();
    key["alg"] = json!(alg);
    let key = Jwk::from_bytes(key.to_string()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature);
    let verifier: Box<dyn jws::JwsVerifier> = match alg.as_str() {
        "RS256" => Box::new(jws::RS256.verifier_from_jwk(&key).unwrap()),
        "ES256" => Box::new(jws::ES256.verifier_from_jwk(&key).unwrap()),
        _ => Box::new(jws::EdDSA.verifier_from_jwk(&key).unwrap()),
    };
    verifier.verify(signed.as_bytes(), &signature.unwrap()).unwrap();
}

async fn at1_a_resource_chooses_what_its_tokens_are_signed_with(world: World) {
    for (alg, keys) in [("ES256", 1), ("RS256", 2), ("Ed25519", 3), ("RS256", 3)] {
        choose(&world, alg).await;
        assert_eq!(published(&world).await, keys, "a key is made when it is first needed");
        let token = ticket(&world).await;
        let key = key_of(&world, &token).await;
        assert_eq!((&header(&token)["alg"], &key["alg"]), (&json!(alg), &json!(alg)));
        verify_elsewhere(&token, &key);
        assert!(world.server("tickets").accepts(&token).await, "{alg}");
    }
    let event = &world.events().await;
    let made = event.iter().filter(|e| e.detail.iter().any(|(name, _)| &**name == "kid"));
    assert_eq!(made.count(), 2, "a new key is on record");
    let world = world.restart().await;
    assert_eq!(header(&ticket(&world).await)["alg"], "RS256");
}

async fn at1_what_only_we_read_is_signed_as_ever(world: World) {
    choose(&world, "RS256").await;
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).token().await;
    assert_eq!(header(&hand_over)["alg"], "ES256");
    let own = world.agent("support").asks_for_itself().token().await;
    assert_eq!(header(&own)["alg"], "ES256");
    assert!(payload(&own).contains("cl_support"));
}

async fn jw9_keys_of_all_algorithms_rotate_together(world: World) {
    choose(&world, "Ed25519").await;
    let old = ticket(&world).await;
    world.deputy.rotate_signing_key(&operator()).await.unwrap();
    let states = || {
        let keys = world.deputy.signing_keys();
        let mut states: Vec<_> = keys.iter().map(|k| (k.alg, k.state)).collect();
        states.sort_by_key(|(alg, state)| (*alg, state.as_str()));
        states
    };
    let (current, next) = (KeyState::Current, KeyState::Next);
    let (es256, ed25519) = ("ES256", "Ed25519");
    let waiting = [(es256, current), (es256, next), (ed25519, current), (ed25519, next)];
    assert_eq!(states(), waiting);
    world.advance(600).await;
    let retiring = KeyState::Retiring;
    let replaced = [(es256, current), (es256, retiring), (ed25519, current), (ed25519, retiring)];
    assert_eq!(states(), replaced);
    let new = ticket(&world).await;
    assert_eq!(header(&new)["alg"], "Ed25519");
    assert_ne!(header(&new)["kid"], header(&old)["kid"]);
    assert!(world.server("tickets").accepts(&new).await);
    world.advance(960).await;
    assert_eq!(states(), [(es256, current), (ed25519, current)]);
}

/// The beat looks once a minute.
async fn jw9_keys_rotate_by_schedule(world: World) {
    let old = header(&ticket(&world).await)["kid"].clone();
    world.advance(ROTATES_AFTER_S - 60).await;
    assert_eq!(published(&world).await, 1);
    world.advance(60).await;
    assert_eq!(published(&world).await, 2, "its time is over");
    assert_eq!(header(&ticket(&world).await)["kid"], old, "published, not signing");
    world.advance(60).await;
    assert_eq!(published(&world).await, 2, "the next one waits");
    world.advance(540).await;
    assert_ne!(header(&ticket(&world).await)["kid"], old);
    let event = world.events().await.into_iter().find(|event| *event.reason == *"key.rotated");
    let by = event.unwrap().detail.into_iter().find(|(name, _)| **name == *"by");
    assert_eq!(by.unwrap().1, "schedule");
    // Turn after turn; what no longer verifies is destroyed.
    world.advance(ROTATES_AFTER_S).await;
    world.advance(600).await;
    let documents = world.deputy.store().documents().await.unwrap();
    let keys = documents.iter().filter(|document| document.kind == "signing_key");
    let (sealed, empty): (Vec<_>, Vec<_>) = keys.partition(|key| key.body.contains("sealed"));
    assert_eq!((sealed.len(), empty.len()), (2, 1));
    assert_eq!(empty[0].id, old.as_str().unwrap());
}

async fn a_retired_key_is_worth_nothing_nor_is_what_grew_from_it(world: World) {
    world.deputy.rotate_signing_key(&operator()).await.unwrap();
    world.advance(599).await;
    let alice = world.alice();
    let hand_over = world.agent("support").exchanges(&alice).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).token().await;
    world.advance(1).await;
    // Signed by the next key, and grown from what the first one signed.
    let child = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    let sibling = ticket(&world).await;
    let (first, next) = (header(&hand_over)["kid"].clone(), header(&child)["kid"].clone());
    assert_ne!(first, next);
    assert!(world.server("refunds").accepts(&child).await);

    let first = first.as_str().unwrap();
    let auditor = world.auditor().await;
    let path = format!("/keys/{first}/retire");
    assert_eq!(auditor.sends(Method::POST, &path, None).await.status, 403);
    let missing = world.operator().sends(Method::POST, "/keys/nobody/retire", None).await;
    assert_eq!(missing.status, 404);
    let preview = json!({ "everything": true });
    let radius = world.operator().post("/revocations/preview", preview).await;
    assert_eq!(radius.json["counts"]["delegations"], 3, "{radius:?}");

    let retired = world.operator().sends(Method::POST, &path, None).await;
    assert_eq!(retired.status, 200, "{retired:?}");
    assert_eq!(retired.json["items"].as_array().unwrap().len(), 1);
    for (server, token) in [("refunds", &child), ("tickets", &sibling)] {
        assert!(!world.server(server).accepts(token).await);
    }
    let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS).send().await;
    again.is_refused("invalid_request");
    // Nobody need log in again, and the key that signed meanwhile goes on.
    world.advance(1).await;
    let exchange = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let new = exchange.token().await;
    assert_eq!(header(&new)["kid"], next);
    assert!(world.server("tickets").accepts(&new).await);

    // The last key of its algorithm: another signs at once. Asked twice, it ends everything twice.
    let next = next.as_str().unwrap();
    for _ in 0..2 {
        let path = format!("/keys/{next}/retire");
        assert_eq!(world.operator().sends(Method::POST, &path, None).await.status, 200);
    }
    assert!(!world.server("tickets").accepts(&new).await);
    assert_ne!(header(&ticket(&world).await)["kid"], next);
    assert_eq!(published(&world).await, 1);
    let world = world.restart().await;
    assert_eq!(published(&world).await, 1);
    let report = world.operator().get("/audit/verify").await;
    assert_eq!(report.json["ok"], true, "what a retired key signed of the log is still proved");
}

/// Twenty-five minutes in which every instance signs every minute, every other one and an offline
/// verifier take what it signed, and the keys are replaced twice, each time by another instance. The
/// clocks differ by as much as they may.
#[tokio::test]
async fn jw9_keys_rotate_at_three_instances_without_one_failed_verification() {
    let world = World::on_postgres().await;
    let ahead = world.newcomer().await;
    world.advance(30).await;
    let behind = world.newcomer().await;
    ahead.deputy().clock().advance(Seconds::new(60));
    let instances = [(&world.deputy, &*world.url), at(&ahead), at(&behind)];
    let mut rotations = instances.iter().rev();
    let mut signers = BTreeSet::new();
    let mut offline = (0, Value::Null);
    for minute in 0..25 {
        if minute == 1 || minute == 13 {
            let (deputy, _) = rotations.next().unwrap();
            deputy.rotate_signing_key(&operator()).await.unwrap();
        }
        for (deputy, _) in instances {
            deputy.clock().advance(Seconds::new(60));
            deputy.tick(deputy.now()).await.unwrap();
        }
        // As long as the set may be kept.
        if minute % 5 == 0 {
            let (_, url) = instances[minute / 5 % 3];
            let asked = Answer::of(client().get(format!("{url}/oauth2/jwks"))).await;
            offline = (minute, asked.json);
        }
        let ticket = async |url: &str| {
            let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
            exchange.scope("tickets:read").of_instance(url).token().await
        };
        let [(_, one), (_, two), (_, three)] = instances;
        let (one, two, three) = tokio::join!(ticket(one), ticket(two), ticket(three));
        for token in [one, two, three] {
            let kid = header(&token)["kid"].clone();
            let keys = offline.1["keys"].as_array().unwrap();
            let key = keys.iter().find(|key| key["kid"] == kid);
            verify_elsewhere(&token, key.unwrap_or_else(|| panic!("{minute}: {offline:?}")));
            for (_, url) in instances {
                let seen = world.agent("tickets").introspects(&token).field("resource", TICKETS);
                let seen = seen.of_instance(url).send().await;
                assert_eq!(seen.json["active"], true, "minute {minute}: {seen:?}");
            }
            signers.insert(kid.as_str().unwrap().to_owned());
        }
    }
    assert_eq!(signers.len(), 3);
    ahead.stop().await;
    behind.stop().await;
}

fn at(instance: &Instance) -> (&Deputy, &str) {
    (instance.deputy(), instance.url())
}
