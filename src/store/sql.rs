//! Every SQL text that both engines take as it is, by name. Never a text that is put together at
//! run time; texts that must differ are in `twin`.

pub mod retention;

/// What every statement on `head` reads.
pub const HEAD: &str = "
    SELECT revision, configured
    FROM head
    WHERE one = 1";

/// Raises the revision to at least $1.
pub const HEAD_RAISE: &str = "
    UPDATE head
    SET revision = $1
    WHERE one = 1 AND revision < $1";

/// The migrations that were run.
pub const APPLIED: &str = "
    SELECT version, checksum, success
    FROM _sqlx_migrations
    ORDER BY version";

/// The oldest migration that a program must know to serve this database.
pub const FLOOR: &str = "
    SELECT version
    FROM schema_floor
    WHERE one = 1";

/// The whole registry, in order of kind and id.
pub const DOCUMENTS: &str = "
    SELECT kind, id, version, revision, body
    FROM document
    ORDER BY kind, id";

/// Every document of which versions are kept, as it stood at revision $1.
pub const DOCUMENTS_AT: &str = "
    SELECT v.kind, v.id, v.version, v.revision, v.body
    FROM document_version v
    WHERE v.revision <= $1
      AND NOT EXISTS (
        SELECT 1
        FROM document_version later
        WHERE later.kind = v.kind
          AND later.id = v.id
          AND later.version > v.version
          AND later.revision <= $1)
    ORDER BY v.kind, v.id";

/// How many documents have lost the version that stood at revision $1: the first one that is kept
/// is younger, and not the first there was.
pub const DOCUMENTS_LOST_AT: &str = "
    SELECT count(*)
    FROM document_version v
    WHERE v.revision > $1
      AND v.version > 1
      AND NOT EXISTS (
        SELECT 1
        FROM document_version earlier
        WHERE earlier.kind = v.kind
          AND earlier.id = v.id
          AND earlier.version < v.version)";

/// The kept versions of the document $1, $2 before the version $3, newest first.
pub const VERSIONS_OF_DOCUMENT: &str = "
    SELECT version, revision, at, body
    FROM document_version
    WHERE kind = $1 AND id = $2 AND version < $3
    ORDER BY version DESC
    LIMIT $4";

/// The version of one document.
pub const DOCUMENT_VERSION: &str = "
    SELECT version
    FROM document
    WHERE kind = $1 AND id = $2";

/// Revocations after a number, in order.
pub const REVOCATIONS_AFTER: &str = "
    SELECT revision, kind, within, name, bar_kind, bar_id, bar_actor, at
    FROM revocation
    WHERE revision > $1
    ORDER BY revision
    LIMIT $2";

/// `head`, and the first $2 revocations after a number, in order; one row without any. One look: a
/// revocation that `head` counts is there, or was swept. They are limited before they are joined, so
/// that the index ends the search: a join by `>` alone is answered by a walk through all.
pub const NEWS: &str = "
    SELECT h.revision AS head_revision, h.configured AS head_configured,
      r.revision, r.kind, r.within, r.name, r.bar_kind, r.bar_id, r.bar_actor, r.at
    FROM head h
    LEFT JOIN (
      SELECT revision, kind, within, name, bar_kind, bar_id, bar_actor, at
      FROM revocation
      WHERE revision > $1
      ORDER BY revision
      LIMIT $2
    ) r ON TRUE
    WHERE h.one = 1
    ORDER BY r.revision";

macro_rules! delegations {
    ($($rest:literal)*) => {
        concat!(
            "
    SELECT id, parent, source, txn, kind, subject_issuer, subject_sub, holder, audience,
      depth, root_revision, revision, issued_at, expires_at, record
    FROM delegation",
            $($rest,)*
        )
    };
}

/// One delegation.
pub const DELEGATION: &str = delegations!(
    "
    WHERE id = $1"
);

