//! `kill -9` under load: what a client received is on record exactly once, and what an operator was
//! told to be ended stays ended.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use deputy::{base::random::Random, demo::issuer::Issuer};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    postgres::cluster,
    serve_process::{Agent, Folder, Registered, Server, free_address, token, user_token},
};

const ROUNDS: usize = 3;
const WORKERS: usize = 16;
/// Each round is killed after this many tokens and up to 63 more, so that no two rounds are alike.
const TOKENS_MIN: usize = 40;
const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/KILL9.md");

/// What one round came to.
struct Round {
    received: usize,
    events: usize,
    in_flight: usize,
}

#[tokio::test]
async fn every_received_token_is_on_record_once_after_kill_9() {
    let folder = Folder::new();
    let file = format!("sqlite:{}", folder.0.join("deputy.db").display());
    let sqlite = rounds(&folder, &file).await;
    let other = Folder::new();
    let postgres = rounds(&other, &cluster().create_database("kill_9", "template1")).await;
    if std::env::var_os("DEPUTY_WRITE_DOCS").is_some() {
        fs::write(REPORT, report(&[("SQLite", &sqlite), ("PostgreSQL", &postgres)])).unwrap();
    }
}

async fn rounds(folder: &Folder, database: &str) -> Vec<Round> {
    let issuer = Issuer::start("corp").await.unwrap();
    let address = free_address();
    let start = || Server::start(&folder.0, &address, &["--database", database]);
    let mut server = start();
    let registered = server.register(&issuer).await;
    let mut done = Vec::new();
    let mut ended = Vec::new();
    for _ in 0..ROUNDS {
        let before = granted(&server).await.len();
        ended.push(revoked(&server, &registered, &issuer).await);
        let (received, in_flight) = load(&mut server, &registered, &issuer).await;
        server = start();
        let events = granted(&server).await;
        for id in received.iter().chain(ended.iter().map(|(_, id)| id)) {
            assert_eq!(events.get(id), Some(&1), "{id} has exactly one event");
        }
        let events = events.len() - before;
        // One token of this round was received and revoked before the load.
        assert!(events > received.len(), "{events} events of {} tokens", received.len());
        assert!(events <= received.len() + in_flight + 1, "nothing was granted unasked");
        assert!(in_flight > 0, "the kill came between two requests");
        for (token, _) in &ended {
            assert!(!server.tickets(&registered).accepts(token).await, "it was revoked");
        }
        let report = server.admin(Method::GET, "/audit/verify", None).await;
        assert_eq!(report["ok"], true, "{report}");
        done.push(Round { received: received.len() + 1, events, in_flight });
    }
    done
}

/// How often each delegation has a granted exchange on record.
async fn granted(server: &Server) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for event in server.all("/events", "kind=exchange&outcome=granted").await {
        *found.entry(event["delegation"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// A token that was received and then revoked, which was acknowledged.
async fn revoked(server: &Server, registered: &Registered, issuer: &Issuer) -> (String, String) {
    let answer = server.support(registered).exchanges(&user_token(issuer)).await.unwrap();
    let (token, id) = token(&answer);
    assert!(server.tickets(registered).accepts(&token).await);
    server.admin(Method::POST, "/revocations", Some(&json!({ "delegation": id }))).await;
    (token, id)
}

/// Exchanges without a pause until the server is killed at a moment of chance. The delegations of
/// the tokens that were received, and how many requests got no answer.
async fn load(
    server: &mut Server,
    registered: &Registered,
    issuer: &Issuer,
) -> (Vec<String>, usize) {
    let [chance] = Random::system().bytes::<1>().unwrap();
    let enough = TOKENS_MIN + usize::from(chance % 64);
    let seen = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let agent = server.support(registered);
        workers.spawn(work(agent, user_token(issuer), Arc::clone(&seen)));
    }
    while seen.load(Ordering::Relaxed) < enough {
        tokio::task::yield_now().await;
    }
    server.kill();
    let mut received = Vec::new();
    let mut in_flight = 0;
    for (ids, cut) in workers.join_all().await {
        received.extend(ids);
        in_flight += usize::from(cut);
    }
    (received, in_flight)
}

/// One worker: what it received, and whether its last request was on its way when the end came.
async fn work(agent: Agent, subject: String, seen: Arc<AtomicUsize>) -> (Vec<String>, bool) {
    let mut received = Vec::new();
    loop {
        match agent.exchanges(&subject).await {
            Ok(answer) => {
                received.push(token(&answer).1);
                seen.fetch_add(1, Ordering::Relaxed);
            }
            // A connection that could not be opened carried no request.
            Err(error) => return (received, !error.is_connect()),
        }
    }
}

fn report(engines: &[(&str, &[Round])]) -> String {
    let mut text = String::from(
        "# `kill -9` under load\n\n\
         Written by `DEPUTY_WRITE_DOCS=1 cargo test --test it kill_9`; every run of the tests asserts the\n\
         same. Agents exchange over HTTP without a pause; the server is killed at a moment of chance and\n\
         started again on its database. Every token that a client received has exactly one event on\n\
         record. A token whose answer was cut off may have one too, and nothing else has. The hash chains\n\
         verify, and what an operator was told to be revoked is still revoked.\n\n\
         | database | round | tokens received | events on record | requests in flight at the kill |\n\
         |---|---|---|---|---|\n",
    );
    for (engine, rounds) in engines {
        for (at, round) in rounds.iter().enumerate() {
            let Round { received, events, in_flight } = round;
            let number = at + 1;
            writeln!(text, "| {engine} | {number} | {received} | {events} | {in_flight} |")
                .unwrap();
        }
    }
    text
}
