//! Tokens that are bound to a key (RFC 9449): what a proof must say, what it binds, and that a
//! bound line stays bound.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{
    base::{random::Random, secret::Fingerprint},
    jose::{Algorithm, SigningKey},
};
use serde_json::{Map, Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::{BILLING, LEDGER, REFUNDS, TICKETS},
    wire::{Answer, Request, claims},
};

on_both! {
    dp1_a_proof_is_one_jwt_signed_by_the_public_key_in_its_header
    dp2_a_proof_is_for_this_request_as_configured
    dp3_a_proof_is_of_now_and_works_once
    dp3_a_proof_works_once_also_after_a_restart
    dp4_a_proof_binds_the_token
    dp4_a_client_that_must_be_bound_gets_no_bearer_token
    dp5_a_proof_is_made_with_our_nonce_always
    dp6_the_decision_needs_a_proof_where_we_check
    dp6_a_proof_that_is_sent_along_is_never_ignored
    dp6_of_two_calls_with_one_proof_one_may_run
    dp8_a_bound_token_is_narrowed_by_its_key_alone
    dp8_a_bound_line_stays_bound
    dp8_a_foreign_bound_token_is_proved
    dp8_a_bound_agent_token_is_proved
    dp11_no_proof_can_be_made_ahead_of_time
    no_bound_token_is_made_for_who_looks_at_no_key
}

const TOKEN_ENDPOINT: &str = "https://deputy.example/oauth2/token";

/// Somebody who holds a key.
struct Held(SigningKey);

impl Held {
    fn new() -> Held {
        Held(SigningKey::generate(Algorithm::Es256).unwrap())
    }

    fn jwk(&self) -> Value {
        let jwk: Value = serde_json::from_str(&self.0.public_jwk()).unwrap();
        json!({ "kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"] })
    }

    fn thumbprint(&self) -> String {
        self.0.verifying().thumbprint()
    }

    fn head(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() })
    }

    fn sign(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(head), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    /// A proof for the token endpoint, with `changes`; `null` leaves a claim out.
    fn says(&self, world: &World, changes: Value) -> String {
        let mut said = said(world, "POST", TOKEN_ENDPOINT);
        said.insert("nonce".to_owned(), json!(world.deputy.nonce()));
        change(&mut said, changes);
        self.sign(&self.head(), &Value::Object(said))
    }

    fn proof(&self, world: &World) -> String {
        self.says(world, json!({}))
    }

    /// A proof for a request to a server with this token.
    fn uses(&self, world: &World, token: &str, changes: Value) -> String {
        let mut said = said(world, "POST", TICKETS);
        let hash = URL_SAFE_NO_PAD.encode(Fingerprint::of(token.as_bytes()).as_bytes());
        said.insert("ath".to_owned(), json!(hash));
        change(&mut said, changes);
        self.sign(&self.head(), &Value::Object(said))
    }
}

fn said(world: &World, method: &str, uri: &str) -> Map<String, Value> {
    let id = URL_SAFE_NO_PAD.encode(Random::system().bytes::<16>().unwrap());
    let now = world.deputy.now().epoch_s();
    let said = json!({ "jti": id, "htm": method, "htu": uri, "iat": now });
    said.as_object().unwrap().clone()
}

fn change(claims: &mut Map<String, Value>, changes: Value) {
    for (name, value) in changes.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
        if value.is_null() {
            claims.remove(name);
        }
    }
}

async fn bound_servers(world: &World, dpop: &str) {
    for resource in ["tickets", "refunds", "ledger"] {
        world.change("resource", resource, "dpop", json!(dpop)).await;
    }
}

fn exchange<'a>(world: &'a World, proof: &str) -> Request<'a> {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").header("dpop", proof)
}

async fn accepts(world: &World, proof: &str) -> bool {
    let answer = exchange(world, proof).send().await;
    if answer.status != 200 {
        answer.is_refused("invalid_dpop_proof");
    }
    answer.status == 200
}

fn key_of(token: &str) -> Value {
    claims(token)["cnf"]["jkt"].clone()
}

