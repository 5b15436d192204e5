//! The store's promises, kept on both engines: SQLite in a file, PostgreSQL in the run's cluster.

mod audit;
mod commits;
mod effects;
mod race;
mod schema;

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

use deputy::{
    base::{
        id::{ClientId, DelegationId, ResourceId, TransactionId, WriterId},
        random::Random,
        time::{Seconds, Timestamp},
    },
    model::{
        actor::{ActorChain, Provenance},
        authority::Authority,
        checkpoint::Checkpoint,
        delegation::{Delegation, Source},
        effect::Effects,
        event::{Event, Hop, Kind, Outcome},
        resource::Effect,
        scope::Scope,
        subject::Subject,
        token::{Authentication, OurClaims, OurKind},
    },
    store::{ChainReport, Options, Page, Store},
};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::postgres::cluster;

/// Runs each test on both engines.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::store::Db::sqlite(stringify!($name))).await;
            }
        )* }
        mod on_postgres { $(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::store::Db::postgres(stringify!($name))).await;
            }
        )* }
    };
}
use on_both;

/// What is found in the log. Here nobody signs checkpoints.
async fn proved(store: &Store) -> ChainReport {
    let unsigned = |_: &str| None::<Checkpoint>;
    store.walk().await.unwrap().proved(&unsigned).await.unwrap()
}

/// One test's own database.
struct Db {
    url: String,
    dir: Option<PathBuf>,
}

/// A hand in the database that is not the store's.
pub enum Hand {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Db {
    fn sqlite(name: &str) -> Db {
        let dir = std::env::temp_dir().join(format!("deputy-it-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Db { url: format!("sqlite:{}", dir.join("deputy.db").display()), dir: Some(dir) }
    }

    fn postgres(name: &str) -> Db {
        Db { url: cluster().create_database(&format!("store_{name}"), "template1"), dir: None }
    }

    /// Opens the store as its `run`th writer.
    async fn open(&self, run: u8) -> Store {
        self.open_with(run, |_| {}).await
    }

    async fn open_with(&self, run: u8, change: impl FnOnce(&mut Options)) -> Store {
        let mut options = Options::new(at(0), Arc::new(Random::seeded(u64::from(run))));
        change(&mut options);
        Store::open(&self.url, &options, WriterId::from_bytes([run; 16])).await.unwrap()
    }

    async fn hand(&self) -> Hand {
        Hand::on(&self.url).await
    }

    /// Runs one statement behind the store's back.
    async fn tamper(&self, sql: &'static str) {
        self.hand().await.run(sql).await;
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            fs::remove_dir_all(dir).unwrap_or_default();
        }
    }
}

impl Hand {
    /// A hand in the database at `url`.
    pub async fn on(url: &str) -> Hand {
        if url.starts_with("sqlite:") {
            Hand::Sqlite(SqliteConnection::connect(url).await.unwrap())
        } else {
            Hand::Postgres(PgConnection::connect(url).await.unwrap())
        }
    }

    /// Runs one statement; how many rows it changed.
    pub async fn run(&mut self, sql: &'static str) -> u64 {
        match self {
            Hand::Sqlite(db) => sqlx::query(sql).execute(db).await.unwrap().rows_affected(),
            Hand::Postgres(db) => sqlx::query(sql).execute(db).await.unwrap().rows_affected(),
        }
    }

    /// The number that a statement gives.
    pub async fn number(&mut self, sql: &'static str) -> i64 {
        match self {
            Hand::Sqlite(db) => sqlx::query_scalar(sql).fetch_one(db).await.unwrap(),
            Hand::Postgres(db) => sqlx::query_scalar(sql).fetch_one(db).await.unwrap(),
        }
    }

    /// Begins a transaction that writes.
    pub async fn begin(&mut self) {
        match self {
            Hand::Sqlite(_) => self.run("BEGIN IMMEDIATE").await,
            Hand::Postgres(_) => self.run("BEGIN").await,
        };
    }

    /// Returns when another connection waits for a lock. SQLite cannot say who waits; there
    /// whoever comes later waits for certain.
    pub async fn see_somebody_wait(&mut self) {
        if let Hand::Postgres(_) = self {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while self.number(waiting).await == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_epoch_s(seconds.checked_add(1_800_000_000).unwrap()).unwrap()
}

fn alice() -> Subject {
    Subject { issuer: "https://login.example".into(), sub: "alice".into() }
}

fn agent() -> ClientId {
    ClientId::parse("cl_support-agent").unwrap()
}

fn id(n: u16) -> DelegationId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    DelegationId::from_bytes(bytes)
}

/// A root for Alice, the `n`th, issued `n` seconds after the beginning.
fn root(n: u16, revision: u64) -> Delegation {
    let claims = OurClaims {
        kind: OurKind::Call,
        path: vec![id(n)],
        txn: TransactionId::from_bytes([u8::try_from(n % 2).unwrap(); 16]),
        subject: alice(),
        sub: "alice".into(),
        own: false,
        audience: "https://tickets.example".into(),
        client: agent(),
        chain: ActorChain::default(),
        via: Vec::new(),
        scope: Scope::default(),
        authority: Authority::default(),
        issued_at: at(i64::from(n)),
        expires_at: at(i64::from(n)).plus(Seconds::new(120)),
        root_revision: revision,
        revision,
        authentication: Authentication::default(),
        groups: [].into(),
        bound: None,
    };
    Delegation {
        claims,
        source: Source::Foreign,
        record: format!("{{\"jti\":\"{}\"}}", id(n)).into(),
    }
}

/// The event of [`root`].
fn granted(n: u16) -> Event {
    Event { delegation: Some(id(n)), ..event(i64::from(n), Kind::Exchange, Outcome::Granted) }
}

fn event(seconds: i64, kind: Kind, outcome: Outcome) -> Event {
    Event {
        at: at(seconds),
        kind,
        outcome,
        reason: "permitted".into(),
        client: Some(agent()),
        subject: Some(alice()),
        chain: vec![Hop {
            issuer: "https://deputy.example/oauth2".into(),
            sub: "cl_billing-agent".into(),
            provenance: Provenance::Verified,
            via: Some("client_secret_basic".into()),
        }],
        resource: Some(ResourceId::parse("tickets").unwrap()),
        tool: None,
        effect: None,
        txn: None,
        delegation: None,
        parent: None,
        decision: None,
        error: None,
        revision: 0,
        arguments: None,
        detail: vec![("argument".into(), "A-17 \u{0} \"quoted\"".into())],
    }
}

/// An allowed read: journalled, and not indexed.
fn read(seconds: i64) -> Event {
    let tool = Some(Arc::from("tickets.get"));
    Event { tool, effect: Some(Effect::Read), ..event(seconds, Kind::Decision, Outcome::Granted) }
}

fn none() -> Effects {
    Effects::default()
}

fn page(limit: u16) -> Page {
    Page { after: None, limit }
}

/// Tables, columns and indexes that a migration makes, by name.
fn names(migration: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut names = BTreeSet::new();
    for line in migration.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("CREATE"), Some("TABLE"), Some(name)) => name.clone_into(&mut table),
            (Some("CREATE"), Some("INDEX"), Some(_)) => drop(names.insert(line.to_owned())),
            (Some("ALTER"), Some("TABLE"), Some(table)) => {
                let column = words.nth(2).unwrap_or_default();
                names.insert(format!("{table}.{column}"));
            }
            (Some(column), Some(_), _) if line.starts_with("  ") => {
                names.insert(format!("{table}.{column}"));
            }
            _ => {}
        }
    }
    names
}