/// The newest delegations before a cursor. $3 holder, $4 parent and $5 a moment they must outlive
/// narrow the list where they are given.
pub const DELEGATIONS: &str = delegations!(
    "
    WHERE (issued_at, id) < ($1, $2)
      AND (holder = $3 OR $3 IS NULL)
      AND (parent = $4 OR $4 IS NULL)
      AND expires_at > $5
    ORDER BY issued_at DESC, id DESC
    LIMIT $6"
);

/// The same within one transaction, $7, and for one subject, $8 and $9, where it is given.
pub const DELEGATIONS_OF_TRANSACTION: &str = delegations!(
    "
    WHERE txn = $7
      AND (issued_at, id) < ($1, $2)
      AND (holder = $3 OR $3 IS NULL)
      AND (parent = $4 OR $4 IS NULL)
      AND expires_at > $5
      AND ((subject_issuer = $8 AND subject_sub = $9) OR $8 IS NULL)
    ORDER BY issued_at DESC, id DESC
    LIMIT $6"
);

/// The same for one subject, $7 and $8.
pub const DELEGATIONS_OF_SUBJECT: &str = delegations!(
    "
    WHERE subject_issuer = $7
      AND subject_sub = $8
      AND (issued_at, id) < ($1, $2)
      AND (holder = $3 OR $3 IS NULL)
      AND (parent = $4 OR $4 IS NULL)
      AND expires_at > $5
    ORDER BY issued_at DESC, id DESC
    LIMIT $6"
);

/// Ends the rows of delegations that expired at or before $1; at most $2 of them.
pub const SWEEP_DELEGATIONS: &str = "
    DELETE FROM delegation
    WHERE id IN (
      SELECT id FROM delegation
      WHERE issued_at <= $1 AND expires_at <= $1
      ORDER BY issued_at, id
      LIMIT $2
    )";

/// Ends the rows of revocations made at or before $1; at most $2 of them.
pub const SWEEP_REVOCATIONS: &str = "
    DELETE FROM revocation
    WHERE revision IN (
      SELECT revision FROM revocation WHERE at <= $1 ORDER BY at LIMIT $2
    )";

/// Ends the versions of documents that were replaced at or before $1; at most $2 of them. To the
/// last hundred policy sets one can go back, however long ago they were replaced.
pub const SWEEP_VERSIONS: &str = "
    DELETE FROM document_version
    WHERE (kind, id, version) IN (
      SELECT v.kind, v.id, v.version
      FROM document_version next
      JOIN document_version v
        ON v.kind = next.kind AND v.id = next.id AND v.version = next.version - 1
      WHERE next.at <= $1
        AND (next.kind <> 'policy_set' OR next.version <= (
          SELECT active.version - 100
          FROM document active
          WHERE active.kind = next.kind AND active.id = next.id))
      ORDER BY next.at, next.kind, next.id, next.version
      LIMIT $2
    )";

/// Ends the memory of what happened once and could no longer happen at $1; at most $2 of it.
pub const SWEEP_ONCE: &str = "
    DELETE FROM once
    WHERE (kind, key) IN (
      SELECT kind, key FROM once WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )";

/// Ends the budgets of delegations that expired at or before $1; at most $2 of them.
pub const SWEEP_BUDGETS: &str = "
    DELETE FROM budget
    WHERE (delegation, location) IN (
      SELECT delegation, location FROM budget WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )";

/// Registers one run of a writer.
pub const WRITER_INSERT: &str = "
    INSERT INTO writer (id, started_at)
    VALUES ($1, $2)";

/// The last link of a writer's chain, or where it begins if all its links are gone.
pub const CHAIN_HEAD: &str = "
    SELECT seq, hash
    FROM (
      SELECT seq, hash
      FROM (
        SELECT seq, hash FROM journal WHERE writer = $1 ORDER BY seq DESC LIMIT 1
      ) AS last_link
      UNION ALL
      SELECT seq, hash FROM chain_base WHERE writer = $1
    ) AS ends
    ORDER BY seq DESC
    LIMIT 1";

/// The links of one chain from a sequence on, in order.
pub const CHAIN_LINKS: &str = "
    SELECT writer, seq, prev, hash, at, events, record
    FROM journal
    WHERE writer = $1 AND seq >= $2
    ORDER BY seq
    LIMIT $3";

