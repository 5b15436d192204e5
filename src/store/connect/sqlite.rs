//! How a batch is written on SQLite, inside its one transaction. Never which rows, and never a text:
//! those are `commit`'s and `twin`'s.

use sqlx::{Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::super::{
    chain::NewLink,
    commit::{KeyRow, NewIndex, NewPrivate, Rows, Sent},
    effects::{BudgetRow, OnceRow},
    rows::DelegationRow,
    twin::{self, Insert, Twin},
};

type Values = Query<'static, Sqlite, SqliteArguments>;

/// A row that is written as parameters, in the order of its insert's columns.
trait Row: Sized {
    const INSERT: Insert;

    fn bind(self, values: Values) -> Values;
}

/// Runs all statements of a batch but the first, which answers.
pub(super) async fn run(
    tx: &mut SqliteConnection,
    twin: &Twin,
    few: &str,
    revision: i64,
) -> Result<(), sqlx::Error> {
    for text in twin.sqlite.iter().skip(1) {
        sqlx::query(*text).bind(few).bind(revision).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Inserts all rows that are inserted.
pub(super) async fn insert(tx: &mut SqliteConnection, sent: Sent<'_>) -> Result<(), sqlx::Error> {
    let Rows { delegations, budgets, once, keys, links, private, index, .. } = sent.rows;
    let records = |link: NewLink| {
        let record = link.record(&sent.records).to_vec();
        Recorded { link, record }
    };
    insert_rows(tx, delegations.into_iter()).await?;
    insert_rows(tx, budgets.into_iter()).await?;
    insert_rows(tx, once.into_iter()).await?;
    insert_rows(tx, keys.into_iter()).await?;
    insert_rows(tx, links.into_iter().map(records)).await?;
    insert_rows(tx, private.into_iter()).await?;
    insert_rows(tx, index.into_iter()).await
}

async fn insert_rows<R: Row>(
    tx: &mut SqliteConnection,
    mut rows: impl ExactSizeIterator<Item = R>,
) -> Result<(), sqlx::Error> {
    for (many, text) in R::INSERT.texts {
        while rows.len() >= many {
            let values = rows.by_ref().take(many).fold(sqlx::query(text), |v, row| row.bind(v));
            values.execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// A link and its record.
struct Recorded {
    link: NewLink,
    record: Vec<u8>,
}

impl Row for DelegationRow {
    const INSERT: Insert = twin::DELEGATIONS;

    fn bind(self, values: Values) -> Values {
        values
            .bind(self.id)
            .bind(self.parent)
            .bind(self.source)
            .bind(self.txn)
            .bind(self.kind)
            .bind(self.subject_issuer)
            .bind(self.subject_sub)
            .bind(self.holder)
            .bind(self.audience)
            .bind(self.depth)
            .bind(self.root_revision)
            .bind(self.revision)
            .bind(self.issued_at)
            .bind(self.expires_at)
            .bind(self.record)
    }
}

impl Row for BudgetRow {
    const INSERT: Insert = twin::BUDGETS;

    fn bind(self, values: Values) -> Values {
        let values = values.bind(self.delegation).bind(self.location);
        values.bind(i64::from(self.calls_left)).bind(self.expires_at)
    }
}

impl Row for OnceRow {
    const INSERT: Insert = twin::ONCE;

    fn bind(self, values: Values) -> Values {
        let values = values.bind(self.kind).bind(self.key);
        values.bind(self.question).bind(self.decision).bind(self.expires_at)
    }
}

impl Row for KeyRow {
    const INSERT: Insert = twin::KEYS;

    fn bind(self, values: Values) -> Values {
        let values = values.bind(self.id).bind(self.issuer).bind(self.sub);
        values.bind(self.key.to_vec()).bind(self.at)
    }
}

impl Row for Recorded {
    const INSERT: Insert = twin::LINKS;

    fn bind(self, values: Values) -> Values {
        let Recorded { link, record } = self;
        let values = values.bind(link.writer).bind(link.seq);
        let values = values.bind(link.prev.to_vec()).bind(link.hash.to_vec());
        values.bind(link.at).bind(link.events).bind(record)
    }
}

impl Row for NewPrivate {
    const INSERT: Insert = twin::PRIVATE_PARTS;

    fn bind(self, values: Values) -> Values {
        let values = values.bind(self.writer).bind(self.seq).bind(self.n);
        values.bind(self.key).bind(self.body)
    }
}

impl Row for NewIndex {
    const INSERT: Insert = twin::INDEX;

    fn bind(self, values: Values) -> Values {
        values
            .bind(self.at)
            .bind(self.writer)
            .bind(self.seq)
            .bind(self.n)
            .bind(self.kind)
            .bind(self.outcome)
            .bind(self.tool)
            .bind(self.actors)
            .bind(self.key)
            .bind(self.txn)
            .bind(self.decision)
            .bind(self.error)
    }
}
