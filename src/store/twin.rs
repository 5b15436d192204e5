//! The few texts that the engines cannot share: inserts of a whole batch from one JSON text, and
//! look-ups by a list. Never anything that one text could say.
//!
//! PostgreSQL takes a batch as *one* autocommit statement, so that no lock outlives a statement. It is
//! bound as $1 (all rows as JSON), $2 (the revision it was judged at), $3 (the first sequence of the
//! chain that depends on $2) and $4 (the records of all links, one behind the other). The JSON is read
//! once, into `sent`: written out at each table it would be read as often. SQLite has no
//! data-modifying `WITH`; there statements run in order inside `BEGIN IMMEDIATE`, which nobody else
//! can enter: those of the batch, with a few tables as JSON in $1 and the revision in $2, and then
//! [`Insert`]s. Their rows are parameters, because reading them from JSON costs SQLite more than
//! storing them.

/// Opens the transaction of a batch on SQLite: taken at once, so that `busy_timeout` applies; a
/// transaction that begins by reading fails instead of waiting.
pub const BEGIN: &str = "BEGIN IMMEDIATE";

/// The channel on which PostgreSQL tells that the revision was raised: in [`BUMP`].
pub const CHANGED: &str = "deputy";
/// The channel on which instances tell that they have taken that in.
pub const APPLIED: &str = "deputy_applied";
/// Says how far an instance is, and tells whoever waits for it. Nobody waits for a disk: if a crash
/// takes it back, the row says less than is true, and the wait for it is longer. Only PostgreSQL has
/// instances.
pub const TELL: &str = "
    WITH told AS (
      UPDATE instance
      SET applied = $2
      WHERE writer = $1 AND applied < $2
      RETURNING 1
    )
    SELECT count(pg_notify('deputy_applied', '')), set_config('synchronous_commit', 'off', true)
    FROM told";

/// One meaning in two dialects.
#[derive(Clone, Copy, Debug)]
pub struct Twin {
    /// For SQLite: one or more statements, in order, in one transaction.
    pub sqlite: &'static [&'static str],
    /// For PostgreSQL: always one statement.
    pub postgres: &'static str,
    /// Whether nothing at all is written when `head` does not say $2.
    pub or_nothing: bool,
}