/// The private parts of a stretch of one chain.
pub const CHAIN_PRIVATE: &str = "
    SELECT writer, seq, n, key, body
    FROM journal_private
    WHERE writer = $1 AND seq >= $2 AND seq <= $3";

/// Links in time order, newest first, from a cursor on (that link included).
pub const LINKS: &str = "
    SELECT writer, seq, prev, hash, at, events, record
    FROM journal
    WHERE (at, writer, seq) <= ($1, $2, $3)
      AND at >= $4
    ORDER BY at DESC, writer DESC, seq DESC
    LIMIT $5";

macro_rules! index {
    ($by:literal) => {
        concat!(
            "
    SELECT at, writer, seq, n, kind, outcome, tool, actors, key
    FROM journal_index
    WHERE (at, writer, seq, n) < ($1, $2, $3, $4)
      AND at >= $5",
            $by,
            "
    ORDER BY at DESC, writer DESC, seq DESC, n DESC
    LIMIT $6"
        )
    };
}

/// Indexed events, newest first.
pub const INDEX: &str = index!("");

/// Indexed events of one transaction.
pub const INDEX_OF_TRANSACTION: &str = index!(
    "
      AND txn = $7"
);

/// Indexed events of one decision.
pub const INDEX_OF_DECISION: &str = index!(
    "
      AND decision = $7"
);

/// Indexed events of one error.
pub const INDEX_OF_ERROR: &str = index!(
    "
      AND error = $7"
);

/// The ids of one subject's keys, one for each run of a writer that met the subject.
pub const SUBJECT_KEYS: &str = "
    SELECT id
    FROM subject_key
    WHERE issuer = $1 AND sub = $2
    LIMIT $3";

/// Renews the lease of the instance $1: its turn is $2, it has taken in everything up to $3. Answers
/// how far `head` is, from before this can be seen by anybody; no row if it is not registered (any
/// more).
pub const INSTANCE_RENEW: &str = "
    UPDATE instance
    SET turn = $2, applied = $3
    WHERE writer = $1 AND turn < $2
    RETURNING
      (SELECT revision FROM head WHERE one = 1) AS revision,
      (SELECT configured FROM head WHERE one = 1) AS configured";

/// Registers an instance: $1 which, $2 its turn, $3 when it started.
pub const INSTANCE_INSERT: &str = "
    INSERT INTO instance (writer, turn, applied, started_at)
    VALUES ($1, $2, 0, $3)
    ON CONFLICT (writer) DO NOTHING";

/// Every registered instance.
pub const INSTANCES: &str = "
    SELECT writer, turn, applied
    FROM instance
    ORDER BY writer";

/// Forgets the instance $1 if it still stands at turn $2.
pub const INSTANCE_LAPSE: &str = "
    DELETE FROM instance
    WHERE writer = $1 AND turn = $2";

/// Forgets the instance $1.
pub const INSTANCE_LEAVE: &str = "
    DELETE FROM instance
    WHERE writer = $1";

/// The last links of the chains that have grown since a checkpoint covered them, at most $1.
pub const UNCOVERED: &str = "
    SELECT j.writer, j.seq, j.hash
    FROM writer w
    JOIN journal j
      ON j.writer = w.id
      AND j.seq = (SELECT max(last.seq) FROM journal last WHERE last.writer = w.id)
    LEFT JOIN checkpoint_head c ON c.writer = w.id
    WHERE c.seq IS NULL OR j.seq > c.seq
    ORDER BY j.writer
    LIMIT $1";

/// The last link of every chain, oldest writer first.
pub const CHAIN_ENDS: &str = "
    SELECT j.writer, j.seq
    FROM writer w
    JOIN journal j
      ON j.writer = w.id
      AND j.seq = (SELECT max(last.seq) FROM journal last WHERE last.writer = w.id)
    ORDER BY w.started_at, w.id";