async fn dp1_a_proof_is_one_jwt_signed_by_the_public_key_in_its_header(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    assert!(accepts(&world, &held.proof(&world)).await);
    let payload = |world: &World| {
        let mut said = said(world, "POST", TOKEN_ENDPOINT);
        said.insert("nonce".to_owned(), json!(world.deputy.nonce()));
        Value::Object(said)
    };
    let other = Held::new();
    let mut private = held.jwk();
    private["d"] = json!("AAAA");
    let oct = json!({ "kty": "oct", "k": "AAAA" });
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!(null)),
        ("alg", json!("HS256")),
        ("alg", json!("none")),
        ("jwk", other.jwk()),
        ("jwk", private),
        ("jwk", oct),
        ("jwk", json!(null)),
        ("jwk", json!("text")),
    ] {
        let mut header = held.head();
        header[name] = value.clone();
        if value.is_null() {
            header.as_object_mut().unwrap().remove(name);
        }
        assert!(!accepts(&world, &held.sign(&header, &payload(&world))).await, "{name}: {value}");
    }
    let good = held.proof(&world);
    for bad in ["", "x", "a.b", &format!("{good}A"), &format!("{good}, {good}"), &world.alice()] {
        assert!(!accepts(&world, bad).await, "{bad}");
    }
    let twice = exchange(&world, &held.proof(&world)).header("dpop", &held.proof(&world));
    twice.send().await.is_refused("invalid_request");
    let ours = exchange(&world, &held.proof(&world)).token().await;
    assert!(!accepts(&world, &ours).await, "JW-5: a token is no proof");
}

async fn dp2_a_proof_is_for_this_request_as_configured(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let listening = format!("{}/oauth2/token", world.url);
    for wrong in [
        json!({ "htm": "post" }),
        json!({ "htm": "GET" }),
        json!({ "htm": null }),
        json!({ "htu": null }),
        json!({ "htu": 7 }),
        json!({ "htu": listening }),
        json!({ "htu": "https://deputy.example/oauth2/revoke" }),
        json!({ "htu": "http://deputy.example/oauth2/token" }),
        json!({ "htu": ISSUER }),
        json!({ "htu": "/oauth2/token" }),
    ] {
        assert!(!accepts(&world, &held.says(&world, wrong.clone())).await, "{wrong}");
    }
    let alike = json!({ "htu": "HTTPS://Deputy.Example:443/oauth2/token?x#y" });
    assert!(accepts(&world, &held.says(&world, alike)).await);
    let forwarded =
        exchange(&world, &held.says(&world, json!({ "htu": "https://evil.example/oauth2/token" })));
    let forwarded = forwarded.header("x-forwarded-host", "evil.example");
    forwarded.send().await.is_refused("invalid_dpop_proof");
}

