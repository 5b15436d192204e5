//! Connections: the pools that read, the one connection that writes, and the schema they find.
//! Nothing outside this module and `twin` names an engine.

mod effects;

use std::{
    fs::File, io, net::IpAddr, os::unix::fs::OpenOptionsExt as _, path::Path, str::FromStr,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, PgConnection, PgPool, SqliteConnection, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::base::time::Timestamp;

use super::{
    chain::{LinkRow, PrivateRow},
    commit::Sent,
    error::{self, Error},
    rows::{DelegationRow, HeadRow, RevocationRow, StoredDocumentRow, number},
    sql,
    twin::{self, Twin},
};

/// Connections that read. Reads are lists for people and the state at start; four never wait long.
const READERS: u32 = 4;
/// How long a reader waits for a connection.
const ACQUIRE_MAX: Duration = Duration::from_secs(1);
/// How long one read may take.
const READ_MAX: Duration = Duration::from_secs(5);
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How long SQLite waits for another process that holds the file.
const BUSY_MAX: Duration = Duration::from_secs(1);
/// How long a statement or an idle transaction of the writer may hold what others wait for.
const WRITER_HOLDS_MS: &str = "1000";
/// The same for readers, who hold nothing.
const READER_HOLDS_MS: &str = "5000";
/// What was confirmed outlives a crash of the server, whatever it is set to otherwise: a revocation,
/// and the renewal of a lease, which others count on.
const DURABLE: (&str, &str) = ("synchronous_commit", "on");

/// Does the same, in the same words, on either engine.
macro_rules! on {
    ($kind:ident, $this:expr, $db:ident => $body:expr) => {
        match $this {
            $kind::Sqlite($db) => $body,
            $kind::Postgres($db) => $body,
        }
    };
}

// Below the macro, which it uses.
mod checkpoints;
mod history;
mod instances;
mod lookups;
mod retention;
mod schema;
mod sqlite;

/// Where a database is.
#[derive(Clone)]
pub(super) enum Address {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// The pool that reads.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The one connection that writes.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Which delegations a page is made of; see the texts in `sql`.
pub(super) struct DelegationQuery<'a> {
    pub before: (i64, &'a str),
    pub holder: Option<&'a str>,
    pub parent: Option<String>,
    pub live_at: i64,
    pub txn: Option<String>,
    pub subject: Option<(&'a str, &'a str)>,
    pub limit: i64,
}

/// Which index rows are read; see the texts in `sql`.
pub(super) struct IndexQuery<'a> {
    pub text: &'static str,
    pub before: (i64, &'a str, i64, i64),
    pub since: i64,
    pub value: Option<String>,
    pub limit: i64,
}

/// One row of `journal_index`.
#[derive(sqlx::FromRow)]
pub(super) struct IndexRow {
    pub at: i64,
    pub writer: String,
    pub seq: i64,
    pub n: i64,
    pub kind: String,
    pub outcome: String,
    pub tool: Option<String>,
    pub actors: String,
    pub key: Option<String>,
}

impl Address {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn parse(url: &str) -> Result<Address, Error> {
        let scheme = url.split(':').next().unwrap_or_default();
        // A password may stand behind the scheme, so only the scheme is ever repeated.
        let bad = || Error::Address(format!("{scheme}:…"));
        match scheme {
            // Every connection would have its own database in memory.
            "sqlite" if !url.contains(":memory:") && !url.contains("mode=memory") => {
                let options = SqliteConnectOptions::from_str(url).map_err(|_| bad())?;
                Ok(Address::Sqlite(Box::new(
                    options
                        .foreign_keys(true)
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .busy_timeout(BUSY_MAX)
                        .disable_statement_logging(),
                )))
            }
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(url).map_err(|_| bad())?;
                let mode =
                    tls_mode(&options, url.contains("sslmode=") || url.contains("ssl-mode="));
                Ok(Address::Postgres(Box::new(
                    options
                        .ssl_mode(mode.ok_or(Error::PlainText)?)
                        .application_name("deputy")
                        .options([("default_transaction_isolation", "read committed")])
                        .disable_statement_logging(),
                )))
            }
            _ => Err(bad()),
        }
    }

    /// The pool that reads. Connects when first used.
    pub fn pool(&self) -> Pool {
        match self {
            Address::Sqlite(options) => {
                let pool = SqlitePoolOptions::new()
                    .max_connections(READERS)
                    .acquire_timeout(ACQUIRE_MAX)
                    .test_before_acquire(false);
                Pool::Sqlite(pool.connect_lazy_with((**options).clone().read_only(true)))
            }
            Address::Postgres(options) => {
                let pool = PgPoolOptions::new()
                    .max_connections(READERS)
                    .acquire_timeout(ACQUIRE_MAX)
                    .test_before_acquire(true);
                let options = (**options).clone().options([
                    ("statement_timeout", READER_HOLDS_MS),
                    ("default_transaction_read_only", "on"),
                ]);
                Pool::Postgres(pool.connect_lazy_with(options))
            }
        }
    }

    /// A connection that writes.
    pub async fn connect(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Address::Sqlite(options) => Connection::Sqlite(
                in_time(CONNECT_MAX, SqliteConnection::connect_with(options)).await?,
            ),
            Address::Postgres(options) => {
                let options = (**options).clone().options([
                    DURABLE,
                    ("statement_timeout", WRITER_HOLDS_MS),
                    ("lock_timeout", WRITER_HOLDS_MS),
                    ("idle_in_transaction_session_timeout", WRITER_HOLDS_MS),
                ]);
                Connection::Postgres(
                    in_time(CONNECT_MAX, Box::pin(PgConnection::connect_with(&options))).await?,
                )
            }
        })
    }
}

