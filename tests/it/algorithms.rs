//! Which signatures of trusted issuers count: every algorithm that may be registered, made by
//! another implementation; and that key, issuer and algorithm belong together.

use josekit::{
    jwk::{
        Jwk,
        alg::{ec::EcCurve, ed::EdCurve},
    },
    jws::{self, ES256, ES384, EdDSA, JwsHeader, JwsSigner, PS256, RS256, RS384, RS512},
};
use serde_json::{Value, json};

use crate::world::{World, on_both, story::TICKETS, wire::payload};

on_both! {
    jw1_every_algorithm_that_may_be_registered_is_verified
    jw1_a_key_is_used_with_its_own_algorithm_only
}

/// The algorithms that an issuer may be registered for.
const NAMES: [&str; 8] = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];

fn key(name: &str) -> Jwk {
    let mut key = match name {
        "ES256" => Jwk::generate_ec_key(EcCurve::P256),
        "ES384" => Jwk::generate_ec_key(EcCurve::P384),
        "EdDSA" | "Ed25519" => Jwk::generate_ed_key(EdCurve::Ed25519),
        _ => Jwk::generate_rsa_key(2048),
    }
    .unwrap();
    key.set_key_id("theirs");
    key
}

fn signer(name: &str, key: &Jwk) -> Box<dyn JwsSigner> {
    match name {
        "RS256" => Box::new(RS256.signer_from_jwk(key).unwrap()),
        "RS384" => Box::new(RS384.signer_from_jwk(key).unwrap()),
        "RS512" => Box::new(RS512.signer_from_jwk(key).unwrap()),
        "PS256" => Box::new(PS256.signer_from_jwk(key).unwrap()),
        "ES256" => Box::new(ES256.signer_from_jwk(key).unwrap()),
        "ES384" => Box::new(ES384.signer_from_jwk(key).unwrap()),
        _ => Box::new(EdDSA.signer_from_jwk(key).unwrap()),
    }
}

/// The public half, published as a key for this algorithm.
fn published(key: &Jwk, name: &str) -> Value {
    let mut public = key.to_public_key().unwrap();
    public.set_algorithm(name);
    public.set_key_id("theirs");
    serde_json::from_str(&public.to_string()).unwrap()
}

/// Alice's access token, signed by another implementation.
fn token(world: &World, signer: &dyn JwsSigner) -> String {
    let payload = payload(&world.alice());
    let mut header = JwsHeader::new();
    header.set_token_type("at+jwt");
    header.set_key_id("theirs");
    jws::serialize_compact(payload.as_bytes(), &header, signer).unwrap()
}

/// Registers the people's issuer anew: these algorithms, this key.
async fn trust(world: &World, algorithms: &[&str], key: Value) {
    world.change("issuer", "corp", "algorithms", json!(algorithms)).await;
    world.change("issuer", "corp", "keys", json!({ "jwks": { "keys": [key] } })).await;
}

async fn is_accepted(world: &World, token: &str) -> bool {
    let exchange = world.agent("support").exchanges(token).at(TICKETS).scope("tickets:read");
    let answer = exchange.send().await;
    if answer.status != 200 {
        answer.is_refused("invalid_request");
    }
    answer.status == 200
}

async fn jw1_every_algorithm_that_may_be_registered_is_verified(world: World) {
    for name in NAMES {
        let key = key(name);
        let token = token(&world, &*signer(name, &key));
        trust(&world, &[name], published(&key, name)).await;
        assert!(is_accepted(&world, &token).await, "{name}");
        let others: Vec<&str> =
            NAMES.into_iter().filter(|other| !same_algorithm(other, name)).collect();
        trust(&world, &others, published(&key, name)).await;
        assert!(!is_accepted(&world, &token).await, "{name} is not registered");
    }
}

/// `EdDSA` and `Ed25519` are two names of one algorithm (RFC 9864).
fn same_algorithm(one: &str, other: &str) -> bool {
    one == other || (one.starts_with("Ed") && other.starts_with("Ed"))
}

async fn jw1_a_key_is_used_with_its_own_algorithm_only(world: World) {
    let key = key("RS256");
    let all = ["RS256", "RS384", "RS512", "PS256"];
    for published_as in all {
        trust(&world, &all, published(&key, published_as)).await;
        for signed_with in all {
            let token = token(&world, &*signer(signed_with, &key));
            let accepted = is_accepted(&world, &token).await;
            assert_eq!(accepted, signed_with == published_as, "{published_as}: {signed_with}");
        }
    }
}
