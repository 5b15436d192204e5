//! What sweeps delete, and what the retention of the audit log reads and writes. Never what is old,
//! nor what is said of it.

use sqlx::Connection as _;

use crate::base::time::Timestamp;

use super::{
    super::{error::Error, rows::number, sql::retention as sql, writer::Shorten},
    Connection, Pool, read,
};

impl Pool {
    /// Chains with covered links older than `before`: writer, where it begins, how far it is covered.
    pub async fn chains_too_long(
        &self,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(String, i64, i64)>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::CHAINS_TOO_LONG).bind(before).bind(limit).fetch_all(db)).await
        })
    }

    /// The last link of a stretch that is older than `before`: number and hash.
    pub async fn last_old_link(
        &self,
        writer: &str,
        (behind, upto): (i64, i64),
        before: i64,
    ) -> Result<Option<(i64, Vec<u8>)>, Error> {
        on!(Pool, self, db => {
            let link = sqlx::query_as(sql::LAST_OLD_LINK).bind(writer).bind(behind);
            read(link.bind(upto).bind(before).fetch_optional(db)).await
        })
    }

    /// Bases that no checkpoint from `n` on has said.
    pub async fn bases_said_before(
        &self,
        n: i64,
        limit: i64,
    ) -> Result<Vec<(String, i64, Vec<u8>)>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::BASES_SAID_BEFORE).bind(n).bind(limit).fetch_all(db)).await
        })
    }

    /// The first checkpoint, and the first that was signed at or after `since`.
    pub async fn first_checkpoints(&self, since: i64) -> Result<(Option<i64>, Option<i64>), Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::FIRST_CHECKPOINTS).bind(since).fetch_one(db)).await
        })
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

    /// Has chains begin where a checkpoint says.
    pub async fn shorten(&mut self, said: &Shorten) -> Result<(), sqlx::Error> {
        on!(Connection, self, db => {
            let mut tx = db.begin().await?;
            for base in &said.bases {
                let put = sqlx::query(sql::BASE_PUT);
                let put = put.bind(&*base.writer).bind(number(base.seq));
                let put = put.bind(base.hash.as_bytes().to_vec()).bind(said.at.epoch_s());
                put.bind(number(said.n)).execute(&mut *tx).await?;
            }
            tx.commit().await
        })
    }
}
