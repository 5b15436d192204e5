//! A database that goes away, is too slow, takes nothing, or says yes to nobody's hearing.

use std::{net::SocketAddr, sync::Arc};

use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use super::{ANSWER_MAX, ENOUGH, Load, Stage, right};
use crate::{
    postgres::{Cluster, cluster},
    proxy::{Passage, Proxy},
    serve_process::{Folder, Server, free_address, token, user_token},
    store::Hand,
};

/// One more than the writer's queue takes, the batch that it is about, and who else asks.
const MORE_THAN_WAIT: usize = 1_400;

async fn on(database: &str) -> Arc<Stage> {
    let folder = Folder::new();
    let server = Server::start(&folder.0, &free_address(), &["--database", database]);
    Stage::of(server, folder).await
}

/// Behind a proxy before the run's cluster; and the way around it. The proxy needs a thread of its own:
/// the one that starts the server waits for it.
async fn behind_a_proxy(name: &str) -> (Arc<Stage>, Proxy, String) {
    let url = cluster().create_database(name, "template1");
    let proxy = Proxy::before(SocketAddr::from(([127, 0, 0, 1], cluster().port()))).await;
    let stage = on(&format!("postgres://deputy@{}/{name}", proxy.address)).await;
    (stage, proxy, url)
}

/// How many delegations the database has.
async fn delegations(database: &str) -> i64 {
    let Hand::Postgres(mut hand) = Hand::on(database).await else { unreachable!() };
    sqlx::query_scalar("SELECT count(*) FROM delegation").fetch_one(&mut hand).await.unwrap()
}

#[tokio::test]
async fn a_database_that_crashes_and_starts_again() {
    let cluster = Cluster::own();
    let stage = on(&cluster.create_database("crashes", "template1")).await;
    stage.survives(async |_| cluster.restart()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset() {
    let (stage, proxy, _) = behind_a_proxy("reset").await;
    let fault = async |load: &Load| {
        proxy.set(Passage::Cut);
        load.refuses().await;
        proxy.set(Passage::Open);
    };
    stage.survives(fault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_holds_everything_back_and_delivers_it_late() {
    let (stage, proxy, _) = behind_a_proxy("held").await;
    let fault = async |load: &Load| {
        proxy.set(Passage::Held);
        load.refuses().await;
        proxy.set(Passage::Open);
    };
    stage.survives(fault).await;
}

/// What is committed and not confirmed is on record once, and its token was given to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn commits_whose_answers_are_lost() {
    let (stage, proxy, around) = behind_a_proxy("answer_lost").await;
    let fault = async |load: &Load| {
        proxy.set(Passage::Deaf);
        load.refuses().await;
        proxy.set(Passage::Cut);
        load.refuses().await;
        proxy.set(Passage::Open);
    };
    stage.survives(fault).await;

    // One alone, to be seen in the database and not at the client.
    let before = delegations(&around).await;
    proxy.set(Passage::Deaf);
    let lost = stage.agent.exchanges(&user_token(&stage.issuer)).await.unwrap();
    assert!(right(lost).is_none(), "nobody confirmed it");
    assert_eq!(delegations(&around).await, before + 1);
    proxy.set(Passage::Cut);
    proxy.set(Passage::Open);
    stage.survives(async |_| {}).await;
}

/// A call that may run once: its answer is lost, and the same question gets the same answer; any
/// other is one too many.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_use_whose_commit_was_not_confirmed() {
    let (stage, proxy, _) = behind_a_proxy("single_use").await;
    let subject = user_token(&stage.issuer);
    let (once, _) = token(&stage.agent.exchanges_for_calls(&subject, 1).await.unwrap());
    let ask = async |call_id: &str| {
        let fields = [
            ("token", once.as_str()),
            ("resource", crate::serve_process::TICKETS),
            ("tool", "tickets.get"),
            ("arguments", "{}"),
            ("call_id", call_id),
        ];
        let asked = stage.tickets.posts("introspect", &fields);
        right(timeout(ANSWER_MAX, asked).await.unwrap().unwrap())
    };
    proxy.set(Passage::Deaf);
    assert!(ask("the-first").await.is_none());
    proxy.set(Passage::Cut);
    proxy.set(Passage::Open);
    let again = loop {
        if let Some(answer) = ask("the-first").await {
            break answer;
        }
    };
    assert_eq!(again.json["decision"]["allow"], json!(true), "{again:?}");
    for other in ["the-second", "the-third"] {
        let denied = ask(other).await.unwrap();
        assert_eq!(denied.json["decision"]["reason"], json!("calls_exhausted"), "{denied:?}");
    }
    stage.holds(&[]).await;
}

/// A standby after a failover, or a database whose disk an operator has shut.
#[tokio::test]
async fn a_database_that_only_reads() {
    let url = cluster().create_database("only_reads", "template1");
    let stage = on(&url).await;
    let turn = async |way: &'static str| {
        let mut hand = Hand::on(&cluster().url("postgres")).await;
        hand.run(way).await;
        // Sessions keep what they began with.
        hand.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'only_reads'",
        )
        .await;
    };
    let fault = async |load: &Load| {
        turn("ALTER DATABASE only_reads SET default_transaction_read_only = on").await;
        load.refuses().await;
        turn("ALTER DATABASE only_reads SET default_transaction_read_only = off").await;
    };
    stage.survives(fault).await;
}

