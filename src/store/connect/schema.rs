//! Which migrations a database has. Never runs one; that is `Address::migrate`.

use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    migrate::{MigrateError, Migrator},
};

use super::{super::error::Error, Address, POSTGRES_SCHEMA, SQLITE_SCHEMA, connected, read};
use crate::store::sql;

/// One migration that was run, as sqlx remembers it.
#[derive(sqlx::FromRow)]
struct AppliedRow {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

impl Address {
    /// The names of the migrations that this program has and the database has not, in order. An
    /// error if the database has one that this program does not know, or has another of the name.
    pub async fn pending(&self) -> Result<Vec<String>, Error> {
        let (applied, schema) = match self {
            Address::Sqlite(options) => {
                let options = (**options).clone().read_only(true);
                let applied = async {
                    let mut db = connected(SqliteConnection::connect_with(&options)).await?;
                    read(sqlx::query_as(sql::APPLIED).fetch_all(&mut db)).await
                };
                (applied.await, &SQLITE_SCHEMA)
            }
            Address::Postgres(options) => {
                let mut db = connected(Box::pin(PgConnection::connect_with(options))).await?;
                (read(sqlx::query_as(sql::APPLIED).fetch_all(&mut db)).await, &POSTGRES_SCHEMA)
            }
        };
        let applied = match applied {
            Err(Error::Unavailable(error)) if has_nothing(&error) => Vec::new(),
            applied => applied?,
        };
        compare(schema, &applied)
    }
}

/// Whether there is no such table or file: SQLite's `ERROR` for a statement that is right, its
/// `CANTOPEN`, PostgreSQL's `undefined_table`.
fn has_nothing(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    error.code().is_some_and(|code| matches!(&*code, "1" | "14" | "42P01"))
}

fn compare(schema: &Migrator, applied: &[AppliedRow]) -> Result<Vec<String>, Error> {
    for row in applied {
        let known = schema.iter().find(|known| known.version == row.version);
        let known = known.ok_or(Error::Newer { found: row.version })?;
        if !row.success {
            return Err(MigrateError::Dirty(row.version).into());
        }
        if *known.checksum != *row.checksum {
            return Err(MigrateError::VersionMismatch(row.version).into());
        }
    }
    let is_there = |version| applied.iter().any(|row| row.version == version);
    let missing = schema.iter().filter(|known| !is_there(known.version));
    Ok(missing.map(|known| format!("{:04}_{}", known.version, known.description)).collect())
}
