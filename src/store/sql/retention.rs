//! Retention of the audit log: where chains are shortened, and the deletion of what is before that.

/// The chain $1 begins behind the link $2 with the hash $3 since $4; where it began before since $5
/// or longer may be swept from now on.
pub const BASE_PUT: &str = "
    INSERT INTO chain_base (writer, seq, hash, at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (writer) DO UPDATE
    SET seq = excluded.seq, hash = excluded.hash,
      at = CASE WHEN excluded.seq > chain_base.seq THEN excluded.at ELSE chain_base.at END,
      doomed = CASE WHEN chain_base.at <= $5 THEN chain_base.seq ELSE chain_base.doomed END
    WHERE excluded.seq >= chain_base.seq";

/// Forgets where the chain $1 began, of which nothing is left.
pub const BASE_DROP: &str = "
    DELETE FROM chain_base
    WHERE writer = $1 AND NOT EXISTS (SELECT 1 FROM journal WHERE journal.writer = chain_base.writer)";

/// Whether there is a link of the chain $1.
pub const HAS_LINKS: &str = "
    SELECT count(*)
    FROM (SELECT 1 FROM journal WHERE writer = $1 LIMIT 1) AS one";

/// The oldest links before bases that have stood since $1 or longer, at most $2.
pub const DOOMED: &str = "
    SELECT j.writer, j.seq, j.at
    FROM chain_base b
    JOIN journal j
      ON j.writer = b.writer AND j.seq <= CASE WHEN b.at <= $1 THEN b.seq ELSE b.doomed END
    ORDER BY j.writer, j.seq
    LIMIT $2";

/// Deletes the index rows of the link $1, $2, which bear its time $3.
pub const DELETE_INDEX: &str = "
    DELETE FROM journal_index
    WHERE at = $3 AND writer = $1 AND seq = $2";

/// Deletes the private parts of the link $1, $2.
pub const DELETE_PRIVATE: &str = "
    DELETE FROM journal_private
    WHERE writer = $1 AND seq = $2";

/// Deletes the link $1, $2.
pub const DELETE_LINK: &str = "
    DELETE FROM journal
    WHERE writer = $1 AND seq = $2";

/// Keys of subjects that were drawn at or before $1, at most $2.
pub const SWEEP_KEYS: &str = "
    DELETE FROM subject_key
    WHERE id IN (
      SELECT id FROM subject_key WHERE at > 0 AND at <= $1 ORDER BY at LIMIT $2
    )";

/// Checkpoints before the first that is kept, as one says that was signed at or before $1; at most
/// $2, the oldest first.
pub const SWEEP_CHECKPOINTS: &str = "
    DELETE FROM checkpoint
    WHERE n IN (
      SELECT n FROM checkpoint
      WHERE n < (SELECT max(begins) FROM checkpoint WHERE begins IS NOT NULL AND at <= $1)
      ORDER BY n
      LIMIT $2
    )";

/// Every text of this file.
pub const ALL: &[&str] = &[
    BASE_PUT,
    BASE_DROP,
    HAS_LINKS,
    DOOMED,
    DELETE_INDEX,
    DELETE_PRIVATE,
    DELETE_LINK,
    SWEEP_KEYS,
    SWEEP_CHECKPOINTS,
];