/// One way to write the rows of a table on SQLite: texts for sixteen rows, for four and for one, so
/// that any number takes few statements and all of them are prepared once.
#[derive(Clone, Copy, Debug)]
pub struct Insert {
    /// How many rows, and the text; the most rows first.
    pub texts: [(usize, &'static str); 3],
}

macro_rules! insert {
    ($into:literal, $row:literal) => {
        Insert {
            texts: [
                (16, insert!(@ $into, $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row,
                    ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row,
                    ",", $row, ",", $row, ",", $row)),
                (4, insert!(@ $into, $row, ",", $row, ",", $row, ",", $row)),
                (1, insert!(@ $into, $row)),
            ],
        }
    };
    (@ $into:literal, $($part:literal),*) => {
        concat!("\n    INSERT INTO ", $into, "\n    VALUES ", $($part),*)
    };
}

/// Rows of `delegation`.
pub const DELEGATIONS: Insert = insert!(
    "delegation (id, parent, source, txn, kind, subject_issuer, subject_sub, holder, audience,
      depth, root_revision, revision, issued_at, expires_at, record)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

/// Rows of `budget`.
pub const BUDGETS: Insert =
    insert!("budget (delegation, location, calls_left, expires_at)", "(?, ?, ?, ?)");

/// Rows of `once`.
pub const ONCE: Insert =
    insert!("once (kind, key, question, decision, expires_at)", "(?, ?, ?, ?, ?)");

/// Rows of `subject_key`.
pub const KEYS: Insert = insert!("subject_key (id, issuer, sub, key, at)", "(?, ?, ?, ?, ?)");

/// Rows of `journal`.
pub const LINKS: Insert =
    insert!("journal (writer, seq, prev, hash, at, events, record)", "(?, ?, ?, ?, ?, ?, ?)");

/// Rows of `journal_private`.
pub const PRIVATE_PARTS: Insert =
    insert!("journal_private (writer, seq, n, key, body)", "(?, ?, ?, ?, ?)");

/// Rows of `journal_index`.
pub const INDEX: Insert = insert!(
    "journal_index (at, writer, seq, n, kind, outcome, tool, actors, key, txn, decision, error)",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

const SQLITE_JUDGED: &str = "
    SELECT count(*) AS held
    FROM head
    WHERE revision = $2";

const SQLITE_SPEND: &str = "
    UPDATE budget
    SET calls_left = calls_left - (a.value ->> 'calls')
    FROM json_each($1, '$.spend') AS a
    WHERE budget.delegation = a.value ->> 'delegation'
      AND budget.location = a.value ->> 'location'";

const SQLITE_BUMP: &str = "
    UPDATE head
    SET revision = revision + 1,
      configured = CASE WHEN json_array_length($1, '$.documents') > 0
        THEN revision + 1 ELSE configured END
    WHERE revision = $2
    RETURNING 1 AS held";

const SQLITE_REVOCATIONS: &str = "
    INSERT INTO revocation (revision, kind, within, name, bar_kind, bar_id, bar_actor, at)
    SELECT $2 + 1, value ->> 'kind', value ->> 'within', value ->> 'name', value ->> 'bar_kind',
      value ->> 'bar_id', value ->> 'bar_actor', value ->> 'at'
    FROM json_each($1, '$.revocations')";

const SQLITE_DOCUMENTS: &str = "
    INSERT INTO document (kind, id, version, revision, body)
    SELECT value ->> 'kind', value ->> 'id', value ->> 'version', $2 + 1, value ->> 'body'
    FROM json_each($1, '$.documents')
    WHERE true
    ON CONFLICT (kind, id) DO UPDATE
    SET version = excluded.version, revision = excluded.revision, body = excluded.body";

const SQLITE_VERSIONS: &str = "
    INSERT INTO document_version (kind, id, version, revision, at, body)
    SELECT value ->> 'kind', value ->> 'id', value ->> 'version', $2 + 1, value ->> 'at',
      value ->> 'body'
    FROM json_each($1, '$.versions')";

macro_rules! postgres_delegations {
    ($if:literal) => {
        concat!(
            "
    new_delegations AS (
      INSERT INTO delegation (
        id, parent, source, txn, kind, subject_issuer, subject_sub, holder, audience,
        depth, root_revision, revision, issued_at, expires_at, record)
      SELECT x.id, x.parent, x.source, x.txn, x.kind, x.subject_issuer, x.subject_sub, x.holder,
        x.audience, x.depth, x.root_revision, x.revision, x.issued_at, x.expires_at, x.record
      FROM ",
            $if,
            "
      CROSS JOIN sent, jsonb_to_recordset(batch -> 'delegations')
        AS x (id text, parent text, source text, txn text, kind text, subject_issuer text,
          subject_sub text, holder text, audience text, depth bigint, root_revision bigint,
          revision bigint, issued_at bigint, expires_at bigint, record text)
    )"
        )
    };
}

macro_rules! postgres_batch {
    ($before:expr, $keys_if:literal, $links_if:literal, $after:literal) => {
        concat!(
            $before,
            ",
    new_keys AS (
      INSERT INTO subject_key (id, issuer, sub, key, at)
      SELECT x.id, x.issuer, x.sub, decode(x.key, 'hex'), x.at
      FROM sent, jsonb_to_recordset(batch -> 'keys')
        AS x (id text, issuer text, sub text, key text, at bigint)
      WHERE ",
            $keys_if,
            "
    ),
    new_links AS (
      INSERT INTO journal (writer, seq, prev, hash, at, events, record)
      SELECT x.writer, x.seq, decode(x.prev, 'hex'), decode(x.hash, 'hex'), x.at, x.events,
        substr($4::bytea, x.record_at, x.record_bytes)
      FROM sent, jsonb_to_recordset(batch -> 'links')
        AS x (writer text, seq bigint, prev text, hash text, at bigint, events bigint,
          record_at integer, record_bytes integer)
      WHERE ",
            $links_if,
            "
    ),
    new_private AS (
      INSERT INTO journal_private (writer, seq, n, key, body)
      SELECT x.writer, x.seq, x.n, x.key, decode(x.body, 'base64')
      FROM sent, jsonb_to_recordset(batch -> 'private')
        AS x (writer text, seq bigint, n bigint, key text, body text)
      WHERE ",
            $links_if,
            "
    ),
    new_index AS (
      INSERT INTO journal_index (
        at, writer, seq, n, kind, outcome, tool, actors, key, txn, decision, error)
      SELECT x.at, x.writer, x.seq, x.n, x.kind, x.outcome, x.tool, x.actors, x.key, x.txn,
        x.decision, x.error
      FROM sent, jsonb_to_recordset(batch -> 'index')
        AS x (at bigint, writer text, seq bigint, n bigint, kind text, outcome text, tool text,
          actors text, key text, txn text, decision text, error text)
      WHERE ",
            $links_if,
            "
    )",
            $after
        )
    };
}

/// Delegations and their events, if `head` still says $2; other events in any case. Answers
/// `held`: whether `head` said so.
///
/// `FOR SHARE` waits for a revocation under way and then looks at the *new* row, whose revision is
/// another; a `NOT EXISTS (a revocation)` would look at the old snapshot and let the child in.
pub const APPEND: Twin = Twin {
    sqlite: &[SQLITE_JUDGED],
    postgres: postgres_batch!(
        concat!(
            "
    WITH sent AS MATERIALIZED (SELECT $1::text::jsonb AS batch),
    judged AS (
      SELECT revision FROM head WHERE revision = $2 FOR SHARE
    ),",
            postgres_delegations!("judged")
        ),
        "true",
        "x.seq < $3 OR EXISTS (SELECT 1 FROM judged)",
        "
    SELECT count(*) AS held FROM judged"
    ),
    or_nothing: false,
};

/// A batch of which some changes have effects, if `head` says $2 (or no delegation is in it: $2 is
/// negative), nothing that may happen once has happened, and every budget suffices; otherwise
/// nothing at all. Answers `written`, and what it found: `held`, the rows of `once` that are in the
/// way, and the budgets.
///
/// On PostgreSQL, where other instances spend at the same time: the budgets are locked in order of
/// their keys, which waits for others and then reads what *they* left; a row of `once` that another
/// has inserted since the statement began violates the key, and nothing is done.
pub const EFFECTS: Twin = Twin {
    sqlite: &[SQLITE_FOUND, SQLITE_SPEND],
    postgres: postgres_batch!(
        concat!(
            "
    WITH sent AS MATERIALIZED (SELECT $1::text::jsonb AS batch),
    judged AS (
      SELECT revision FROM head WHERE revision = $2 FOR SHARE
    ),
    seen AS (
      SELECT o.kind, o.key, o.question, o.decision
      FROM sent, jsonb_to_recordset(batch -> 'once') AS x (kind text, key text)
      JOIN once o ON o.kind = x.kind AND o.key = x.key
    ),
    spends AS (
      SELECT x.delegation, x.location, x.calls
      FROM sent, jsonb_to_recordset(batch -> 'spend')
        AS x (delegation text, location text, calls bigint)
    ),
    budgets AS (
      SELECT b.delegation, b.location, b.calls_left, s.calls
      FROM spends s
      JOIN budget b ON b.delegation = s.delegation AND b.location = s.location
      ORDER BY b.delegation, b.location
      FOR UPDATE OF b
    ),
    clear AS (
      SELECT 1 AS one
      WHERE ($2 < 0 OR EXISTS (SELECT 1 FROM judged))
        AND NOT EXISTS (SELECT 1 FROM seen)
        AND (SELECT count(*) FROM budgets WHERE calls_left >= calls)
          = (SELECT count(*) FROM spends)
    ),",
            postgres_delegations!("clear"),
            ",
    new_budgets AS (
      INSERT INTO budget (delegation, location, calls_left, expires_at)
      SELECT x.delegation, x.location, x.calls_left, x.expires_at
      FROM clear
      CROSS JOIN sent, jsonb_to_recordset(batch -> 'budgets')
        AS x (delegation text, location text, calls_left bigint, expires_at bigint)
    ),
    new_once AS (
      INSERT INTO once (kind, key, question, decision, expires_at)
      SELECT x.kind, x.key, x.question, x.decision, x.expires_at
      FROM clear
      CROSS JOIN sent, jsonb_to_recordset(batch -> 'once')
        AS x (kind text, key text, question text, decision text, expires_at bigint)
      ORDER BY x.kind, x.key
    ),
    spent AS (
      UPDATE budget b
      SET calls_left = b.calls_left - s.calls
      FROM clear
      CROSS JOIN spends s
      WHERE b.delegation = s.delegation AND b.location = s.location
    )"
        ),
        "EXISTS (SELECT 1 FROM clear)",
        "EXISTS (SELECT 1 FROM clear) AND $3::bigint IS NOT NULL",
        "
    SELECT EXISTS (SELECT 1 FROM clear) AS written,
      EXISTS (SELECT 1 FROM judged) AS held,
      (SELECT coalesce(json_agg(json_build_array(kind, key, question, decision)), '[]')::text
        FROM seen) AS seen,
      (SELECT coalesce(json_agg(json_build_array(delegation, location, calls_left)), '[]')::text
        FROM budgets) AS budgets"
    ),
    or_nothing: true,
};

const SQLITE_FOUND: &str = "
    SELECT
      false AS written,
      EXISTS (SELECT 1 FROM head WHERE revision = $2) AS held,
      (SELECT json_group_array(json_array(o.kind, o.key, o.question, o.decision))
        FROM json_each($1, '$.once') AS a
        JOIN once o ON o.kind = a.value ->> 'kind' AND o.key = a.value ->> 'key') AS seen,
      (SELECT json_group_array(json_array(b.delegation, b.location, b.calls_left))
        FROM json_each($1, '$.spend') AS a
        JOIN budget b ON b.delegation = a.value ->> 'delegation'
          AND b.location = a.value ->> 'location') AS budgets";

/// One revocation or one configuration change with its event: raises `head` from $2 by one, or
/// does nothing when `head` says something else. Answers `held`: whether it was done. The number
/// $3 is not read; it is bound so that both batches are bound alike.
///
/// On PostgreSQL the commit also wakes the other instances, which listen to `deputy`.
pub const BUMP: Twin = Twin {
    sqlite: &[SQLITE_BUMP, SQLITE_REVOCATIONS, SQLITE_DOCUMENTS, SQLITE_VERSIONS],
    postgres: postgres_batch!(
        "
    WITH sent AS MATERIALIZED (SELECT $1::text::jsonb AS batch),
    bumped AS (
      UPDATE head
      SET revision = revision + 1,
        configured = CASE WHEN jsonb_array_length((SELECT batch -> 'documents' FROM sent)) > 0
          THEN revision + 1 ELSE configured END
      WHERE revision = $2
      RETURNING revision
    ),
    new_revocations AS (
      INSERT INTO revocation (revision, kind, within, name, bar_kind, bar_id, bar_actor, at)
      SELECT b.revision, x.kind, x.within, x.name, x.bar_kind, x.bar_id, x.bar_actor, x.at
      FROM bumped b
      CROSS JOIN sent, jsonb_to_recordset(batch -> 'revocations')
        AS x (kind text, within text, name text, bar_kind text, bar_id text, bar_actor text,
          at bigint)
    ),
    new_documents AS (
      INSERT INTO document (kind, id, version, revision, body)
      SELECT x.kind, x.id, x.version, b.revision, x.body
      FROM bumped b
      CROSS JOIN sent, jsonb_to_recordset(batch -> 'documents')
        AS x (kind text, id text, version bigint, body text)
      ON CONFLICT (kind, id) DO UPDATE
      SET version = excluded.version, revision = excluded.revision, body = excluded.body
    ),
    new_versions AS (
      INSERT INTO document_version (kind, id, version, revision, at, body)
      SELECT x.kind, x.id, x.version, b.revision, x.at, x.body
      FROM bumped b
      CROSS JOIN sent, jsonb_to_recordset(batch -> 'versions')
        AS x (kind text, id text, version bigint, at bigint, body text)
    )",
        "EXISTS (SELECT 1 FROM bumped)",
        "EXISTS (SELECT 1 FROM bumped) AND $3::bigint IS NOT NULL",
        "
    SELECT count(pg_notify('deputy', '')) AS held FROM bumped"
    ),
    or_nothing: true,
};

/// The private parts of the links named in $1, a JSON array of `[writer, seq]`.
pub const PRIVATE: Twin = Twin {
    sqlite: &["
    SELECT writer, seq, n, key, body
    FROM journal_private
    WHERE (writer, seq) IN (
      SELECT value ->> 0, value ->> 1 FROM json_each($1))"],
    postgres: "
    SELECT writer, seq, n, key, body
    FROM journal_private
    WHERE (writer, seq) IN (
      SELECT x ->> 0, (x ->> 1)::bigint FROM jsonb_array_elements($1::text::jsonb) AS x)",
    or_nothing: false,
};

/// The links named in $1, a JSON array of `[writer, seq]`.
pub const NAMED_LINKS: Twin = Twin {
    sqlite: &["
    SELECT writer, seq, prev, hash, at, events, record
    FROM journal
    WHERE (writer, seq) IN (
      SELECT value ->> 0, value ->> 1 FROM json_each($1))"],
    postgres: "
    SELECT writer, seq, prev, hash, at, events, record
    FROM journal
    WHERE (writer, seq) IN (
      SELECT x ->> 0, (x ->> 1)::bigint FROM jsonb_array_elements($1::text::jsonb) AS x)",
    or_nothing: false,
};

/// The subjects whose keys are named in $1, a JSON array of their ids, as far as they still exist.
pub const SUBJECTS: Twin = Twin {
    sqlite: &["
    SELECT id, issuer, sub, key
    FROM subject_key
    WHERE id IN (SELECT value FROM json_each($1))"],
    postgres: "
    SELECT id, issuer, sub, key
    FROM subject_key
    WHERE id IN (SELECT jsonb_array_elements_text($1::text::jsonb))",
    or_nothing: false,
};

/// Every twin, for the test that has both engines prepare it.
pub const ALL: &[Twin] = &[APPEND, EFFECTS, BUMP, PRIVATE, NAMED_LINKS, SUBJECTS];

/// Every insert, for the same test.
pub const INSERTS: &[Insert] = &[DELEGATIONS, BUDGETS, ONCE, KEYS, LINKS, PRIVATE_PARTS, INDEX];
