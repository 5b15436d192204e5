//! What sweeps delete, and what the retention of the audit log reads and writes. Never what is old,
//! nor what is said of it.

use sqlx::Connection as _;

use crate::base::time::Timestamp;

use super::{
    super::{
        error::Error,
        rows::{count, number},
        sql::retention as sql,
        twin,
    },
    Connection, Pool, read,
};

impl Pool {
    /// Whether there is a link of a chain.
    pub async fn has_links(&self, writer: &str) -> Result<bool, Error> {
        let count: i64 = on!(Pool, self, db => {
            read(sqlx::query_scalar(sql::HAS_LINKS).bind(writer).fetch_one(db)).await
        })?;
        Ok(count > 0)
    }
}

impl Connection {
    /// Deletes at most `limit` rows by one of the sweeps; how many.
    pub async fn sweep(
        &mut self,
        text: &'static str,
        until: Timestamp,
        limit: i64,
    ) -> Result<u64, sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query(text).bind(until.epoch_s()).bind(limit);
            query.execute(db).await.map(|done| done.rows_affected())
        })
    }

    /// Deletes the oldest links that chains no longer begin with, with all that stands beside them;
    /// how many.
    pub async fn sweep_links(&mut self, until: Timestamp, limit: i64) -> Result<u64, sqlx::Error> {
        let begin = match self {
            Connection::Postgres(_) => "BEGIN",
            Connection::Sqlite(_) => twin::BEGIN,
        };
        on!(Connection, self, db => {
            let mut tx = db.begin_with(begin).await?;
            let doomed = sqlx::query_as(sql::DOOMED).bind(until.epoch_s()).bind(limit);
            let doomed: Vec<(String, i64, i64)> = doomed.fetch_all(&mut *tx).await?;
            for (writer, seq, at) in &doomed {
                let index = sqlx::query(sql::DELETE_INDEX).bind(writer).bind(seq).bind(at);
                index.execute(&mut *tx).await?;
                for text in [sql::DELETE_PRIVATE, sql::DELETE_LINK] {
                    sqlx::query(text).bind(writer).bind(seq).execute(&mut *tx).await?;
                }
            }
            tx.commit().await?;
            Ok(count(number(doomed.len())).unwrap_or(0))
        })
    }
}