/// Where the chains begin whose oldest links were deleted.
pub const CHAIN_BASES: &str = "
    SELECT writer, seq, hash
    FROM chain_base
    ORDER BY writer";

/// Checkpoints after a number, in order.
pub const CHECKPOINTS: &str = "
    SELECT n, jws
    FROM checkpoint
    WHERE n > $1
    ORDER BY n
    LIMIT $2";

/// The last checkpoint.
pub const LAST_CHECKPOINT: &str = "
    SELECT n, jws
    FROM checkpoint
    ORDER BY n DESC
    LIMIT 1";

/// When the last checkpoint was signed.
pub const LAST_CHECKPOINT_AT: &str = "
    SELECT at
    FROM checkpoint
    ORDER BY n DESC
    LIMIT 1";

/// The keys that ever signed one.
pub const CHECKPOINT_KEYS: &str = "
    SELECT kid, jwk, tag
    FROM checkpoint_key
    ORDER BY kid";

/// Writes the checkpoint $1, unless another instance was faster.
pub const CHECKPOINT_INSERT: &str = "
    INSERT INTO checkpoint (n, at, jws, begins)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (n) DO NOTHING";

/// Keeps the public half of a key that signed one.
pub const CHECKPOINT_KEY_INSERT: &str = "
    INSERT INTO checkpoint_key (kid, jwk, tag)
    VALUES ($1, $2, $3)
    ON CONFLICT (kid) DO NOTHING";

/// The chain $1 is covered up to $2.
pub const CHECKPOINT_HEAD_PUT: &str = "
    INSERT INTO checkpoint_head (writer, seq)
    VALUES ($1, $2)
    ON CONFLICT (writer) DO UPDATE
    SET seq = excluded.seq";

/// Deletes delegations of the subject $1, $2; at most $3 of them.
pub const ERASE_DELEGATIONS: &str = "
    DELETE FROM delegation
    WHERE id IN (
      SELECT id FROM delegation WHERE subject_issuer = $1 AND subject_sub = $2 LIMIT $3
    )";

/// Destroys keys of the subject $1, $2; at most $3 of them.
pub const ERASE_KEYS: &str = "
    DELETE FROM subject_key
    WHERE id IN (
      SELECT id FROM subject_key WHERE issuer = $1 AND sub = $2 LIMIT $3
    )";

/// Every text of this file, for the test that has both engines prepare it.
pub const ALL: &[&str] = &[
    HEAD,
    HEAD_RAISE,
    APPLIED,
    FLOOR,
    DOCUMENTS,
    DOCUMENTS_AT,
    DOCUMENTS_LOST_AT,
    VERSIONS_OF_DOCUMENT,
    DOCUMENT_VERSION,
    REVOCATIONS_AFTER,
    NEWS,
    DELEGATION,
    DELEGATIONS,
    DELEGATIONS_OF_TRANSACTION,
    DELEGATIONS_OF_SUBJECT,
    SWEEP_DELEGATIONS,
    SWEEP_REVOCATIONS,
    SWEEP_VERSIONS,
    SWEEP_ONCE,
    SWEEP_BUDGETS,
    WRITER_INSERT,
    CHAIN_HEAD,
    CHAIN_LINKS,
    CHAIN_PRIVATE,
    LINKS,
    INDEX,
    INDEX_OF_TRANSACTION,
    INDEX_OF_DECISION,
    INDEX_OF_ERROR,
    SUBJECT_KEYS,
    INSTANCE_RENEW,
    INSTANCE_INSERT,
    INSTANCES,
    INSTANCE_LAPSE,
    INSTANCE_LEAVE,
    UNCOVERED,
    CHAIN_ENDS,
    CHAIN_BASES,
    CHECKPOINTS,
    LAST_CHECKPOINT,
    LAST_CHECKPOINT_AT,
    CHECKPOINT_KEYS,
    CHECKPOINT_INSERT,
    CHECKPOINT_KEY_INSERT,
    CHECKPOINT_HEAD_PUT,
    ERASE_DELEGATIONS,
    ERASE_KEYS,
];
