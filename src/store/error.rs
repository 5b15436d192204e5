//! Why the store did not do what it was asked. Never a word of what was to be stored.

use std::sync::Arc;

use crate::base::random::NoRandomness;

/// A failure of the store. None of these says that a change was *not* made, except where it says
/// so: after [`Error::Unavailable`] a change may stand or not.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database is down, too slow, or did not confirm a commit.
    #[error("the database did not answer in time or did not confirm; try again")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The queue of changes is full, or too many others changed the same; nothing was changed.
    #[error("too many changes are waiting; nothing was changed, try again")]
    Busy,
    /// The store was closed; nothing was changed.
    #[error("the store is closed")]
    Closed,
    /// The database took the change for impossible, for example an id twice; nothing was changed.
    /// Its own words may quote the change, with personal values, so only its code is kept.
    #[error("the database refused the change with code `{code}`; nothing was changed")]
    Refused {
        /// The SQLSTATE, or SQLite's extended result code.
        code: Arc<str>,
    },
    /// A change would use up more than any change of ours does; nothing was changed.
    #[error("one change has more effects than any may have; nothing was changed")]
    TooManyEffects,
    /// The address is for neither engine.
    #[error("`{0}` is no database; write `sqlite:PATH` or `postgres://…`")]
    Address(String),
    /// The address leaves it to whoever stands between whether the connection is encrypted.
    #[error(
        "`sslmode=prefer` and `allow` give in to whoever wants plain text: write `verify-full` \
         (with `sslrootcert=FILE` for an authority of your own), or `disable` on a private path"
    )]
    PlainText,
    /// A newer Deputy has written this database.
    #[error("the schema is newer ({found}) than this program knows; run a newer deputy")]
    Newer {
        /// The migration that is not known.
        found: i64,
    },
    /// Another process serves this SQLite file.
    #[error("another deputy serves this database; for several use PostgreSQL")]
    Served,
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    /// A row does not read back; the database was changed by another hand.
    #[error("a row of `{table}` does not read back: {what}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system gave no random bytes for a subject's key; nothing was changed.
    #[error("the operating system gave no random bytes; nothing was changed")]
    Randomness,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        match error {
            error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
                tracing::error!(%error, "a row does not read back");
                Error::Corrupt { table: "(see the log)", what: "a column has another type" }
            }
            error => match refusal(&error) {
                Some(code) => Error::Refused { code },
                None => Error::Unavailable(Arc::new(error)),
            },
        }
    }
}

impl From<NoRandomness> for Error {
    fn from(_: NoRandomness) -> Error {
        Error::Randomness
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Error {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(found) => Error::Newer { found },
            sqlx::migrate::MigrateError::Execute(error) => Error::Unavailable(Arc::new(error)),
            error => Error::Migration(Arc::new(error)),
        }
    }
}

/// The error of an answer that took too long.
pub(super) fn too_late() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// The code, if the database understood the change and will never take it: a violated constraint
/// or a value that it cannot hold. Anything else may pass.
fn refusal(error: &sqlx::Error) -> Option<Arc<str>> {
    let error = error.as_database_error()?;
    let code = error.code().unwrap_or_default();
    let never = match code.parse::<u32>() {
        // SQLite: TOOBIG, CONSTRAINT and MISMATCH in the low byte of the extended code, which has
        // at most four digits; a SQLSTATE has five characters.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 18..=20),
        // PostgreSQL: class 22 data exception, class 23 integrity constraint violation.
        _ => code.starts_with("22") || code.starts_with("23"),
    };
    never.then(|| code.into())
}
