//! Clients that prove themselves with a key: `private_key_jwt` at the real program.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use deputy_client::{
    agent::{Agent, Subject, Want},
    authority::Tools,
    credentials::Credentials,
    deputy::Deputy,
    error::{ExchangeError, SetupError},
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World};

fn pem(pkcs8: &[u8]) -> String {
    let body = STANDARD.encode(pkcs8);
    let (first, rest) = body.split_at(64);
    format!("-----BEGIN PRIVATE KEY-----\n{first}\n{rest}\n-----END PRIVATE KEY-----\n")
}

/// A private key, and its public half.
fn es256() -> (String, Value) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let [x, y] = [x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "k1", "alg": "ES256" });
    (pem(pkcs8.as_ref()), jwk)
}

fn eddsa() -> (String, Value) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1", "alg": "EdDSA" });
    (pem(pkcs8.as_ref()), jwk)
}

#[tokio::test]
async fn an_agent_and_a_server_prove_themselves_with_a_key() {
    let world = World::new().await;
    let (issuer, url) = (world.deputy.issuer(), world.tickets.url.clone());
    let tools = || Tools::new().tool("tickets.get", []);
    for (name, make) in [("es256", es256 as fn() -> (String, Value)), ("eddsa", eddsa)] {
        let ((mine, jwk), (another, _)) = (make(), make());
        let (id, uri) = world.keyed(name, jwk).await;
        let by = |pem: &str| Credentials::private_key(&id, pem, "k1").unwrap();
        let agent = |pem: &str| Agent::new(&issuer, by(pem)).unwrap().with_timeout(PATIENCE);
        let (support, alice) = (world.support(), world.person("alice"));
        let passed = support.hand_over(&uri, &alice, [(url.as_str(), tools())]).await.unwrap();
        let handed = Subject::hand_over(passed.expose());
        let want = Want::tools(&url, &tools());
        let refused = agent(&another).token(&handed, &want).await.unwrap_err();
        let ExchangeError::Refused(refused) = refused else { panic!("{refused}") };
        assert_eq!(refused.error, "invalid_client");
        let token = agent(&mine).token(&handed, &want).await.unwrap();

        let server =
            |pem: &str| Deputy::new(&issuer, by(pem), &url).unwrap().with_timeout(PATIENCE);
        let asks = server(&mine);
        for _ in 0..2 {
            // An assertion works once: each question has one of its own. The token is for another.
            assert!(asks.introspect(token.expose()).await.unwrap().is_none());
        }
        let unknown = server(&another).introspect(token.expose()).await.unwrap_err();
        assert!(unknown.to_string().contains("registered key"), "{unknown}");
    }
}

#[test]
fn what_is_no_key_of_ours_is_refused_when_the_program_starts() {
    let (whole, _) = es256();
    let empty = "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----";
    for bad in
        ["", "key", &whole.replace("-----END", ""), &whole.replace("PRIVATE", "PUBLIC"), empty]
    {
        let refused = Credentials::private_key("cl_x", bad, "k1").unwrap_err();
        assert_eq!(refused, SetupError::PrivateKey, "{bad}");
    }
    let printed = format!("{:?}", Credentials::private_key("cl_x", &whole, "k1").unwrap());
    assert_eq!(printed, r#"Credentials { client_id: "cl_x", proof: Key(PrivateKey(k1)) }"#);
}