async fn dp3_a_proof_is_of_now_and_works_once(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let now = world.deputy.now().epoch_s();
    for wrong in [
        json!({ "iat": null }),
        json!({ "iat": "now" }),
        json!({ "iat": now - 61 }),
        json!({ "iat": now + 61 }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": "j".repeat(257) }),
    ] {
        assert!(!accepts(&world, &held.says(&world, wrong.clone())).await, "{wrong}");
    }
    for right in [json!({ "iat": now - 60 }), json!({ "iat": now + 60 })] {
        assert!(accepts(&world, &held.says(&world, right)).await);
    }
    let proof = held.proof(&world);
    assert!(accepts(&world, &proof).await);
    assert!(!accepts(&world, &proof).await);
    let judged = held.proof(&world);
    exchange(&world, &judged).scope("nonsense").send().await.is_refused("invalid_scope");
    assert!(!accepts(&world, &judged).await, "a refusal uses it up too");
    let same_id = json!({ "jti": "the-same" });
    assert!(accepts(&world, &held.says(&world, same_id.clone())).await);
    assert!(!accepts(&world, &held.says(&world, same_id.clone())).await);
    assert!(accepts(&world, &Held::new().says(&world, same_id)).await, "ids are a key's own");
    let proof = held.proof(&world);
    let (one, two) = tokio::join!(exchange(&world, &proof).send(), exchange(&world, &proof).send());
    assert_eq!([one, two].iter().filter(|answer| answer.status == 200).count(), 1);
}

async fn dp3_a_proof_works_once_also_after_a_restart(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let proof = held.proof(&world);
    assert!(accepts(&world, &proof).await);
    let world = world.restart().await;
    assert!(!accepts(&world, &proof).await);
    assert!(accepts(&world, &held.proof(&world)).await);
}

async fn dp4_a_proof_binds_the_token(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let answer = exchange(&world, &held.proof(&world)).send().await;
    assert_eq!(answer.json["token_type"], "DPoP");
    assert_eq!(answer.header("dpop-nonce"), world.deputy.nonce(), "the next one comes with it");
    let token = answer.token();
    assert_eq!(claims(&token)["cnf"], json!({ "jkt": held.thumbprint() }));
    let seen = world.server("tickets").sees(&token).await.json;
    assert_eq!((&seen["token_type"], &seen["cnf"]["jkt"]), (&json!("DPoP"), &key_of(&token)));
    let plain = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let plain = plain.scope("tickets:read").send().await;
    assert_eq!((&plain.json["token_type"], plain.header("dpop-nonce")), (&json!("Bearer"), ""));
    assert!(claims(&plain.token()).get("cnf").is_none());
    let own = world.agent("support").asks_for_itself().header("dpop", &held.proof(&world));
    let own = own.send().await;
    assert_eq!(
        (&own.json["token_type"], key_of(&own.token())),
        (&json!("DPoP"), json!(held.thumbprint()))
    );
    let listed = world.get("/.well-known/oauth-authorization-server/oauth2").await.json;
    let listed = listed["dpop_signing_alg_values_supported"].as_array().unwrap();
    assert!(listed.contains(&json!("ES256")) && !listed.contains(&json!("HS256")));
}

async fn dp4_a_client_that_must_be_bound_gets_no_bearer_token(world: World) {
    bound_servers(&world, "itself").await;
    world.change("client", "cl_support", "dpop_bound_access_tokens", json!(true)).await;
    let exchange = || {
        let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
        exchange.scope("tickets:read")
    };
    exchange().send().await.is_refused("invalid_dpop_proof");
    world.agent("support").asks_for_itself().send().await.is_refused("invalid_dpop_proof");
    let proof = Held::new().proof(&world);
    assert_eq!(exchange().header("dpop", &proof).send().await.json["token_type"], "DPoP");
}

async fn dp5_a_proof_is_made_with_our_nonce_always(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let asked = |nonce: Value| {
        let proof = held.says(&world, json!({ "nonce": nonce }));
        exchange(&world, &proof).send()
    };
    for wrong in [json!(null), json!(""), json!("x"), json!("AAAAAAAAAAAAAAAAAAAAAA")] {
        let answer = asked(wrong.clone()).await;
        answer.is_refused("use_dpop_nonce");
        assert_eq!(answer.headers.get_all("dpop-nonce").iter().count(), 1);
        assert_eq!(asked(json!(answer.header("dpop-nonce"))).await.status, 200, "{wrong}");
    }
    let old = world.deputy.nonce();
    world.advance(60).await;
    assert_eq!(asked(json!(old)).await.status, 200, "the one before is good for a minute");
    world.advance(60).await;
    let answer = asked(json!(old)).await;
    answer.is_refused("use_dpop_nonce");
    assert_ne!(answer.header("dpop-nonce"), old);
    let world = world.restart().await;
    let kept = held.says(&world, json!({}));
    assert_eq!(exchange(&world, &kept).send().await.status, 200, "it needs no memory");
}

/// Asks about `tickets.get` with a proof for this request.
async fn asks(world: &World, token: &str, proof: Option<&str>) -> Answer {
    let question = world.agent("tickets").introspects(token).at(TICKETS);
    let question = question.field("tool", "tickets.get").field("arguments", r#"{"id":1}"#);
    match proof {
        None => question.send().await,
        Some(proof) => {
            let question = question.field("dpop_proof", proof).field("htm", "POST");
            question.field("htu", TICKETS).send().await
        }
    }
}

fn reason(answer: &Answer) -> String {
    assert_eq!(answer.json["active"], answer.json["decision"]["allow"], "{answer:?}");
    answer.json["decision"]["reason"].as_str().unwrap().to_owned()
}

/// The server's own answer: 401 with a challenge that says what a proof may be signed with.
fn says_to_prove_it(answer: &Answer) {
    let decision = &answer.json["decision"];
    assert_eq!(decision["mcp"], json!({ "status": 401 }), "{decision}");
    let challenge = decision["challenge"].as_str().unwrap();
    assert!(
        challenge.starts_with("DPoP error=\"invalid_dpop_proof\", algs=\"ES256 "),
        "{challenge}"
    );
    assert!(challenge.ends_with("/resources/tickets/oauth-protected-resource\""), "{challenge}");
    assert!(decision.get("required_scope").is_none());
}

async fn dp6_the_decision_needs_a_proof_where_we_check(world: World) {
    bound_servers(&world, "deputy").await;
    let held = Held::new();
    let token = exchange(&world, &held.proof(&world)).token().await;
    let missing = asks(&world, &token, None).await;
    assert_eq!(reason(&missing), "dpop_proof_missing");
    says_to_prove_it(&missing);
    let good = held.uses(&world, &token, json!({}));
    assert_eq!(reason(&asks(&world, &token, Some(&good)).await), "permitted");
    let used = asks(&world, &token, Some(&good)).await;
    assert_eq!(reason(&used), "dpop_proof_used");
    says_to_prove_it(&used);
    let thief = Held::new();
    let now = world.deputy.now().epoch_s();
    for bad in [
        thief.uses(&world, &token, json!({})),
        held.uses(&world, "another token", json!({})),
        held.uses(&world, &token, json!({ "ath": null })),
        held.uses(&world, &token, json!({ "htm": "GET" })),
        held.uses(&world, &token, json!({ "htu": LEDGER })),
        held.uses(&world, &token, json!({ "iat": now - 61 })),
        held.proof(&world),
        "x".to_owned(),
    ] {
        let answer = asks(&world, &token, Some(&bad)).await;
        assert_eq!(reason(&answer), "dpop_proof_invalid", "{bad}");
        says_to_prove_it(&answer);
    }
    let plain = world.server("tickets").sees(&token).await;
    assert_eq!(plain.json["cnf"]["jkt"], held.thumbprint(), "without a call: what RFC 9449 says");
    let half = world.agent("tickets").introspects(&token).at(TICKETS).field("tool", "tickets.get");
    half.clone().field("htm", "POST").send().await.is_refused("invalid_request");
    half.field("dpop_proof", &good).send().await.is_refused("invalid_request");
}

async fn dp6_a_proof_that_is_sent_along_is_never_ignored(world: World) {
    let held = Held::new();
    let bearer = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let bearer = bearer.scope("tickets:read").token().await;
    let proof = held.uses(&world, &bearer, json!({}));
    assert_eq!(reason(&asks(&world, &bearer, Some(&proof)).await), "dpop_proof_invalid");
    assert_eq!(reason(&asks(&world, &bearer, None).await), "permitted");
    bound_servers(&world, "itself").await;
    let token = exchange(&world, &held.proof(&world)).token().await;
    assert_eq!(reason(&asks(&world, &token, None).await), "permitted", "it sees to that itself");
    let stolen = Held::new().uses(&world, &token, json!({}));
    assert_eq!(reason(&asks(&world, &token, Some(&stolen)).await), "dpop_proof_invalid");
}

async fn dp6_of_two_calls_with_one_proof_one_may_run(world: World) {
    bound_servers(&world, "deputy").await;
    let held = Held::new();
    let token = exchange(&world, &held.proof(&world)).token().await;
    for _ in 0..8 {
        let proof = held.uses(&world, &token, json!({}));
        let (one, two) =
            tokio::join!(asks(&world, &token, Some(&proof)), asks(&world, &token, Some(&proof)),);
        let allowed = [one, two].iter().filter(|answer| answer.json["active"] == true).count();
        assert_eq!(allowed, 1);
    }
}

async fn dp8_a_bound_token_is_narrowed_by_its_key_alone(world: World) {
    bound_servers(&world, "itself").await;
    let (held, other) = (Held::new(), Held::new());
    let token = exchange(&world, &held.proof(&world)).token().await;
    let narrow = || world.agent("support").exchanges(&token).at(TICKETS);
    narrow().send().await.is_refused("invalid_dpop_proof");
    narrow().header("dpop", &other.proof(&world)).send().await.is_refused("invalid_dpop_proof");
    let narrowed = narrow().header("dpop", &held.proof(&world)).token().await;
    assert_eq!(key_of(&narrowed), held.thumbprint());
}

async fn dp8_a_bound_line_stays_bound(world: World) {
    bound_servers(&world, "itself").await;
    let (support, billing) = (Held::new(), Held::new());
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} }));
    let hand_over = hand_over.header("dpop", &support.proof(&world)).send().await;
    assert_eq!(hand_over.json["token_type"], "N_A");
    let hand_over = hand_over.token();
    assert_eq!(key_of(&hand_over), support.thumbprint());
    let take = || world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    take().send().await.is_refused("invalid_dpop_proof");
    let taken = take().header("dpop", &billing.proof(&world)).token().await;
    assert_eq!(key_of(&taken), billing.thumbprint(), "its own key, not the maker's");
    let carried = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let carried = carried.details(json!([
        crate::world::wire::entry(REFUNDS, json!({ "refunds.list": {} })),
        crate::world::wire::entry(LEDGER, json!({ "ledger.get": {} })),
    ]));
    let carried = carried.header("dpop", &support.proof(&world)).token().await;
    let onward = || world.agent("refunds").exchanges(&carried).at(LEDGER);
    onward().send().await.is_refused("invalid_dpop_proof");
    let server = Held::new();
    let onward = onward().header("dpop", &server.proof(&world)).token().await;
    assert_eq!(key_of(&onward), server.thumbprint());
}

