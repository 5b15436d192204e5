//! The schema: which migrations a database has, whether this program may serve it, and bringing it up
//! to date.

use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    migrate::{MigrateError, Migrator},
};

use super::{super::error::Error, Address, alone, connected, read};
use crate::store::{sql, twin};

// Whether a migration that is not known is in the way says the floor, not sqlx.
static SQLITE_SCHEMA: Migrator =
    Migrator { ignore_missing: true, ..sqlx::migrate!("migrations/sqlite") };
static POSTGRES_SCHEMA: Migrator =
    Migrator { ignore_missing: true, ..sqlx::migrate!("migrations/postgres") };

/// One migration that was run, as sqlx remembers it.
#[derive(sqlx::FromRow)]
struct AppliedRow {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

/// What a database says of its schema.
#[derive(Default)]
struct Found {
    applied: Vec<AppliedRow>,
    /// The oldest migration that a program must know to serve it.
    floor: Option<i64>,
}

/// What a database says of its schema.
macro_rules! found {
    ($db:expr) => {{
        let applied = read(sqlx::query_as(sql::APPLIED).fetch_all(&mut *$db)).await;
        let floor = read(sqlx::query_scalar(sql::FLOOR).fetch_optional(&mut *$db)).await;
        Ok::<Found, Error>(Found {
            applied: if_there(applied)?.unwrap_or_default(),
            floor: if_there(floor)?.flatten(),
        })
    }};
}

impl Address {
    /// Brings the schema up to date, one process at a time. Refuses one that this program does not
    /// know, unless the database says that it may serve it all the same.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Address::Sqlite(options) => {
                // The switch to WAL takes a lock that SQLite does not wait for, and sqlx has no lock
                // of its own for SQLite: one process at a time, by a lock file beside the database.
                let _alone = alone(options.get_filename()).await?;
                let options = options.clone().create_if_missing(true);
                let mut db = connected(SqliteConnection::connect_with(&options)).await?;
                let mut tx = db.begin_with(twin::BEGIN).await?;
                pending(&SQLITE_SCHEMA, &found!(tx)?)?;
                SQLITE_SCHEMA.run_direct(None, &mut *tx, false).await?;
                tx.commit().await?;
                Ok(db.close().await?)
            }
            Address::Postgres(options) => {
                // Under sqlx's advisory lock. A newer program may be faster between each two of these.
                let mut db = connected(Box::pin(PgConnection::connect_with(options))).await?;
                pending(&POSTGRES_SCHEMA, &found!(&mut db)?)?;
                POSTGRES_SCHEMA.run_direct(None, &mut db, false).await?;
                pending(&POSTGRES_SCHEMA, &found!(&mut db)?)?;
                Ok(db.close().await?)
            }
        }
    }

    /// The names of the migrations that this program has and the database has not, in order. An
    /// error if this program may not serve it, or it has another migration of the name.
    pub async fn pending(&self) -> Result<Vec<String>, Error> {
        match self {
            Address::Sqlite(options) => {
                let options = (**options).clone().read_only(true);
                let db = connected(SqliteConnection::connect_with(&options)).await;
                let found = match if_there(db)? {
                    Some(mut db) => found!(&mut db)?,
                    None => Found::default(),
                };
                pending(&SQLITE_SCHEMA, &found)
            }
            Address::Postgres(options) => {
                let mut db = connected(Box::pin(PgConnection::connect_with(options))).await?;
                pending(&POSTGRES_SCHEMA, &found!(&mut db)?)
            }
        }
    }
}

/// `None` where there is no such table or file.
fn if_there<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(Error::Unavailable(error)) if has_nothing(&error) => Ok(None),
        found => found.map(Some),
    }
}

/// Whether there is no such table or file: SQLite's `ERROR` for a statement that is right, its
/// `CANTOPEN`, PostgreSQL's `undefined_table`.
fn has_nothing(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    error.code().is_some_and(|code| matches!(&*code, "1" | "14" | "42P01"))
}

fn pending(schema: &Migrator, found: &Found) -> Result<Vec<String>, Error> {
    let newest = schema.iter().map(|known| known.version).max();
    let may_serve = found.floor.is_some_and(|floor| newest.is_some_and(|newest| floor <= newest));
    for row in &found.applied {
        if !row.success {
            return Err(MigrateError::Dirty(row.version).into());
        }
        match schema.iter().find(|known| known.version == row.version) {
            Some(known) if *known.checksum != *row.checksum => {
                return Err(MigrateError::VersionMismatch(row.version).into());
            }
            None if !may_serve => return Err(Error::Newer { found: row.version }),
            _ => {}
        }
    }
    let is_there = |version| found.applied.iter().any(|row| row.version == version);
    let missing = schema.iter().filter(|known| !is_there(known.version));
    Ok(missing.map(|known| format!("{:04}_{}", known.version, known.description)).collect())
}
