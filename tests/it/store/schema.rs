//! Migrations and statements.

use std::fs;

use deputy::{
    base::id::WriterId,
    store::{Error, Options, Store, sql, twin},
};
use sqlx::{Executor, SqlSafeStr, query, query_scalar};

use super::{Db, Hand, at, granted, id, names, none, proved, root};

super::on_both! {
    every_statement_is_prepared
    a_newer_schema_is_refused
    a_newer_schema_that_only_adds_is_served
    what_is_pending_is_named_and_not_run
    two_processes_start_at_once
    a_writer_is_registered_once
}

async fn every_statement_is_prepared(db: Db) {
    db.open(1).await.close().await.unwrap();
    let mut hand = db.hand().await;
    for text in sql::ALL.iter().chain(sql::retention::ALL) {
        prepare(&mut hand, text).await;
    }
    for twin in twin::ALL {
        match &hand {
            Hand::Postgres(_) => prepare(&mut hand, twin.postgres).await,
            Hand::Sqlite(_) => {
                for text in twin.sqlite {
                    prepare(&mut hand, text).await;
                }
            }
        }
    }
}

/// Every instance looks for news with every change: a walk through all that was ever revoked would make
/// each revocation a little slower than the last.
#[tokio::test]
async fn news_are_found_by_their_number_however_many_were_revoked() {
    let db = Db::postgres("news");
    db.open(1).await.close().await.unwrap();
    let Hand::Postgres(mut hand) = db.hand().await else { panic!("no PostgreSQL") };
    let revoked = "INSERT INTO revocation (revision, kind, name, at)
        SELECT i, 'subject', 'ann', i FROM generate_series(1, 10000) AS i";
    hand.execute(revoked).await.unwrap();
    // The plan that a statement has which was prepared long ago.
    hand.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    let explains = "CREATE FUNCTION plan(asked text) RETURNS SETOF text LANGUAGE plpgsql AS
        $$ BEGIN
          EXECUTE 'PREPARE asked AS ' || asked;
          RETURN QUERY EXECUTE 'EXPLAIN EXECUTE asked (9999, 1000)';
        END $$";
    hand.execute(explains).await.unwrap();
    let plan = query_scalar("SELECT plan($1)").bind(sql::NEWS).fetch_all(&mut hand).await;
    let plan: Vec<String> = plan.unwrap();
    let found = |how: &str| plan.iter().any(|line| line.contains(how));
    assert!(found("using revocation_pkey on revocation"), "{plan:#?}");
    assert!(!found("Seq Scan on revocation"), "{plan:#?}");
}

/// A renewal must be on disk when it is confirmed, also behind what was said on its connection.
#[tokio::test]
async fn what_is_said_without_waiting_for_the_disk_lets_no_later_statement_off() {
    let db = Db::postgres("told");
    db.open(1).await.close().await.unwrap();
    let Hand::Postgres(mut hand) = db.hand().await else { panic!("no PostgreSQL") };
    hand.execute("SET synchronous_commit = on").await.unwrap();
    let entered =
        "INSERT INTO instance (writer, turn, applied, started_at) SELECT id, 1, 0, 0 FROM writer";
    assert_eq!(hand.execute(entered).await.unwrap().rows_affected(), 1);
    let writer: String =
        query_scalar("SELECT writer FROM instance").fetch_one(&mut hand).await.unwrap();
    for (says, stands) in [(7_i64, 7_i64), (5, 7), (9, 9)] {
        let told = query(twin::TELL).bind(&writer).bind(says).execute(&mut hand).await;
        told.unwrap();
        let applied = query_scalar("SELECT applied FROM instance").fetch_one(&mut hand).await;
        assert_eq!(applied.ok(), Some(stands));
        let waits: String =
            query_scalar("SHOW synchronous_commit").fetch_one(&mut hand).await.unwrap();
        assert_eq!(waits, "on");
    }
}

#[tokio::test]
async fn every_insert_is_prepared() {
    let db = Db::sqlite("inserts");
    db.open(1).await.close().await.unwrap();
    let mut hand = db.hand().await;
    for (_, text) in twin::INSERTS.iter().flat_map(|insert| insert.texts) {
        prepare(&mut hand, text).await;
    }
}

async fn prepare(hand: &mut Hand, text: &'static str) {
    let prepared = match hand {
        Hand::Sqlite(db) => db.prepare(text.into_sql_str()).await.map(|_| ()),
        Hand::Postgres(db) => db.prepare(text.into_sql_str()).await.map(|_| ()),
    };
    assert!(prepared.is_ok(), "{prepared:?}\n{text}");
}

