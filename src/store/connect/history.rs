//! Reading the registry as it was. Never what is in force now; that is `connect`.

use super::{
    super::{
        error::Error,
        rows::{StoredDocumentRow, VersionRow},
        sql,
    },
    Pool, read,
};

impl Pool {
    /// Every document that has a history, as of a revision.
    pub async fn documents_at(&self, revision: i64) -> Result<Vec<StoredDocumentRow>, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_as(sql::DOCUMENTS_AT).bind(revision).fetch_all(db)).await
        })
    }

    /// How many documents were in force then whose version of then is not kept any more.
    pub async fn documents_lost_at(&self, revision: i64) -> Result<i64, Error> {
        on!(Pool, self, db => {
            read(sqlx::query_scalar(sql::DOCUMENTS_LOST_AT).bind(revision).fetch_one(db)).await
        })
    }
    /// The kept versions of one document before a version, newest first.
    pub async fn versions(
        &self,
        (kind, id): (&str, &str),
        before: i64,
        limit: i64,
    ) -> Result<Vec<VersionRow>, Error> {
        on!(Pool, self, db => {
            let query = sqlx::query_as(sql::VERSIONS_OF_DOCUMENT).bind(kind).bind(id);
            read(query.bind(before).bind(limit).fetch_all(db)).await
        })
    }
}
