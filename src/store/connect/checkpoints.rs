//! What keeps the audit log evidence: checkpoints and what they are made from, and the erasure of a
//! person. Never what a checkpoint says.

use sqlx::Connection as _;

use crate::model::subject::Subject;

use super::{
    super::{
        SHORTENED_FOR,
        error::Error,
        rows::number,
        sql::{self, retention},
        writer::NewCheckpoint,
    },
    Connection, Pool, read,
};

impl Pool {
    /// The last links of chains that no checkpoint covers: writer, sequence and hash.
    pub async fn uncovered(&self, limit: i64) -> Result<Vec<(String, i64, Vec<u8>)>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::UNCOVERED).bind(limit).fetch_all(db)).await
        })
    }

    /// The last link of every chain.
    pub async fn chain_ends(&self) -> Result<Vec<(String, i64)>, Error> {
        on!(Pool, self, db => read(sqlx::query_as(sql::CHAIN_ENDS).fetch_all(db)).await)
    }

    /// Where chains begin that were shortened: writer, sequence and hash.
    pub async fn chain_bases(&self) -> Result<Vec<(String, i64, Vec<u8>)>, Error> {
        on!(Pool, self, db => read(sqlx::query_as(sql::CHAIN_BASES).fetch_all(db)).await)
    }

    /// Checkpoints after a number, in order.
    pub async fn checkpoints(&self, after: i64, limit: i64) -> Result<Vec<(i64, String)>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::CHECKPOINTS).bind(after).bind(limit).fetch_all(db)).await
        })
    }

    /// The last checkpoint.
    pub async fn last_checkpoint(&self) -> Result<Option<(i64, String)>, Error> {
        on!(Pool, self, db => read(sqlx::query_as(sql::LAST_CHECKPOINT).fetch_optional(db)).await)
    }

    /// When it was signed, in epoch seconds.
    pub async fn last_checkpoint_at(&self) -> Result<Option<i64>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_scalar(sql::LAST_CHECKPOINT_AT).fetch_optional(db)).await
        })
    }

    /// The keys that ever signed one: `kid`, JWK and tag.
    pub async fn checkpoint_keys(&self) -> Result<Vec<(String, String, String)>, Error> {
        on!(Pool, self, db => read(sqlx::query_as(sql::CHECKPOINT_KEYS).fetch_all(db)).await)
    }
}

impl Connection {
    /// Deletes at most `limit` rows of a subject; how many.
    pub async fn erase(
        &mut self,
        text: &'static str,
        subject: &Subject,
        limit: i64,
    ) -> Result<u64, sqlx::Error> {
        on!(Connection, self, db => {
            let query = sqlx::query(text).bind(&*subject.issuer).bind(&*subject.sub).bind(limit);
            query.execute(db).await.map(|done| done.rows_affected())
        })
    }

    /// Writes a checkpoint; whether no other instance was faster.
    pub async fn checkpoint(&mut self, new: &NewCheckpoint) -> Result<bool, sqlx::Error> {
        on!(Connection, self, db => {
            let mut tx = db.begin().await?;
            let insert = sqlx::query(sql::CHECKPOINT_INSERT);
            let insert = insert.bind(number(new.n)).bind(new.at.epoch_s()).bind(&new.jws);
            let insert = insert.bind(new.begins.map(number));
            if insert.execute(&mut *tx).await?.rows_affected() == 0 {
                tx.rollback().await?;
                return Ok(false);
            }
            let key = sqlx::query(sql::CHECKPOINT_KEY_INSERT);
            key.bind(&new.kid).bind(&new.jwk).bind(&new.tag).execute(&mut *tx).await?;
            for head in &new.heads {
                let put = sqlx::query(sql::CHECKPOINT_HEAD_PUT);
                put.bind(&*head.writer).bind(number(head.seq)).execute(&mut *tx).await?;
            }
            for base in &new.bases {
                let put = sqlx::query(retention::BASE_PUT).bind(&*base.writer);
                let put = put.bind(number(base.seq)).bind(base.hash.as_bytes().to_vec());
                let put = put.bind(new.at.epoch_s());
                put.bind(new.at.minus(SHORTENED_FOR).epoch_s()).execute(&mut *tx).await?;
            }
            for gone in &new.gone {
                sqlx::query(retention::BASE_DROP).bind(&**gone).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(true)
        })
    }
}
