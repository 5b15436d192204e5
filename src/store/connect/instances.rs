//! What the instances of one database tell each other, and the connection by which one of them
//! follows it. Never what any of it means; that is `model::lease` and `service::coherence`.

use std::{fs::File, io};

use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    postgres::{PgListener, PgPoolOptions},
};

use super::{
    super::{
        error::Error,
        rows::{HeadRow, InstanceRow, NewsRow, RevocationRow, StoredDocumentRow},
        sql,
        twin::{self, APPLIED, CHANGED},
    },
    ACQUIRE_MAX, Address, CONNECT_MAX, Connection, DURABLE, READER_HOLDS_MS, in_time, private,
};
use crate::base::time::Timestamp;

impl Address {
    /// A connection that follows the database.
    pub async fn follow(&self) -> Result<Connection, sqlx::Error> {
        let connecting = async {
            Ok(match self {
                Address::Sqlite(options) => {
                    Connection::Sqlite(SqliteConnection::connect_with(options).await?)
                }
                Address::Postgres(options) => {
                    let options = (**options).clone().options([
                        ("statement_timeout", READER_HOLDS_MS),
                        ("lock_timeout", READER_HOLDS_MS),
                        DURABLE,
                    ]);
                    Connection::Postgres(Box::pin(PgConnection::connect_with(&options)).await?)
                }
            })
        };
        in_time(CONNECT_MAX, connecting).await
    }

    /// Whether several instances may serve this database.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Address::Postgres(_))
    }

    /// Listens for changes by others; `None` where there are no others.
    pub async fn listen(&self) -> Result<Option<PgListener>, sqlx::Error> {
        let Address::Postgres(options) = self else { return Ok(None) };
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_MAX);
        let pool = pool.connect_lazy_with((**options).clone());
        let listening = async {
            let mut listener = Box::pin(PgListener::connect_with(&pool)).await?;
            listener.listen_all([CHANGED, APPLIED]).await?;
            Ok(listener)
        };
        in_time(CONNECT_MAX, listening).await.map(Some)
    }

    /// Keeps other processes from serving the same file until what it gives is dropped; the system
    /// lets go of it when a process dies. Nothing to keep on PostgreSQL.
    pub async fn claim(&self) -> Result<Option<File>, Error> {
        let Address::Sqlite(options) = self else { return Ok(None) };
        let mut path = options.get_filename().to_owned().into_os_string();
        path.push(".serving");
        let locked = tokio::task::spawn_blocking(move || {
            let file = private(path.as_ref())?;
            match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(std::fs::TryLockError::WouldBlock) => Ok(None),
                Err(std::fs::TryLockError::Error(error)) => Err(error),
            }
        });
        let locked = locked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let file = locked.map_err(sqlx::Error::Io)?;
        file.map(Some).ok_or(Error::Served)
    }
}

impl Connection {
    /// Renews the lease of an instance; `None` if it is not registered.
    pub async fn renew(
        &mut self,
        writer: &str,
        turn: i64,
        applied: i64,
    ) -> Result<Option<HeadRow>, sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query_as(sql::INSTANCE_RENEW).bind(writer).bind(turn).bind(applied);
            query.fetch_optional(db).await
        })
    }

    /// Says how far an instance is, to whoever waits for it. On SQLite there is nobody.
    pub async fn tell(&mut self, writer: &str, applied: i64) -> Result<(), sqlx::Error> {
        if let Connection::Postgres(db) = self {
            sqlx::query(twin::TELL).bind(writer).bind(applied).execute(db).await?;
        }
        Ok(())
    }

    /// Registers an instance.
    pub async fn enter(
        &mut self,
        writer: &str,
        turn: i64,
        started_at: Timestamp,
    ) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query(sql::INSTANCE_INSERT).bind(writer).bind(turn);
            query.bind(started_at.epoch_s()).execute(db).await.map(|_| ())
        })
    }

    /// Every registered instance.
    pub async fn instances(&mut self) -> Result<Vec<InstanceRow>, sqlx::Error> {
        on!(Connection, self, db => sqlx::query_as(sql::INSTANCES).fetch_all(db).await)
    }

    /// Forgets an instance if it still stands at a turn.
    pub async fn lapse(&mut self, writer: &str, turn: i64) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query(sql::INSTANCE_LAPSE).bind(writer).bind(turn);
            query.execute(db).await.map(|_| ())
        })
    }

    /// Forgets an instance.
    pub async fn leave(&mut self, writer: &str) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => {
            sqlx::query(sql::INSTANCE_LEAVE).bind(writer).execute(db).await.map(|_| ())
        })
    }

    /// The whole registry.
    pub async fn documents(&mut self) -> Result<Vec<StoredDocumentRow>, sqlx::Error> {
        on!(Connection, self, db => sqlx::query_as(sql::DOCUMENTS).fetch_all(db).await)
    }

    /// `head`, and revocations after a number, in order.
    pub async fn news(&mut self, after: i64, limit: i64) -> Result<Vec<NewsRow>, sqlx::Error> {
        on!(Connection, self, db => {
            sqlx::query_as(sql::NEWS).bind(after).bind(limit).fetch_all(db).await
        })
    }

    /// Revocations after a number, in order.
    pub async fn revocations(
        &mut self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<RevocationRow>, sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query_as(sql::REVOCATIONS_AFTER).bind(after).bind(limit);
            query.fetch_all(db).await
        })
    }
}
