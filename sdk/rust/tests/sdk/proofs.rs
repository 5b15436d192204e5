//! Tokens that are bound to a key: the gate sends the proof along, and Deputy checks it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;
use serde_json::json;

use crate::{
    requests::{MODERN, call, challenge, json_of, message, send},
    servers::TICKET,
    world::{Key, World, since_epoch},
};

/// Somebody who holds a key and makes proofs with it (RFC 9449 section 4.2).
struct Holder(Key);

impl Holder {
    fn proof(&self, uri: &str, more: &[(&str, &str)]) -> String {
        let now = since_epoch();
        let mut claims = json!({
            "jti": format!("{}", now.as_nanos()), "htm": "POST", "htu": uri, "iat": now.as_secs(),
        });
        for (name, value) in more {
            claims[*name] = json!(value);
        }
        let mut jwk = self.0.jwk();
        jwk.as_object_mut().unwrap().retain(|name, _| ["kty", "crv", "x", "y"].contains(&&**name));
        self.0.compact(&json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }), &claims)
    }

    fn of(&self, uri: &str, token: &str) -> String {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        self.proof(uri, &[("ath", &URL_SAFE_NO_PAD.encode(hash))])
    }

    /// A token for tickets that is bound to the key.
    async fn token(&self, world: &World) -> String {
        let want = [
            ("grant_type", "client_credentials"),
            ("resource", &*world.tickets.url),
            ("scope", "tickets:read"),
        ];
        let form = reqwest::Url::parse_with_params("http://form.invalid", want).unwrap();
        let endpoint = format!("{}/token", world.deputy.issuer());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut nonce = String::new();
        for _ in 0..2 {
            let answer = http
                .post(&endpoint)
                .basic_auth(&world.support.0, Some(&world.support.1))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("dpop", self.proof(&endpoint, &[("nonce", &nonce)]))
                .body(form.query().unwrap().to_owned())
                .send()
                .await
                .unwrap();
            nonce = answer.headers()["dpop-nonce"].to_str().unwrap().to_owned();
            if answer.status() == 200 {
                let issued = json_of(answer).await;
                assert_eq!(issued["token_type"], "DPoP");
                return issued["access_token"].as_str().unwrap().to_owned();
            }
        }
        panic!("no bound token");
    }
}

#[tokio::test]
async fn a_proof_is_checked_for_the_call_it_came_with() {
    let world = World::new().await;
    let (url, holder) = (&world.tickets.url, Holder(Key::new()));
    let token = holder.token(&world).await;
    let body = call("tickets.get", json!({ "id": 1 })).to_string();
    let ask = |scheme: &'static str, body: String, proof: Option<String>| {
        let (url, credentials) = (url.clone(), format!("{scheme} {token}"));
        async move {
            let mut headers = vec![("authorization", credentials.as_str())];
            headers.extend(proof.as_deref().map(|proof| ("dpop", proof)));
            headers.push(("mcp-protocol-version", MODERN));
            headers.push((
                "mcp-method",
                if body.contains("list") { "tools/list" } else { "tools/call" },
            ));
            if body.contains("tickets.get") {
                headers.push(("mcp-name", "tickets.get"));
            }
            send(&url, body.clone(), &headers).await
        }
    };
    let proof = holder.of(url, &token);
    let answer = ask("DPoP", body.clone(), Some(proof.clone())).await;
    assert!(answer.text().await.unwrap().contains("Order A-17"), "{TICKET}");
    assert_eq!(world.tickets.ran().len(), 1);
    let bad = [
        proof,
        Holder(Key::new()).of(url, &token),
        holder.of(url, "another token"),
        holder.of(&world.refunds.url, &token),
        holder.proof(url, &[]),
        "x".to_owned(),
    ];
    for proof in bad {
        let answer = ask("DPoP", body.clone(), Some(proof)).await;
        assert_eq!(answer.status(), 401);
        assert!(challenge(&answer).starts_with("DPoP error="));
    }
    let list = message("tools/list", json!({})).to_string();
    for body in [body, list.clone()] {
        let answer = ask("Bearer", body.clone(), None).await;
        assert_eq!(answer.status(), 401, "a bound token is no bearer token");
        assert!(challenge(&answer).starts_with("DPoP error="));
        assert_eq!(ask("DPoP", body, None).await.status(), 401);
    }
    let listed = ask("DPoP", list, Some(holder.of(url, &token))).await;
    assert!(listed.text().await.unwrap().contains("tickets.get"));
    assert_eq!(world.tickets.ran(), vec![]);
}