/// How the connection is protected. Where nothing is said: on this machine not at all, elsewhere by a
/// certificate for the server's name. `None` for the modes that give in to whoever stands between.
fn tls_mode(options: &PgConnectOptions, said: bool) -> Option<PgSslMode> {
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    match options.get_ssl_mode() {
        PgSslMode::Prefer | PgSslMode::Allow if here && !said => Some(PgSslMode::Disable),
        PgSslMode::Prefer | PgSslMode::Allow if !said => Some(PgSslMode::VerifyFull),
        PgSslMode::Prefer | PgSslMode::Allow if !here => None,
        mode => Some(mode),
    }
}

/// Holds `FILE.lock` until dropped; the system lets go of it when a process dies.
///
/// A database that is not there yet is made readable by its owner alone; what SQLite puts beside it
/// gets the same mode.
async fn alone(database: &Path) -> Result<File, Error> {
    let database = database.to_owned();
    let locked = tokio::task::spawn_blocking(move || {
        let mut lock = database.clone().into_os_string();
        lock.push(".lock");
        let file = private(lock.as_ref())?;
        file.lock()?;
        drop(private(&database)?);
        Ok(file)
    });
    let locked = locked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    locked.map_err(|error| sqlx::Error::Io(error).into())
}

/// Opens a file that only its owner reads; makes it if it is missing.
fn private(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(0o600).open(path)
}

impl Connection {
    /// Runs one batch; whether `head` said the revision. What hangs on that, delegations and the
    /// links from a sequence on, is written only if it did. All that is written is durable when this
    /// returns.
    pub async fn batch(
        &mut self,
        twin: &Twin,
        mut sent: Sent<'_>,
        (revision, judged_from): (i64, i64),
    ) -> Result<bool, sqlx::Error> {
        match self {
            Connection::Postgres(db) => {
                let held: i64 = sqlx::query_scalar(twin.postgres)
                    .bind(sent.rows.json()?)
                    .bind(revision)
                    .bind(judged_from)
                    .bind(sent.records)
                    .fetch_one(db)
                    .await?;
                Ok(held > 0)
            }
            Connection::Sqlite(db) => {
                let few = sent.rows.few_json()?;
                let mut tx = db.begin_with(twin::BEGIN).await?;
                let said: Option<i64> = sqlx::query_scalar(only(twin))
                    .bind(&few)
                    .bind(revision)
                    .fetch_optional(&mut *tx)
                    .await?;
                let held = said.is_some_and(|said| said > 0);
                if twin.or_nothing && !held {
                    tx.rollback().await?;
                    return Ok(false);
                }
                sqlite::run(&mut tx, twin, &few, revision).await?;
                if !held {
                    sent.rows.drop_judged(judged_from);
                }
                sqlite::insert(&mut tx, sent).await?;
                tx.commit().await?;
                Ok(held)
            }
        }
    }

    /// `head`, on the connection that writes.
    pub async fn head(&mut self) -> Result<HeadRow, sqlx::Error> {
        on!(Connection, self, db => sqlx::query_as(sql::HEAD).fetch_one(db).await)
    }

    /// The version of one document; `None` if it does not exist.
    pub async fn version(&mut self, kind: &str, id: &str) -> Result<Option<i64>, sqlx::Error> {
        on!(Connection, self, db => {
            sqlx::query_scalar(sql::DOCUMENT_VERSION).bind(kind).bind(id).fetch_optional(db).await
        })
    }

    /// The last link of a writer's chain: sequence and hash.
    pub async fn chain_head(
        &mut self,
        writer: &str,
    ) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
        on!(Connection, self, db => {
            sqlx::query_as(sql::CHAIN_HEAD).bind(writer).fetch_optional(db).await
        })
    }

    /// Registers this run.
    pub async fn register(&mut self, writer: &str, at: Timestamp) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query(sql::WRITER_INSERT).bind(writer).bind(at.epoch_s());
            query.execute(db).await.map(|_| ())
        })
    }

    /// Raises the revision to at least this.
    pub async fn raise_to(&mut self, revision: u64) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => {
            sqlx::query(sql::HEAD_RAISE).bind(number(revision)).execute(db).await.map(|_| ())
        })
    }

    /// Whether it still is a connection.
    pub async fn ping(&mut self) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => db.ping().await)
    }

    /// Says good-bye.
    pub async fn close(self) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => db.close().await)
    }
}

