//! The floor: the cheapest honest server that `scripts/bench` sets beside Deputy in the same run.
//!
//! It reads the same request bytes as a form, does exactly the cryptography and the durable write
//! its arguments name, and answers a fixed body of a given length. No middleware, no routing
//! beyond two paths, no knowledge of Deputy. It is kept fixed, so that ratios of commits compare.

use std::{hint::black_box, io::Write as _, net::SocketAddr, sync::Arc, thread};

use axum::{
    Form, Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use clap::{Parser, ValueEnum};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{self, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use sqlx::{PgPool, SqlitePool, postgres, sqlite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is signed and verified: as long as the signing input of a middling access token.
const SIGNING_INPUT: [u8; 640] = [b'a'; 640];
/// The payload of a durable row; with its keys the row is about 1 KB.
const ROW_BODY_BYTES: usize = 960;
/// Rows waiting for the writer: above any connection count the bench uses.
const ROWS_QUEUED_MAX: usize = 1_024;
/// Rows in one statement: 256 KB of JSON, far below SQLite's limit of 1 GB.
const ROWS_PER_COMMIT_MAX: usize = 256;
/// When every row expires. Never read: it only has to be indexed.
const EXPIRES_AT: i64 = 4_102_444_800;

const SQLITE_TABLE: &str = "CREATE TABLE row (id BLOB PRIMARY KEY, subject TEXT NOT NULL, \
     expires_at INTEGER NOT NULL, body TEXT NOT NULL); \
     CREATE INDEX row_subject ON row (subject, expires_at)";
const SQLITE_INSERT: &str = "INSERT INTO row SELECT unhex(value ->> 0), value ->> 1, \
     value ->> 2, value ->> 3 FROM json_each(?)";
const POSTGRES_TABLE: &str = "DROP TABLE IF EXISTS floor_row; \
     CREATE TABLE floor_row (id bytea PRIMARY KEY, subject text NOT NULL, \
     expires_at bigint NOT NULL, body text NOT NULL); \
     CREATE INDEX floor_row_subject ON floor_row (subject, expires_at)";
const POSTGRES_INSERT: &str = "INSERT INTO floor_row \
     SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::bigint[], $4::text[])";

#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Print the port on a line of its own once it listens.
    #[arg(long)]
    print_port: bool,
    /// The length of the answer's body.
    #[arg(long)]
    body_bytes: usize,
    /// The ring calls of every request.
    #[arg(long)]
    work: Work,
    /// Commit one row before every answer: `sqlite:PATH` (a new file) or a `postgres://` URL.
    #[arg(long)]
    durable: Option<String>,
    /// Worker threads; as many as there are cores to run on when absent.
    #[arg(long)]
    workers: Option<usize>,
}

/// How many ES256 verifications and signatures a request costs.
#[derive(Clone, Copy, ValueEnum)]
enum Work {
    Echo,
    Sign1,
    Verify1sign1,
    Verify2sign1,
    Verify3sign1,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let workers =
        arguments.workers.map_or_else(|| thread::available_parallelism().map(Into::into), Ok)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let rows = match arguments.durable.as_deref() {
        None => None,
        Some(target) => Some(start_writer(Table::create(target).await?)),
    };
    let floor = Arc::new(Floor::new(arguments.work, arguments.body_bytes, rows)?);
    let app = Router::new()
        .route("/oauth2/token", post(answer))
        .route("/oauth2/introspect", post(answer))
        .with_state(floor);
    let listener = TcpListener::bind(arguments.listen).await?;
    if arguments.print_port {
        writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    }
    Ok(axum::serve(listener, app).await?)
}

struct Floor {
    work: Work,
    random: SystemRandom,
    key: EcdsaKeyPair,
    public: UnparsedPublicKey<Vec<u8>>,
    signature: Vec<u8>,
    body: Bytes,
    rows: Option<mpsc::Sender<Row>>,
}

impl Floor {
    fn new(work: Work, bytes: usize, rows: Option<mpsc::Sender<Row>>) -> Result<Floor, Failure> {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| "no key generated")?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random)
            .map_err(|_| "the generated key does not load")?;
        let signature = key.sign(&random, &SIGNING_INPUT).map_err(|_| "the key does not sign")?;
        Ok(Floor {
            work,
            random,
            public: UnparsedPublicKey::new(
                &signature::ECDSA_P256_SHA256_FIXED,
                key.public_key().as_ref().to_vec(),
            ),
            signature: signature.as_ref().to_vec(),
            key,
            body: Bytes::from(vec![b'x'; bytes]),
            rows,
        })
    }

    /// Exactly the named ring calls.
    fn compute(&self) -> Result<(), ring::error::Unspecified> {
        let verifications = match self.work {
            Work::Echo | Work::Sign1 => 0,
            Work::Verify1sign1 => 1,
            Work::Verify2sign1 => 2,
            Work::Verify3sign1 => 3,
        };
        for _ in 0..verifications {
            self.public.verify(black_box(&SIGNING_INPUT), &self.signature)?;
        }
        if !matches!(self.work, Work::Echo) {
            black_box(self.key.sign(&self.random, &SIGNING_INPUT)?);
        }
        Ok(())
    }

    /// One row if rows are asked for, committed when this returns `Some`.
    async fn commit(&self) -> Option<()> {
        let Some(rows) = &self.rows else { return Some(()) };
        let mut id = [0; 16];
        self.random.fill(&mut id).ok()?;
        let (committed, reply) = oneshot::channel();
        rows.send(Row { id: u128::from_be_bytes(id), committed }).await.ok()?;
        reply.await.ok()
    }
}