#[tokio::test]
async fn a_database_that_takes_no_more_connections() {
    let url = cluster().create_database("connections", "template1");
    let mut hand = Hand::on(&cluster().url("postgres")).await;
    hand.run("CREATE ROLE few LOGIN").await;
    hand.run("ALTER DATABASE connections OWNER TO few").await;
    let stage = on(&url.replace("deputy@", "few@")).await;
    let fault = async |load: &Load| {
        hand.run("ALTER ROLE few CONNECTION LIMIT 0").await;
        hand.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'")
            .await;
        load.refuses().await;
        hand.run("ALTER ROLE few CONNECTION LIMIT 50").await;
    };
    stage.survives(fault).await;
}

/// A disk that is too slow looks like this: nothing that writes comes to an end.
#[tokio::test]
async fn a_postgresql_that_writes_nothing_for_a_while() {
    let url = cluster().create_database("too_slow", "template1");
    let mut hand = Hand::on(&url).await;
    let stop = ["BEGIN", "LOCK TABLE delegation IN EXCLUSIVE MODE"];
    stops_writing(&on(&url).await, &mut hand, &stop).await;
}

#[tokio::test]
async fn a_sqlite_that_writes_nothing_for_a_while() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.0.join("deputy.db").display());
    let server = Server::start(&folder.0, &free_address(), &["--database", &url]);
    let stage = Stage::of(server, folder).await;
    let mut hand = Hand::on(&url).await;
    stops_writing(&stage, &mut hand, &["BEGIN IMMEDIATE"]).await;
}

/// Under load; and with more who want something written than may wait for it.
async fn stops_writing(stage: &Arc<Stage>, hand: &mut Hand, stop: &[&'static str]) {
    let fault = async |load: &Load| {
        for step in stop {
            hand.run(step).await;
        }
        load.refuses().await;
        hand.run("ROLLBACK").await;
    };
    stage.survives(fault).await;

    for step in stop {
        hand.run(step).await;
    }
    let mut asking = JoinSet::new();
    for _ in 0..MORE_THAN_WAIT {
        let (agent, subject) = (stage.agent.clone(), user_token(&stage.issuer));
        asking.spawn(async move { right(agent.exchanges(&subject).await.unwrap()) });
    }
    let answers = asking.join_all().await;
    assert!(answers.iter().filter(|answer| answer.is_none()).count() >= ENOUGH);
    hand.run("ROLLBACK").await;
    let ids: Vec<String> = answers.iter().flatten().map(|answer| token(answer).1).collect();
    stage.survives(async |_| {}).await;
    stage.holds(&ids).await;
}
