//! Clients that authenticate by assertions of their own (`private_key_jwt`): what an assertion must
//! say, whose keys count, and that one works once, wherever it is shown.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{
    base::{id::ClientId, random::Random},
    demo::issuer::Issuer,
    jose::{Algorithm, SigningKey},
    service::admin::Refused,
};
use serde_json::{Map, Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::{SUPPORT, TICKETS, agent},
    wire::{Answer, Request},
};

on_both! {
    ca1_an_assertion_proves_its_client_at_every_endpoint
    ca1_an_assertion_works_once_wherever_it_is_shown
    ca1_an_assertion_works_once_also_after_a_restart
    ca1_of_two_at_the_same_moment_one_is_answered
    ca1_what_an_assertion_must_say
    ca2_the_audience_is_our_issuer_alone
    ca3_its_typ_is_its_own_or_none
    ca4_a_client_id_beside_it_is_its_subject
    ca5_old_assertions_are_for_clients_that_are_registered_for_them
    a_client_has_one_method
    an_operator_registers_keys_and_is_told_what_is_wrong_with_them
    two_keys_work_while_one_is_replaced
    keys_may_be_where_the_client_publishes_them
    a_flood_of_wrong_assertions_locks_nobody_out
    jw5_no_other_token_is_an_assertion_and_an_assertion_is_no_other_token
}

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key that a client holds.
struct Held(SigningKey);

impl Held {
    fn new() -> Held {
        Held(SigningKey::generate(Algorithm::Es256).unwrap())
    }

    fn public(&self) -> Value {
        serde_json::from_str(&self.0.public_jwk()).unwrap()
    }

    fn sign(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(head), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    fn head(&self) -> Value {
        json!({ "alg": "ES256", "kid": self.0.kid() })
    }

    /// An assertion of `cl_support`, with `changes`; `null` leaves a claim out.
    fn says(&self, world: &World, changes: Value) -> String {
        let mut claims = said(world, "cl_support");
        change(&mut claims, changes);
        self.sign(&self.head(), &Value::Object(claims))
    }

    fn assertion(&self, world: &World) -> String {
        self.says(world, json!({}))
    }
}

fn said(world: &World, client: &str) -> Map<String, Value> {
    let now = world.deputy.now().epoch_s();
    let jti = URL_SAFE_NO_PAD.encode(Random::system().bytes::<16>().unwrap());
    let claims = json!({
        "iss": client, "sub": client, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60,
    });
    claims.as_object().unwrap().clone()
}

fn change(claims: &mut Map<String, Value>, changes: Value) {
    for (name, value) in changes.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
        if value.is_null() {
            claims.remove(name);
        }
    }
}

/// The support agent's document, with keys in place of a secret.
fn keyed(keys: Value) -> Value {
    let allowance = json!([{ "resource": "tickets", "scope": "tickets:read" }]);
    let mut document = agent("support", SUPPORT, &allowance);
    document["token_endpoint_auth_method"] = json!("private_key_jwt");
    let member = if keys.is_string() { "jwks_uri" } else { "jwks" };
    document[member] = keys;
    document
}

/// The support agent, authenticating by a key from now on.
async fn support(world: &World) -> Held {
    let held = Held::new();
    world.put(&[("client", "cl_support", keyed(json!({ "keys": [held.public()] })))]).await;
    held
}

fn by<'a>(request: Request<'a>, assertion: &str) -> Request<'a> {
    let request = request.basic(None).field("client_assertion_type", TYPE);
    request.field("client_assertion", assertion)
}

fn own<'a>(world: &'a World, assertion: &str) -> Request<'a> {
    by(world.agent("support").asks_for_itself(), assertion)
}

fn exchange<'a>(world: &'a World, assertion: &str) -> Request<'a> {
    by(world.agent("support").exchanges(&world.alice()).at(TICKETS), assertion)
}

async fn accepts(world: &World, assertion: &str) -> bool {
    let answer = own(world, assertion).send().await;
    if answer.status != 200 {
        refused(&answer);
    }
    answer.status == 200
}

fn refused(answer: &Answer) {
    answer.is_refused("invalid_client");
    assert_eq!(answer.header("www-authenticate"), "", "TE-4: it did not use Authorization");
}

