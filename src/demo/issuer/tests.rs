use super::*;
use crate::base::time::Timestamp;

fn now() -> Timestamp {
    Timestamp::from_epoch_s(1_800_000_000).unwrap()
}

/// The two JSON parts of a token.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut read = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (read(), read())
}

#[tokio::test]
async fn an_id_token_says_who_logged_in_when_and_for_whom() {
    let issuer = Issuer::start("idp").await.unwrap();
    let claims = Claims::new("alice", "deputy", now()).with("acr", "gold").without("name");
    let (header, payload) = parts(&issuer.id_token(claims).unwrap());
    assert_eq!(header["alg"], "ES256");
    assert_eq!(payload["iss"], issuer.url());
    assert_eq!(payload["sub"], "alice");
    assert_eq!(payload["groups"], json!(["staff", "support"]));
    assert_eq!(payload["acr"], "gold");
    assert_eq!(payload["exp"], 1_800_000_600);
    assert!(payload.get("name").is_none());
}

#[tokio::test]
async fn rfc9068_an_access_token_is_typed_and_complete() {
    let issuer = Issuer::start("idp").await.unwrap();
    let claims = Claims::new("svc", "deputy", now());
    let (header, payload) = parts(&issuer.access_token(claims, "cl_app", "read").unwrap());
    assert_eq!(header["typ"], "at+jwt");
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"] {
        assert!(payload.get(name).is_some(), "{name}");
    }
    assert!(payload.get("groups").is_none(), "nobody of that name is in the users table");
}

#[tokio::test]
async fn rotation_signs_with_the_new_key_and_keeps_the_old_published() {
    let issuer = Issuer::start("idp").await.unwrap();
    let new = issuer.rotate(Algorithm::Rs256).unwrap();
    assert_eq!(issuer.header("JWT"), json!({"typ": "JWT", "alg": "RS256", "kid": new}));
    assert_eq!(issuer.jwks()["keys"].as_array().unwrap().len(), 2);
    issuer.retire_old();
    assert_eq!(issuer.jwks()["keys"][0]["kid"], *new);
    assert!(issuer.jwks()["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
}
