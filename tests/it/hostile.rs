//! Trusted issuers that turn hostile, all kinds at once: whoever needs one of them is told to come
//! again, nobody else notices, and nothing grows.

use std::sync::atomic::{AtomicUsize, Ordering};

use deputy::demo::issuer::{Issuer, Mode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    serve_process::{Folder, Server, free_address, user_token},
    world::{
        ISSUER, World, on_both,
        story::{self, TICKETS},
        wire::Request,
    },
};

on_both! {
    i9_hostile_issuers_delay_nobody_who_does_not_need_them
    i10_a_client_whose_keys_never_come_delays_no_other_client
}

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an issuer can do to who fetches its keys; the first two never come to an end.
fn modes(elsewhere: &Issuer) -> [Mode; 15] {
    [
        Mode::Slow(60_000),
        Mode::Drip,
        Mode::Down,
        Mode::Huge,
        Mode::Redirect(elsewhere.jwks_uri()),
        Mode::Redirect("http://169.254.169.254/latest/meta-data".to_owned()),
        Mode::Garbage,
        Mode::WrongIssuer(elsewhere.url()),
        Mode::ForeignKeys(elsewhere.jwks_uri()),
        Mode::ForeignKeys("http://169.254.169.254/jwks".to_owned()),
        Mode::ManyKeys(100),
        Mode::ManyKeys(5_000),
        Mode::DuplicateKid,
        Mode::SymmetricKey,
        Mode::PrivateKey,
    ]
}

/// An issuer in each of these modes.
async fn issuers(modes: &[Mode]) -> Vec<Issuer> {
    let mut issuers = Vec::new();
    for mode in modes {
        let issuer = Issuer::start("hostile").await.unwrap();
        issuer.set_mode(mode.clone());
        issuers.push(issuer);
    }
    issuers
}

fn exchange<'a>(world: &'a World, token: &str) -> Request<'a> {
    world.agent("support").exchanges(token).at(TICKETS).scope("tickets:read")
}

/// The first issuer's document, for another issuer.
fn trusted_likewise(corp: &Value, n: usize, issuer: &Issuer) -> (String, Value) {
    let alias = format!("hostile-{n}");
    let mut document = corp.clone();
    document["issuer"] = json!(issuer.url());
    document["alias"] = json!(alias);
    document["primary"] = json!(false);
    (alias, document)
}

/// Has a few requests served that need none of the others; how many of those had been given up by
/// then.
async fn served(world: &World, given_up: &AtomicUsize) -> usize {
    for _ in 0..3 {
        assert_eq!(exchange(world, &world.alice()).send().await.status, 200);
    }
    given_up.load(Ordering::SeqCst)
}

async fn i9_hostile_issuers_delay_nobody_who_does_not_need_them(world: World) {
    let elsewhere = Issuer::start("elsewhere").await.unwrap();
    let modes = modes(&elsewhere);
    let hostile = issuers(&modes).await;
    let stored = world.deputy.store().documents().await.unwrap();
    let corp = stored.iter().find(|d| d.kind == "issuer" && d.id == "corp").unwrap();
    let corp: Value = serde_json::from_str(&corp.body).unwrap();
    for (n, issuer) in hostile.iter().enumerate() {
        let (alias, document) = trusted_likewise(&corp, n, issuer);
        world.put(&[("issuer", &alias, document)]).await;
    }
    let exchange_of = |issuer: &Issuer| {
        let token = issuer.access_token(world.claims("alice"), "support-desk", "assist").unwrap();
        exchange(&world, &token)
    };
    // The good issuer's keys are here before the others are asked for theirs.
    assert_eq!(exchange(&world, &world.alice()).send().await.status, 200);
    let (never_ending, others) = hostile.split_at(2);
    for (issuer, mode) in others.iter().zip(&modes[2..]) {
        let answer = exchange_of(issuer).send().await;
        let seen = (answer.status, &answer.json["error"]);
        assert_eq!(seen, (503, &json!("temporarily_unavailable")), "{mode:?}: {}", answer.text);
        assert!(!answer.header("retry-after").is_empty());
        assert_eq!(exchange(&world, &world.alice()).send().await.status, 200, "{mode:?}");
    }
    let given_up = AtomicUsize::new(0);
    let waits = |issuer| {
        let asked = exchange_of(issuer).send();
        async {
            let answer = asked.await;
            given_up.fetch_add(1, Ordering::SeqCst);
            (answer.status, answer.json["error"].clone())
        }
    };
    let (slow, drip, given_up_before) =
        tokio::join!(waits(&never_ending[0]), waits(&never_ending[1]), served(&world, &given_up));
    assert_eq!(given_up_before, 0, "everybody else was served while two were waiting");
    let unavailable = (503, json!("temporarily_unavailable"));
    assert_eq!([slow, drip], [unavailable.clone(), unavailable]);
    assert_eq!(elsewhere.jwks_hits(), 0, "nobody was sent elsewhere");
    for issuer in &hostile {
        issuer.set_mode(Mode::Good);
    }
    world.advance(300).await;
    for (issuer, mode) in hostile.iter().zip(&modes) {
        assert_eq!(exchange_of(issuer).send().await.status, 200, "{mode:?} is over");
    }
}

