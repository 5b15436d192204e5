//! What is looked up by a list of names. Never what is searched for.

use super::{
    super::{
        chain::{LinkRow, PrivateRow},
        error::Error,
        persons::SubjectRow,
        twin,
    },
    Pool, only, read,
};

/// Looks up by a list, which the engines read in words of their own.
macro_rules! looked_up {
    ($pool:expr, $twin:expr, $list:expr) => {
        match $pool {
            Pool::Sqlite(db) => read(sqlx::query_as(only(&$twin)).bind($list).fetch_all(db)).await,
            Pool::Postgres(db) => {
                read(sqlx::query_as($twin.postgres).bind($list).fetch_all(db)).await
            }
        }
    };
}
impl Pool {
    /// The links that a JSON array of `[writer, seq]` names.
    pub async fn named_links(&self, places: &str) -> Result<Vec<LinkRow>, Error> {
        looked_up!(self, twin::NAMED_LINKS, places)
    }

    /// The private parts of the links that a JSON array of `[writer, seq]` names.
    pub async fn private(&self, places: &str) -> Result<Vec<PrivateRow>, Error> {
        looked_up!(self, twin::PRIVATE, places)
    }

    /// The subjects whose keys a JSON array of ids names.
    pub async fn subjects(&self, ids: &str) -> Result<Vec<SubjectRow>, Error> {
        looked_up!(self, twin::SUBJECTS, ids)
    }
}
