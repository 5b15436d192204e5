//! The few texts that the engines cannot share: inserts of a whole batch from one JSON text, and
//! look-ups by a list. Never anything that one text could say.
//!
//! A batch is bound as $1 (JSON: all tables on PostgreSQL, the statement's own on SQLite), $2 (the revision it was judged at) and $3 (the first
//! sequence of the chain that depends on $2). PostgreSQL takes it as *one* autocommit statement, so
//! that no lock outlives a statement. SQLite has no data-modifying `WITH`; there the statements run
//! in order inside `BEGIN IMMEDIATE`, which nobody else can enter.

/// Opens the transaction of a batch on SQLite: taken at once, so that `busy_timeout` applies; a
/// transaction that begins by reading fails instead of waiting.
pub const BEGIN: &str = "BEGIN IMMEDIATE";

/// One meaning in two dialects.
#[derive(Clone, Copy, Debug)]
pub struct Twin {
    /// For SQLite: one or more statements, in order, in one transaction, each with the table of the
    /// batch that it takes as $1, so that no text is read more than once.
    pub sqlite: &'static [(&'static str, &'static str)],
    /// For PostgreSQL: always one statement.
    pub postgres: &'static str,
    /// Whether nothing at all is written when `head` does not say $2.
    pub or_nothing: bool,
}

const SQLITE_JUDGED: &str = "
    SELECT count(*) AS held
    FROM head
    WHERE revision = $2";

const SQLITE_DELEGATIONS: &str = "
    INSERT INTO delegation (
      id, parent, source, txn, kind, subject_issuer, subject_sub, holder, audience,
      depth, root_revision, revision, issued_at, expires_at, record)
    SELECT value ->> 'id', value ->> 'parent', value ->> 'source', value ->> 'txn',
      value ->> 'kind', value ->> 'subject_issuer', value ->> 'subject_sub', value ->> 'holder',
      value ->> 'audience', value ->> 'depth', value ->> 'root_revision', value ->> 'revision',
      value ->> 'issued_at', value ->> 'expires_at', value ->> 'record'
    FROM json_each($1)
    WHERE EXISTS (SELECT 1 FROM head WHERE revision = $2)";

const SQLITE_KEYS: &str = "
    INSERT INTO subject_key (id, issuer, sub, key)
    SELECT value ->> 'id', value ->> 'issuer', value ->> 'sub', unhex(value ->> 'key')
    FROM json_each($1)";

const SQLITE_JOURNAL: &str = "
    INSERT INTO journal (writer, seq, prev, hash, at, events, record)
    SELECT value ->> 'writer', value ->> 'seq', unhex(value ->> 'prev'), unhex(value ->> 'hash'),
      value ->> 'at', value ->> 'events', CAST(value ->> 'record' AS BLOB)
    FROM json_each($1)
    WHERE value ->> 'seq' < $3 OR EXISTS (SELECT 1 FROM head WHERE revision = $2)";

const SQLITE_PRIVATE: &str = "
    INSERT INTO journal_private (writer, seq, n, key, body)
    SELECT value ->> 'writer', value ->> 'seq', value ->> 'n', value ->> 'key',
      CAST(value ->> 'body' AS BLOB)
    FROM json_each($1)
    WHERE value ->> 'seq' < $3 OR EXISTS (SELECT 1 FROM head WHERE revision = $2)";

const SQLITE_INDEX: &str = "
    INSERT INTO journal_index (
      at, writer, seq, n, kind, outcome, tool, actors, key, txn, decision, error)
    SELECT value ->> 'at', value ->> 'writer', value ->> 'seq', value ->> 'n', value ->> 'kind',
      value ->> 'outcome', value ->> 'tool', value ->> 'actors', value ->> 'key',
      value ->> 'txn', value ->> 'decision', value ->> 'error'
    FROM json_each($1)
    WHERE value ->> 'seq' < $3 OR EXISTS (SELECT 1 FROM head WHERE revision = $2)";

const SQLITE_BUMP: &str = "
    UPDATE head
    SET revision = revision + 1,
      configured = CASE WHEN json_array_length($1) > 0
        THEN revision + 1 ELSE configured END
    WHERE revision = $2
    RETURNING 1 AS held";

