//! Several `deputy serve` on one PostgreSQL, with what goes wrong among them: one that is stopped
//! and goes on, one that dies, one that is cut off, a database that restarts. And one SQLite file,
//! which serves one process.

use std::process::Stdio;

use deputy::{
    base::time::{Boot, Clock},
    demo::issuer::Issuer,
};
use reqwest::Method;
use serde_json::json;

use super::Place;
use crate::serve_process::{Agent, Registered, Server, deputy, token, user_token};

/// A lease and its margin, and as much again for a machine that is busy.
const DEAD_MAX_MS: u64 = 4_000;

/// Three instances of one place.
async fn three(place: &Place) -> (Vec<Server>, Registered, Issuer) {
    let issuer = Issuer::start("corp").await.unwrap();
    let first = place.start();
    let registered = first.register(&issuer).await;
    let servers = vec![first, place.start_beside(), place.start_beside()];
    (servers, registered, issuer)
}

async fn issued(server: &Server, registered: &Registered, issuer: &Issuer) -> (String, String) {
    token(&server.support(registered).exchanges(&user_token(issuer)).await.unwrap())
}

async fn revoke(server: &Server, delegation: &str) {
    server.admin(Method::POST, "/revocations", Some(&json!({ "delegation": delegation }))).await;
}

fn now() -> Boot {
    Clock::System.boot()
}

#[tokio::test]
async fn a_revocation_is_in_force_at_every_instance_when_it_is_answered() {
    let place = Place::on_postgres();
    let (servers, registered, issuer) = three(&place).await;
    let doors: Vec<Agent> = servers.iter().map(|server| server.tickets(&registered)).collect();
    for round in 0..30_usize {
        let (token, id) = issued(&servers[round % 3], &registered, &issuer).await;
        for door in &doors {
            assert!(door.accepts(&token).await);
        }
        revoke(&servers[(round + 1) % 3], &id).await;
        for door in &doors {
            assert!(!door.accepts(&token).await, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_stopped_instance_holds_nobody_up_for_long_and_its_first_answer_is_right() {
    let place = Place::on_postgres();
    let (servers, registered, issuer) = three(&place).await;
    let (token, id) = issued(&servers[0], &registered, &issuer).await;
    let resumed = servers[2].tickets(&registered);
    assert!(resumed.accepts(&token).await);
    servers[2].freeze();
    let begun = now();
    revoke(&servers[0], &id).await;
    assert!(begun.until(now()) < DEAD_MAX_MS, "{} ms", begun.until(now()));
    // The first answer, to a request that was sent while it was stopped.
    let first = tokio::spawn(async move { resumed.accepts(&token).await });
    tokio::task::yield_now().await;
    servers[2].thaw();
    assert!(!first.await.unwrap());
    // It is back: its next exchange and its next answer are as good as any.
    let (again, _) = issued(&servers[2], &registered, &issuer).await;
    assert!(servers[1].tickets(&registered).accepts(&again).await);
}

#[tokio::test]
async fn a_dead_instance_costs_one_wait() {
    let place = Place::on_postgres();
    let (mut servers, registered, issuer) = three(&place).await;
    servers[2].kill();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (token, id) = issued(&servers[0], &registered, &issuer).await;
        let begun = now();
        revoke(&servers[0], &id).await;
        waits.push(begun.until(now()));
        assert!(!servers[1].tickets(&registered).accepts(&token).await);
    }
    assert!(waits[0] < DEAD_MAX_MS, "{waits:?}");
    // Whoever saw it stand still struck it off meanwhile.
    assert!(waits[3] < waits[0], "{waits:?}");
    let (_, id) = issued(&servers[0], &registered, &issuer).await;
    servers.remove(1).terminate();
    revoke(&servers[0], &id).await;
}

#[tokio::test]
async fn a_second_process_on_one_sqlite_file_is_refused() {
    let place = Place::on_sqlite();
    let mut server = place.start();
    let refused = || {
        let address = crate::serve_process::free_address();
        let mut second = deputy(&place.folder.0, &["serve", "--listen", &address]);
        second.stderr(Stdio::piped()).stdout(Stdio::null()).output().unwrap()
    };
    let said = refused();
    assert!(!said.status.success());
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("another deputy serves this database"), "{said}");
    // However the first one ends, the file is free.
    server.kill();
    drop(server);
    assert_eq!(place.start().get("/health/ready").await.status, 200);
}
