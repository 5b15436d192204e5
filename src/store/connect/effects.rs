//! The batch with effects on the connection that writes: all of it, or nothing and why. Never who
//! gets what; that is `store::effects`.

use sqlx::Connection as _;

use super::{
    super::{
        commit::Sent,
        effects::{Found, FoundRow},
        twin,
    },
    Connection, only, sqlite,
};

impl Connection {
    /// Runs one batch with effects: all of it, or nothing; and what stood in the way.
    pub async fn batch_with_effects(
        &mut self,
        sent: Sent<'_>,
        revision: i64,
    ) -> Result<(bool, Found), sqlx::Error> {
        match self {
            Connection::Postgres(db) => {
                let row: FoundRow = sqlx::query_as(twin::EFFECTS.postgres)
                    .bind(sent.rows.json()?)
                    .bind(revision)
                    .bind(i64::MAX)
                    .bind(sent.records)
                    .fetch_one(db)
                    .await?;
                Ok((row.written, Found::read(&row)?))
            }
            Connection::Sqlite(db) => {
                let few = sent.rows.few_json()?;
                let mut tx = db.begin_with(twin::BEGIN).await?;
                let row: FoundRow = sqlx::query_as(only(&twin::EFFECTS))
                    .bind(&few)
                    .bind(revision)
                    .fetch_one(&mut *tx)
                    .await?;
                let found = Found::read(&row)?;
                if !found.is_clear(&sent.rows.spend, revision) {
                    tx.rollback().await?;
                    return Ok((false, found));
                }
                if !sent.rows.spend.is_empty() {
                    sqlite::run(&mut tx, &twin::EFFECTS, &few, revision).await?;
                }
                sqlite::insert(&mut tx, sent).await?;
                tx.commit().await?;
                Ok((true, found))
            }
        }
    }
}
