//! The batch with effects on the connection that writes: all of it, or nothing and why. Never who
//! gets what; that is `store::effects`.

use sqlx::Connection as _;

use super::{
    super::{
        commit::{NO_ROWS, Sent},
        effects::{Found, FoundRow},
        twin,
    },
    Connection, only, write_all,
};

impl Connection {
    /// Runs one batch with effects: all of it, or nothing; and what stood in the way.
    pub async fn batch_with_effects(
        &mut self,
        sent: &Sent,
        revision: i64,
    ) -> Result<(bool, Found), sqlx::Error> {
        match self {
            Connection::Postgres(db) => {
                let row: FoundRow = sqlx::query_as(twin::EFFECTS.postgres)
                    .bind(sent.tables.whole())
                    .bind(revision)
                    .bind(i64::MAX)
                    .fetch_one(db)
                    .await?;
                Ok((row.written, Found::read(&row)?))
            }
            Connection::Sqlite(db) => {
                let rows = |table: &str| sent.tables.rows(table).unwrap_or(NO_ROWS);
                let mut tx = db.begin_with(twin::BEGIN).await?;
                let row: FoundRow = sqlx::query_as(only(&twin::EFFECTS))
                    .bind(rows("once"))
                    .bind(revision)
                    .bind(rows("spend"))
                    .fetch_one(&mut *tx)
                    .await?;
                let found = Found::read(&row)?;
                if !found.is_clear(&sent.spend, revision) {
                    tx.rollback().await?;
                    return Ok((false, found));
                }
                let texts = twin::EFFECTS.sqlite.iter().skip(1);
                write_all(&mut tx, texts, &sent.tables, (revision, i64::MAX)).await?;
                tx.commit().await?;
                Ok((true, found))
            }
        }
    }
}