const SQLITE_REVOCATIONS: &str = "
    INSERT INTO revocation (revision, kind, within, name, bar_kind, bar_id, bar_actor, at)
    SELECT $2 + 1, value ->> 'kind', value ->> 'within', value ->> 'name', value ->> 'bar_kind',
      value ->> 'bar_id', value ->> 'bar_actor', value ->> 'at'
    FROM json_each($1)";

const SQLITE_DOCUMENTS: &str = "
    INSERT INTO document (kind, id, version, revision, body)
    SELECT value ->> 'kind', value ->> 'id', value ->> 'version', $2 + 1, value ->> 'body'
    FROM json_each($1)
    WHERE true
    ON CONFLICT (kind, id) DO UPDATE
    SET version = excluded.version, revision = excluded.revision, body = excluded.body";

const SQLITE_VERSIONS: &str = "
    INSERT INTO document_version (kind, id, version, revision, at, body)
    SELECT value ->> 'kind', value ->> 'id', value ->> 'version', $2 + 1, value ->> 'at',
      value ->> 'body'
    FROM json_each($1)";

macro_rules! postgres_batch {
    ($before:literal, $keys_if:literal, $links_if:literal, $after:literal) => {
        concat!(
            $before,
            ",
    new_keys AS (
      INSERT INTO subject_key (id, issuer, sub, key)
      SELECT x.id, x.issuer, x.sub, decode(x.key, 'hex')
      FROM jsonb_to_recordset($1::text::jsonb -> 'keys')
        AS x (id text, issuer text, sub text, key text)
      WHERE ",
            $keys_if,
            "
    ),
    new_links AS (
      INSERT INTO journal (writer, seq, prev, hash, at, events, record)
      SELECT x.writer, x.seq, decode(x.prev, 'hex'), decode(x.hash, 'hex'), x.at, x.events,
        convert_to(x.record, 'UTF8')
      FROM jsonb_to_recordset($1::text::jsonb -> 'links')
        AS x (writer text, seq bigint, prev text, hash text, at bigint, events bigint, record text)
      WHERE ",
            $links_if,
            "
    ),
    new_private AS (
      INSERT INTO journal_private (writer, seq, n, key, body)
      SELECT x.writer, x.seq, x.n, x.key, convert_to(x.body, 'UTF8')
      FROM jsonb_to_recordset($1::text::jsonb -> 'private')
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
      FROM jsonb_to_recordset($1::text::jsonb -> 'index')
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
    sqlite: &[
        ("", SQLITE_JUDGED),
        ("delegations", SQLITE_DELEGATIONS),
        ("keys", SQLITE_KEYS),
        ("links", SQLITE_JOURNAL),
        ("private", SQLITE_PRIVATE),
        ("index", SQLITE_INDEX),
    ],
    postgres: postgres_batch!(
        "
    WITH judged AS (
      SELECT revision FROM head WHERE revision = $2 FOR SHARE
    ),
    new_delegations AS (
      INSERT INTO delegation (
        id, parent, source, txn, kind, subject_issuer, subject_sub, holder, audience,
        depth, root_revision, revision, issued_at, expires_at, record)
      SELECT x.id, x.parent, x.source, x.txn, x.kind, x.subject_issuer, x.subject_sub, x.holder,
        x.audience, x.depth, x.root_revision, x.revision, x.issued_at, x.expires_at, x.record
      FROM judged
      CROSS JOIN jsonb_to_recordset($1::text::jsonb -> 'delegations')
        AS x (id text, parent text, source text, txn text, kind text, subject_issuer text,
          subject_sub text, holder text, audience text, depth bigint, root_revision bigint,
          revision bigint, issued_at bigint, expires_at bigint, record text)
    )",
        "true",
        "x.seq < $3 OR EXISTS (SELECT 1 FROM judged)",
        "
    SELECT count(*) AS held FROM judged"
    ),
    or_nothing: false,
};

/// One revocation or one configuration change with its event: raises `head` from $2 by one, or
/// does nothing when `head` says something else. Answers `held`: whether it was done. The number
/// $3 is not read; it is bound so that both batches are bound alike.
pub const BUMP: Twin = Twin {
    sqlite: &[
        ("documents", SQLITE_BUMP),
        ("revocations", SQLITE_REVOCATIONS),
        ("documents", SQLITE_DOCUMENTS),
        ("versions", SQLITE_VERSIONS),
        ("keys", SQLITE_KEYS),
        ("links", SQLITE_JOURNAL),
        ("private", SQLITE_PRIVATE),
        ("index", SQLITE_INDEX),
    ],
    postgres: postgres_batch!(
        "
    WITH bumped AS (
      UPDATE head
      SET revision = revision + 1,
        configured = CASE WHEN jsonb_array_length($1::text::jsonb -> 'documents') > 0
          THEN revision + 1 ELSE configured END
      WHERE revision = $2
      RETURNING revision
    ),
    new_revocations AS (
      INSERT INTO revocation (revision, kind, within, name, bar_kind, bar_id, bar_actor, at)
      SELECT b.revision, x.kind, x.within, x.name, x.bar_kind, x.bar_id, x.bar_actor, x.at
      FROM bumped b
      CROSS JOIN jsonb_to_recordset($1::text::jsonb -> 'revocations')
        AS x (kind text, within text, name text, bar_kind text, bar_id text, bar_actor text,
          at bigint)
    ),
    new_documents AS (
      INSERT INTO document (kind, id, version, revision, body)
      SELECT x.kind, x.id, x.version, b.revision, x.body
      FROM bumped b
      CROSS JOIN jsonb_to_recordset($1::text::jsonb -> 'documents')
        AS x (kind text, id text, version bigint, body text)
      ON CONFLICT (kind, id) DO UPDATE
      SET version = excluded.version, revision = excluded.revision, body = excluded.body
    ),
    new_versions AS (
      INSERT INTO document_version (kind, id, version, revision, at, body)
      SELECT x.kind, x.id, x.version, b.revision, x.at, x.body
      FROM bumped b
      CROSS JOIN jsonb_to_recordset($1::text::jsonb -> 'versions')
        AS x (kind text, id text, version bigint, at bigint, body text)
    )",
        "EXISTS (SELECT 1 FROM bumped)",
        "EXISTS (SELECT 1 FROM bumped) AND $3::bigint IS NOT NULL",
        "
    SELECT count(*) AS held FROM bumped"
    ),
    or_nothing: true,
};

/// The private parts of the links named in $1, a JSON array of `[writer, seq]`.
pub const PRIVATE: Twin = Twin {
    sqlite: &[(
        "",
        "
    SELECT p.writer, p.seq, p.n, p.key AS id, k.key, p.body
    FROM journal_private p
    LEFT JOIN subject_key k ON k.id = p.key
    WHERE (p.writer, p.seq) IN (
      SELECT value ->> 0, value ->> 1 FROM json_each($1))",
    )],
    postgres: "
    SELECT p.writer, p.seq, p.n, p.key AS id, k.key, p.body
    FROM journal_private p
    LEFT JOIN subject_key k ON k.id = p.key
    WHERE (p.writer, p.seq) IN (
      SELECT x ->> 0, (x ->> 1)::bigint FROM jsonb_array_elements($1::text::jsonb) AS x)",
    or_nothing: false,
};

/// The links named in $1, a JSON array of `[writer, seq]`.
pub const NAMED_LINKS: Twin = Twin {
    sqlite: &[(
        "",
        "
    SELECT writer, seq, prev, hash, at, events, record
    FROM journal
    WHERE (writer, seq) IN (
      SELECT value ->> 0, value ->> 1 FROM json_each($1))",
    )],
    postgres: "
    SELECT writer, seq, prev, hash, at, events, record
    FROM journal
    WHERE (writer, seq) IN (
      SELECT x ->> 0, (x ->> 1)::bigint FROM jsonb_array_elements($1::text::jsonb) AS x)",
    or_nothing: false,
};

/// Every twin, for the test that has both engines prepare it.
pub const ALL: &[Twin] = &[APPEND, BUMP, PRIVATE, NAMED_LINKS];