/// A client's own keys are fetched like an issuer's, and anybody can name the client.
async fn i10_a_client_whose_keys_never_come_delays_no_other_client(world: World) {
    let publisher = Issuer::start("keys").await.unwrap();
    publisher.set_mode(Mode::Slow(60_000));
    let mut keyed = story::agent("keyed", "urn:agent:keyed", &json!([]));
    keyed["token_endpoint_auth_method"] = json!("private_key_jwt");
    keyed["jwks_uri"] = json!(publisher.jwks_uri());
    world.put(&[("client", "cl_keyed", keyed)]).await;
    let said = json!({
        "iss": "cl_keyed", "sub": "cl_keyed", "aud": ISSUER, "jti": "1",
        "exp": world.deputy.now().epoch_s() + 60,
    });
    let head = publisher.header("JWT").to_string();
    let assertion = publisher.sign(&head, &said.to_string()).unwrap();
    let given_up = AtomicUsize::new(0);
    let waits = async {
        let own = world.agent("keyed").asks_for_itself().basic(None);
        let own = own.field("client_assertion_type", ASSERTION);
        let answer = own.field("client_assertion", &assertion).send().await;
        given_up.fetch_add(1, Ordering::SeqCst);
        answer
    };
    let (answer, given_up_before) = tokio::join!(waits, served(&world, &given_up));
    assert_eq!(given_up_before, 0, "others were served while one was waiting");
    assert_eq!(answer.status, 503, "{answer:?}");
    publisher.set_mode(Mode::Good);
    world.advance(30).await;
    let own = world.agent("keyed").asks_for_itself().basic(None);
    let own = own.field("client_assertion_type", ASSERTION);
    assert_eq!(own.field("client_assertion", &assertion).send().await.status, 200);
}

/// How much a server may grow while it is attacked, in KiB: the allocator keeps what a few fetches
/// needed, and a bound that is missing would be seen in hundreds of megabytes.
const GROWTH_KIB_MAX: u64 = 48 * 1024;

#[tokio::test]
async fn i9_hostile_issuers_and_floods_of_names_make_no_memory_grow() {
    let folder = Folder::new();
    let server = Server::start(&folder.0, &free_address(), &[]);
    let (corp, elsewhere) =
        (Issuer::start("corp").await.unwrap(), Issuer::start("elsewhere").await.unwrap());
    let registered = server.register(&corp).await;
    let trusted = server.admin(Method::GET, "/issuers/corp", None).await;
    let modes = modes(&elsewhere);
    let hostile = issuers(&modes).await;
    for (n, issuer) in hostile.iter().enumerate() {
        let (_, mut document) = trusted_likewise(&trusted, n, issuer);
        document.as_object_mut().unwrap().remove("version");
        server.admin(Method::POST, "/issuers", Some(&document)).await;
    }
    let support = server.support(&registered);
    let well = || async { support.exchanges(&user_token(&corp)).await.unwrap().status == 200 };
    for _ in 0..30 {
        assert!(well().await);
    }
    let before = server.resident_kib();
    // Keys that nobody has, of the good issuer and of issuers in every mode that has an end.
    for round in 0..200 {
        let issuer = &hostile[2 + round % (hostile.len() - 2)];
        let refused = support.exchanges(&of_a_stranger(issuer, round)).await.unwrap();
        assert_eq!(refused.status, 503, "{refused:?}");
        let unknown = support.exchanges(&of_a_stranger(&corp, round)).await.unwrap();
        assert_eq!(unknown.status, 400, "{unknown:?}");
    }
    assert!(well().await);
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more than {before} KiB");
    assert_eq!(elsewhere.jwks_hits(), 0, "nobody was sent elsewhere");
}

/// A token of this issuer by a key with a name of its own, as long as a name may be.
fn of_a_stranger(issuer: &Issuer, n: usize) -> String {
    let token = user_token(issuer);
    let payload = crate::world::wire::payload(&token);
    let mut head = issuer.header("at+jwt");
    head["kid"] = json!(format!("{n:0>256}"));
    issuer.sign(&head.to_string(), &payload).unwrap()
}