async fn dp8_a_foreign_bound_token_is_proved(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let foreign = |cnf: Value| world.access_token(world.claims("alice").with("cnf", cnf));
    let exchange = |token: &str| {
        let exchange = world.agent("support").exchanges(token).at(TICKETS);
        exchange.scope("tickets:read")
    };
    let bound = foreign(json!({ "jkt": held.thumbprint() }));
    exchange(&bound).send().await.is_refused("invalid_dpop_proof");
    let stolen = exchange(&bound).header("dpop", &Held::new().proof(&world));
    stolen.send().await.is_refused("invalid_dpop_proof");
    let proved = exchange(&bound).header("dpop", &held.proof(&world)).token().await;
    assert_eq!(key_of(&proved), held.thumbprint());
    for unprovable in [
        json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }),
        json!({ "jkt": held.thumbprint(), "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN" }),
        json!({ "jkt": "short" }),
        json!({}),
        json!("text"),
    ] {
        let token = foreign(unprovable.clone());
        let refused = exchange(&token).header("dpop", &held.proof(&world)).send().await;
        refused.is_refused("invalid_request");
    }
}

async fn dp8_a_bound_agent_token_is_proved(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let own = world.agent("support").asks_for_itself().header("dpop", &held.proof(&world));
    let own = own.token().await;
    let exchange = || {
        let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
        exchange.scope("tickets:read").actor(&own)
    };
    exchange().send().await.is_refused("invalid_dpop_proof");
    let other = exchange().header("dpop", &Held::new().proof(&world));
    other.send().await.is_refused("invalid_dpop_proof");
    assert_eq!(exchange().header("dpop", &held.proof(&world)).send().await.status, 200);
}