async fn ca1_an_assertion_proves_its_client_at_every_endpoint(world: World) {
    let held = support(&world).await;
    let token = exchange(&world, &held.assertion(&world)).scope("tickets:read").token().await;
    let events = world.events().await;
    assert_eq!(events[0].chain[0].via.as_deref(), Some("private_key_jwt"), "it is on record");
    assert!(world.server("tickets").accepts(&token).await);
    let asked = by(world.agent("support").introspects(&token), &held.assertion(&world));
    assert_eq!(asked.send().await.text, r#"{"active":false}"#, "proved, and no owner");
    let back = by(world.agent("support").revokes(&token), &held.assertion(&world));
    assert_eq!(back.send().await.status, 200);
    assert!(!world.server("tickets").accepts(&token).await);
}

async fn ca1_an_assertion_works_once_wherever_it_is_shown(world: World) {
    let held = support(&world).await;
    let granted = held.assertion(&world);
    assert_eq!(exchange(&world, &granted).scope("tickets:read").send().await.status, 200);
    let judged = held.assertion(&world);
    exchange(&world, &judged).scope("nonsense").send().await.is_refused("invalid_scope");
    let malformed = held.assertion(&world);
    own(&world, &malformed)
        .field("grant_type", "x")
        .send()
        .await
        .is_refused("unsupported_grant_type");
    let asked = held.assertion(&world);
    by(world.agent("support").introspects("x"), &asked).send().await;
    let given_back = held.assertion(&world);
    by(world.agent("support").revokes("x"), &given_back).send().await;
    for used in [granted, judged, malformed, asked, given_back] {
        refused(&own(&world, &used).send().await);
        refused(&exchange(&world, &used).scope("nonsense").send().await);
        refused(&by(world.agent("support").introspects("x"), &used).send().await);
        refused(&by(world.agent("support").revokes("x"), &used).send().await);
    }
    let events = world.events().await;
    assert!(events.iter().any(|e| &*e.reason == "replayed_client_assertion"), "a theft is seen");
}

async fn ca1_an_assertion_works_once_also_after_a_restart(world: World) {
    let held = support(&world).await;
    let assertion = held.assertion(&world);
    assert!(accepts(&world, &assertion).await);
    let world = world.restart().await;
    assert!(!accepts(&world, &assertion).await);
    assert!(accepts(&world, &held.assertion(&world)).await);
}

async fn ca1_of_two_at_the_same_moment_one_is_answered(world: World) {
    let held = support(&world).await;
    for _ in 0..8 {
        let assertion = held.assertion(&world);
        let (one, two, three) = tokio::join!(
            own(&world, &assertion).send(),
            exchange(&world, &assertion).scope("tickets:read").send(),
            by(world.agent("support").revokes("x"), &assertion).send(),
        );
        let answered = [one, two, three].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(answered, 1);
    }
}

async fn ca1_what_an_assertion_must_say(world: World) {
    let held = support(&world).await;
    let now = world.deputy.now().epoch_s();
    let long = "j".repeat(257);
    for wrong in [
        json!({ "iss": null }),
        json!({ "iss": "cl_billing" }),
        json!({ "iss": world.issuer.url() }),
        json!({ "sub": null }),
        json!({ "sub": "cl_billing" }),
        json!({ "sub": "cl_nobody" }),
        json!({ "sub": ["cl_support"] }),
        json!({ "exp": null }),
        json!({ "exp": "soon" }),
        json!({ "exp": now - 60 }),
        json!({ "exp": now + 301 }),
        json!({ "iat": null, "exp": now + 361 }),
        json!({ "iat": now - 3600, "exp": now + 60 }),
        json!({ "iat": now + 61 }),
        json!({ "nbf": now + 61 }),
        json!({ "nbf": false }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": 7 }),
        json!({ "jti": "a\u{7}" }),
        json!({ "jti": long }),
        json!({ "act": { "sub": "cl_billing" } }),
        json!({ "events": {} }),
    ] {
        assert!(!accepts(&world, &held.says(&world, wrong.clone())).await, "{wrong}");
    }
    for right in [
        json!({}),
        json!({ "iat": null }),
        json!({ "exp": now + 300 }),
        json!({ "exp": now - 59, "iat": null }),
        json!({ "iat": now + 60, "nbf": now + 60 }),
        json!({ "jti": "j".repeat(256) }),
    ] {
        assert!(accepts(&world, &held.says(&world, right.clone())).await, "{right}");
    }
}

async fn ca2_the_audience_is_our_issuer_alone(world: World) {
    let held = support(&world).await;
    let token_endpoint = format!("{ISSUER}/token");
    for wrong in [
        json!(null),
        json!([]),
        json!(""),
        json!(token_endpoint),
        json!(format!("{ISSUER}/")),
        json!("https://DEPUTY.example/oauth2"),
        json!([ISSUER, ISSUER]),
        json!([ISSUER, "https://other.example"]),
        json!(world.issuer.url()),
        json!({ "aud": ISSUER }),
    ] {
        assert!(!accepts(&world, &held.says(&world, json!({ "aud": wrong }))).await, "{wrong}");
    }
    assert!(accepts(&world, &held.says(&world, json!({ "aud": [ISSUER] }))).await);
    let wrong = held.says(&world, json!({ "aud": token_endpoint }));
    let answer = own(&world, &wrong).send().await;
    let told = answer.json["error_description"].as_str().unwrap();
    assert!(told.contains("aud"), "the client that signed it may know: {told}");
}

async fn ca3_its_typ_is_its_own_or_none(world: World) {
    let held = support(&world).await;
    for (typ, right) in [
        (json!(null), true),
        (json!("JWT"), true),
        (json!("jwt"), true),
        (json!("client-authentication+jwt"), true),
        (json!("application/client-authentication+jwt"), true),
        (json!("at+jwt"), false),
        (json!("dpop+jwt"), false),
        (json!("token-introspection+jwt"), false),
        (json!("text/client-authentication+jwt"), false),
        (json!(7), false),
    ] {
        let mut header = held.head();
        if !typ.is_null() {
            header["typ"] = typ.clone();
        }
        let assertion = held.sign(&header, &Value::Object(said(&world, "cl_support")));
        assert_eq!(accepts(&world, &assertion).await, right, "{typ}");
    }
    for (name, value) in [("jwk", held.public()), ("jku", json!("https://evil.example/jwks"))] {
        let mut header = held.head();
        header[name] = value;
        let assertion = held.sign(&header, &Value::Object(said(&world, "cl_support")));
        assert!(!accepts(&world, &assertion).await, "JW-2: {name}");
    }
}

async fn ca4_a_client_id_beside_it_is_its_subject(world: World) {
    let held = support(&world).await;
    let beside = |id: &str| own(&world, &held.assertion(&world)).field("client_id", id);
    assert_eq!(beside("cl_support").send().await.status, 200);
    beside("cl_billing").send().await.is_refused("invalid_request");
    let typeless = own(&world, &held.assertion(&world)).without("client_assertion_type");
    refused(&typeless.send().await);
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let other = own(&world, &held.assertion(&world)).field("client_assertion_type", saml);
    refused(&other.send().await);
}

async fn ca5_old_assertions_are_for_clients_that_are_registered_for_them(world: World) {
    let held = support(&world).await;
    let now = world.deputy.now().epoch_s();
    let old = json!({ "aud": format!("{ISSUER}/token"), "exp": now + 3600 });
    assert!(!accepts(&world, &held.says(&world, old.clone())).await);
    world.change("client", "cl_support", "legacy_assertions", json!(true)).await;
    assert!(accepts(&world, &held.says(&world, old)).await);
    assert!(accepts(&world, &held.assertion(&world)).await, "new ones still work");
    for wrong in [
        json!({ "exp": now + 3601 }),
        json!({ "aud": format!("{ISSUER}/introspect") }),
        json!({ "aud": [ISSUER, format!("{ISSUER}/token")] }),
    ] {
        assert!(!accepts(&world, &held.says(&world, wrong.clone())).await, "{wrong}");
    }
}

async fn a_client_has_one_method(world: World) {
    let held = support(&world).await;
    let by_secret = world.agent("support").asks_for_itself();
    by_secret.clone().send().await.is_refused("invalid_client");
    let both = by_secret.field("client_assertion", &held.assertion(&world));
    both.field("client_assertion_type", TYPE).send().await.is_refused("invalid_request");
    let mut billing = said(&world, "cl_billing");
    billing.insert("sub".to_owned(), json!("cl_billing"));
    let assertion = held.sign(&held.head(), &Value::Object(billing));
    refused(&own(&world, &assertion).send().await);
    world.change("client", "cl_support", "enabled", json!(false)).await;
    refused(&own(&world, &held.assertion(&world)).send().await);
}

async fn an_operator_registers_keys_and_is_told_what_is_wrong_with_them(world: World) {
    let operator = World::an_operator();
    let create = async |keys: Value| {
        let mut document = keyed(keys);
        document["client_id"] = json!("cl_new");
        document["agent"]["uri"] = json!("urn:agent:new");
        world.deputy.create_client(&operator, document.to_string().as_bytes()).await
    };
    let held = Held::new();
    let mut weak = held.public();
    weak["x"] = json!("AAAA");
    let mut unused = held.public();
    unused["use"] = json!("enc");
    let mut private = held.public();
    private["d"] = json!("AAAA");
    for keys in [
        json!([]),
        json!([weak]),
        json!([unused]),
        json!([private]),
        json!([held.public(), held.public()]),
    ] {
        let refused = create(json!({ "keys": keys })).await.unwrap_err();
        let Refused::Invalid(problems) = refused else { panic!("{refused:?}") };
        assert!(problems[0].field.starts_with("/jwks"), "{problems:?}");
    }
    assert!(create(json!("http://keys.example/jwks")).await.is_err(), "https only");
    let (_, secret) = create(json!({ "keys": [held.public()] })).await.unwrap();
    assert!(secret.is_none(), "keys are in place of a secret");
    let id = ClientId::parse("cl_new").unwrap();
    let refused = world.deputy.add_secret(&operator, &id).await.unwrap_err();
    assert!(matches!(refused, Refused::Conflict(_)), "{refused:?}");
    let mut claims = said(&world, "cl_new");
    claims.insert("exp".to_owned(), json!(world.deputy.now().epoch_s() + 30));
    let assertion = held.sign(&held.head(), &Value::Object(claims));
    assert_eq!(own(&world, &assertion).send().await.status, 200);
}

async fn two_keys_work_while_one_is_replaced(world: World) {
    let old = support(&world).await;
    let new = Held::new();
    assert!(!accepts(&world, &new.assertion(&world)).await);
    let both = json!({ "keys": [old.public(), new.public()] });
    world.put(&[("client", "cl_support", keyed(both))]).await;
    assert!(accepts(&world, &old.assertion(&world)).await);
    assert!(accepts(&world, &new.assertion(&world)).await);
    world.put(&[("client", "cl_support", keyed(json!({ "keys": [new.public()] })))]).await;
    assert!(!accepts(&world, &old.assertion(&world)).await, "a removed key is worth nothing");
    assert!(accepts(&world, &new.assertion(&world)).await);
}

async fn keys_may_be_where_the_client_publishes_them(world: World) {
    let publisher = Issuer::start("agent").await.unwrap();
    world.put(&[("client", "cl_support", keyed(json!(publisher.jwks_uri())))]).await;
    let sign = || {
        let claims = Value::Object(said(&world, "cl_support")).to_string();
        publisher.sign(&publisher.header("JWT").to_string(), &claims).unwrap()
    };
    assert!(accepts(&world, &sign()).await);
    publisher.rotate(Algorithm::Es256).unwrap();
    world.advance(11).await;
    assert!(accepts(&world, &sign()).await, "an unknown key is looked for once more");
    publisher.set_mode(deputy::demo::issuer::Mode::Down);
    assert!(accepts(&world, &sign()).await, "its server may be away for a while");
}

async fn a_flood_of_wrong_assertions_locks_nobody_out(world: World) {
    let held = support(&world).await;
    let stranger = Held::new();
    let mut header = stranger.head();
    header["kid"] = json!(held.0.kid());
    let forge = || stranger.sign(&header, &Value::Object(said(&world, "cl_support")));
    for _ in 0..40 {
        refused(&own(&world, &forge()).send().await);
    }
    assert!(accepts(&world, &held.assertion(&world)).await);
    for wrong in 40..80 {
        let answer = own(&world, &forge()).send().await;
        answer.is_refused(if wrong < 50 { "invalid_client" } else { "slow_down" });
    }
    let right = own(&world, &held.assertion(&world)).send().await;
    right.is_refused("slow_down");
    assert_eq!(right.header("retry-after"), "1", "it is not told that it is wrong");
    world.agent("billing").asks_for_itself().token().await;
    world.advance(1).await;
    assert!(accepts(&world, &held.assertion(&world)).await, "the next second is a new one");
    // I8: no answer tells whether there is such a client.
    for wrong in 0..60 {
        let nobodys = stranger.sign(&header, &Value::Object(said(&world, "cl_nobody")));
        let answer = own(&world, &nobodys).send().await;
        answer.is_refused(if wrong < 50 { "invalid_client" } else { "slow_down" });
    }
}

async fn jw5_no_other_token_is_an_assertion_and_an_assertion_is_no_other_token(world: World) {
    let held = support(&world).await;
    let token = exchange(&world, &held.assertion(&world)).scope("tickets:read").token().await;
    let agent_token = own(&world, &held.assertion(&world)).token().await;
    for other in [token, agent_token, world.alice()] {
        refused(&own(&world, &other).send().await);
    }
    let presented = world.agent("billing").exchanges(&held.assertion(&world)).at(TICKETS);
    presented.scope("tickets:read").send().await.is_refused("invalid_request");
    let confirming = exchange(&world, &held.assertion(&world)).actor(&held.assertion(&world));
    confirming.scope("tickets:read").send().await.is_refused("invalid_request");
    assert!(!world.server("tickets").accepts(&held.assertion(&world)).await);
}