/// What the next release runs: a migration that this one does not know.
const LATER: &str =
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (9999, 'later', true, '', 0)";

/// One that takes away what this release uses, and says so.
async fn a_newer_schema_is_refused(db: Db) {
    db.open(1).await.close().await.unwrap();
    for step in [LATER, "UPDATE schema_floor SET version = 9999"] {
        db.tamper(step).await;
    }
    for refused in [Store::migrate(&db.url).await, Store::pending(&db.url).await.map(drop)] {
        assert!(matches!(refused, Err(Error::Newer { found: 9999 })), "{refused:?}");
    }
    // Nor one that says nothing.
    db.tamper("DROP TABLE schema_floor").await;
    let refused = Store::migrate(&db.url).await;
    assert!(matches!(refused, Err(Error::Newer { found: 9999 })), "{refused:?}");
}

/// While this release runs, the next one adds to the schema; both go on, and this one starts again.
async fn a_newer_schema_that_only_adds_is_served(db: Db) {
    let running = db.open(1).await;
    let again = |n| running.writer().delegate(root(n, 0), granted(n), none());
    again(1).await.unwrap();
    for step in [
        "ALTER TABLE delegation ADD COLUMN later TEXT",
        "CREATE TABLE later (id TEXT NOT NULL PRIMARY KEY)",
        "CREATE INDEX later_issued ON delegation (issued_at, later)",
        LATER,
    ] {
        db.tamper(step).await;
    }
    again(2).await.unwrap();
    assert!(running.delegation(id(1)).await.unwrap().is_some());
    running.close().await.unwrap();
    assert!(Store::pending(&db.url).await.unwrap().is_empty());
    let started = db.open(2).await;
    started.writer().delegate(root(3, 0), granted(3), none()).await.unwrap();
    for n in 1..=3 {
        assert!(started.delegation(id(n)).await.unwrap().is_some());
    }
    assert_eq!(proved(&started).await.broken, None);
    started.close().await.unwrap();
}

async fn what_is_pending_is_named_and_not_run(db: Db) {
    let all = Store::pending(&db.url).await.unwrap();
    assert_eq!(all.first().map(String::as_str), Some("0001_begin"), "{all:?}");
    assert_eq!(Store::pending(&db.url).await.unwrap(), all, "asking changes nothing");
    Store::migrate(&db.url).await.unwrap();
    assert!(Store::pending(&db.url).await.unwrap().is_empty());
    db.tamper("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    assert_eq!(Store::pending(&db.url).await.unwrap(), ["0002_effects"]);
    db.tamper("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").await;
    db.tamper("UPDATE schema_floor SET version = 9999").await;
    let refused = Store::pending(&db.url).await;
    assert!(matches!(refused, Err(Error::Newer { found: 9999 })), "{refused:?}");
}

async fn two_processes_start_at_once(db: Db) {
    let (one, two) = tokio::join!(Store::migrate(&db.url), Store::migrate(&db.url));
    one.unwrap();
    two.unwrap();
}

async fn a_writer_is_registered_once(db: Db) {
    let store = db.open(1).await;
    let options = Options::new(at(0), deputy::base::random::Random::seeded(1).into());
    let again = Store::open(&db.url, &options, WriterId::from_bytes([1; 16])).await;
    assert!(matches!(again.err(), Some(Error::Refused { .. })));
    store.close().await.unwrap();
}

#[test]
fn migrations_are_twins() {
    let list = |engine: &str| {
        let dir = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files
    };
    let (sqlite, postgres) = (list("sqlite"), list("postgres"));
    assert_eq!(sqlite.len(), postgres.len());
    for (sqlite, postgres) in sqlite.iter().zip(&postgres) {
        assert_eq!(sqlite.file_name(), postgres.file_name());
        let texts = [sqlite, postgres].map(|file| fs::read_to_string(file).unwrap());
        let named = texts.each_ref().map(|text| names(text));
        assert_eq!(named[0], named[1]);
        // What makes nothing says the same in the same words.
        let said = texts
            .each_ref()
            .map(|text| text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>());
        assert!(!named[0].is_empty() || (said[0] == said[1] && !said[0].is_empty()));
    }
}

#[tokio::test]
async fn only_the_two_engines_are_taken() {
    for url in ["mysql://root:secret@db/deputy", "sqlite::memory:", "deputy.db", ""] {
        let refused = Store::migrate(url).await.unwrap_err();
        assert!(matches!(refused, Error::Address(_)));
        assert!(!refused.to_string().contains("secret"));
    }
}