async fn dp11_no_proof_can_be_made_ahead_of_time(world: World) {
    bound_servers(&world, "itself").await;
    let held = Held::new();
    let later = |seconds: i64| {
        let now = world.deputy.now().epoch_s();
        held.says(&world, json!({ "iat": now + seconds, "jti": format!("for-{seconds}") }))
    };
    // Whoever had the key for a moment made proofs for every minute to come.
    let made: Vec<String> = (1..=10).map(|minute| later(minute * 60)).collect();
    let nonce = world.deputy.nonce();
    for (minute, proof) in made.iter().enumerate() {
        world.advance(60).await;
        assert_ne!(world.deputy.nonce(), nonce, "nobody knew the nonce of then");
        let answer = exchange(&world, proof).send().await;
        let is_soon = answer.status == 200;
        assert!(is_soon == (minute == 0), "minute {minute}: {}", answer.text);
        if !is_soon {
            answer.is_refused("use_dpop_nonce");
        }
    }
    let token = exchange(&world, &held.proof(&world)).send().await;
    assert!(token.json["expires_in"].as_i64().unwrap() <= 900, "what is bound does not live long");
}

async fn no_bound_token_is_made_for_who_looks_at_no_key(world: World) {
    let held = Held::new();
    exchange(&world, &held.proof(&world)).send().await.is_refused("invalid_target");
    let bound =
        world.access_token(world.claims("alice").with("cnf", json!({ "jkt": held.thumbprint() })));
    let exchange = world.agent("support").exchanges(&bound).at(TICKETS).scope("tickets:read");
    exchange.header("dpop", &held.proof(&world)).send().await.is_refused("invalid_target");
}