async fn answer(
    State(floor): State<Arc<Floor>>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    black_box(&form);
    if floor.compute().is_err() || floor.commit().await.is_none() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, floor.body.clone()).into_response()
}

struct Row {
    id: u128,
    committed: oneshot::Sender<()>,
}

/// Group commit: whatever queued up while the last statement ran goes into the next one.
fn start_writer(table: Table) -> mpsc::Sender<Row> {
    let (sender, mut receiver) = mpsc::channel(ROWS_QUEUED_MAX);
    tokio::spawn(async move {
        let mut batch = Vec::with_capacity(ROWS_PER_COMMIT_MAX);
        while receiver.recv_many(&mut batch, ROWS_PER_COMMIT_MAX).await > 0 {
            let inserted = table.insert(&batch).await;
            // A row dropped unanswered is a 503.
            for row in batch.drain(..).filter(|_| inserted.is_ok()) {
                row.committed.send(()).ok();
            }
        }
    });
    sender
}

enum Table {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Table {
    async fn create(target: &str) -> Result<Table, Failure> {
        if let Some(path) = target.strip_prefix("sqlite:") {
            let options = sqlite::SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(sqlite::SqliteJournalMode::Wal)
                .synchronous(sqlite::SqliteSynchronous::Full);
            let pool =
                sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            sqlx::raw_sql(SQLITE_TABLE).execute(&pool).await?;
            return Ok(Table::Sqlite(pool));
        }
        let pool = postgres::PgPoolOptions::new().max_connections(1).connect(target).await?;
        sqlx::raw_sql(POSTGRES_TABLE).execute(&pool).await?;
        Ok(Table::Postgres(pool))
    }

    /// All of `batch` in one statement, which is its own transaction.
    async fn insert(&self, batch: &[Row]) -> Result<(), Failure> {
        let body = "b".repeat(ROW_BODY_BYTES);
        let subjects = batch.iter().map(|row| format!("user-{}", row.id & 0xff));
        match self {
            Table::Sqlite(pool) => {
                let rows: Vec<_> = batch
                    .iter()
                    .zip(subjects)
                    .map(|(row, subject)| (format!("{:032x}", row.id), subject, EXPIRES_AT, &body))
                    .collect();
                let rows = serde_json::to_string(&rows)?;
                sqlx::query(SQLITE_INSERT).bind(rows).execute(pool).await?;
            }
            Table::Postgres(pool) => {
                sqlx::query(POSTGRES_INSERT)
                    .bind(batch.iter().map(|row| row.id.to_be_bytes().to_vec()).collect::<Vec<_>>())
                    .bind(subjects.collect::<Vec<_>>())
                    .bind(vec![EXPIRES_AT; batch.len()])
                    .bind(vec![body; batch.len()])
                    .execute(pool)
                    .await?;
            }
        }
        Ok(())
    }
}