impl Pool {
    pub async fn head(&self) -> Result<HeadRow, Error> {
        on!(Pool, self, db => read(sqlx::query_as(sql::HEAD).fetch_one(db)).await)
    }

    pub async fn documents(&self) -> Result<Vec<StoredDocumentRow>, Error> {
        on!(Pool, self, db => read(sqlx::query_as(sql::DOCUMENTS).fetch_all(db)).await)
    }

    pub async fn revocations(&self, after: i64, limit: i64) -> Result<Vec<RevocationRow>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::REVOCATIONS_AFTER).bind(after).bind(limit).fetch_all(db)).await
        })
    }

    pub async fn delegation(&self, id: &str) -> Result<Option<DelegationRow>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::DELEGATION).bind(id).fetch_optional(db)).await
        })
    }

    pub async fn delegations(&self, q: &DelegationQuery<'_>) -> Result<Vec<DelegationRow>, Error> {
        let text = match (&q.txn, q.subject) {
            (Some(_), _) => sql::DELEGATIONS_OF_TRANSACTION,
            (None, Some(_)) => sql::DELEGATIONS_OF_SUBJECT,
            (None, None) => sql::DELEGATIONS,
        };
        on!(Pool, self, db => {
            let mut query = sqlx::query_as(text)
                .bind(q.before.0)
                .bind(q.before.1)
                .bind(q.holder)
                .bind(q.parent.as_deref())
                .bind(q.live_at)
                .bind(q.limit);
            if let Some(txn) = &q.txn {
                query = query.bind(txn).bind(q.subject.map(|s| s.0)).bind(q.subject.map(|s| s.1));
            } else if let Some((issuer, sub)) = q.subject {
                query = query.bind(issuer).bind(sub);
            }
            read(query.fetch_all(db)).await
        })
    }

    pub async fn chain_links(
        &self,
        writer: &str,
        from: i64,
        limit: i64,
    ) -> Result<Vec<LinkRow>, Error> {
        on!(Pool, self, db => {
            let query = sqlx::query_as(sql::CHAIN_LINKS).bind(writer).bind(from).bind(limit);
            read(query.fetch_all(db)).await
        })
    }

    pub async fn chain_private(
        &self,
        writer: &str,
        from: i64,
        to: i64,
    ) -> Result<Vec<PrivateRow>, Error> {
        on!(Pool, self, db => {
            let query = sqlx::query_as(sql::CHAIN_PRIVATE).bind(writer).bind(from).bind(to);
            read(query.fetch_all(db)).await
        })
    }

    pub async fn links(
        &self,
        upto: (i64, &str, i64),
        since: i64,
        limit: i64,
    ) -> Result<Vec<LinkRow>, Error> {
        on!(Pool, self, db => {
            let query = sqlx::query_as(sql::LINKS).bind(upto.0).bind(upto.1).bind(upto.2);
            read(query.bind(since).bind(limit).fetch_all(db)).await
        })
    }

    pub async fn index(&self, q: &IndexQuery<'_>) -> Result<Vec<IndexRow>, Error> {
        let (at, writer, seq, n) = q.before;
        on!(Pool, self, db => {
            let query = sqlx::query_as(q.text).bind(at).bind(writer).bind(seq).bind(n);
            let mut query = query.bind(q.since).bind(q.limit);
            if let Some(value) = &q.value {
                query = query.bind(value);
            }
            read(query.fetch_all(db)).await
        })
    }

    pub async fn subject_keys(
        &self,
        issuer: &str,
        sub: &str,
        limit: i64,
    ) -> Result<Vec<String>, Error> {
        on!(Pool, self, db => {
            let query = sqlx::query_scalar(sql::SUBJECT_KEYS).bind(issuer).bind(sub).bind(limit);
            read(query.fetch_all(db)).await
        })
    }

    pub async fn close(&self) {
        on!(Pool, self, db => db.close().await);
    }
}

/// The first SQLite text: the one that answers, and the only one of a look-up.
fn only(twin: &Twin) -> &'static str {
    twin.sqlite.first().copied().unwrap_or_default()
}

async fn connected<T>(
    connecting: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    Ok(in_time(CONNECT_MAX, connecting).await?)
}

async fn read<T>(reading: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    Ok(in_time(READ_MAX, reading).await?)
}

/// The answer, or an error once it is too late: a connection cut in half never says so itself.
pub(super) async fn in_time<T>(
    max: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(max, answer).await.unwrap_or_else(|_| Err(error::too_late()))
}
