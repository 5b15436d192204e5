//! Retention of the audit log: where chains are shortened, and the deletion of what is before that.

/// Chains that have covered links older than $1 and of which nothing waits to be deleted: the
/// writer, behind which link the chain begins, and how far it is covered; at most $2.
pub const CHAINS_TOO_LONG: &str = "
    SELECT w.id, coalesce(b.seq, 0), c.seq
    FROM writer w
    JOIN checkpoint_head c ON c.writer = w.id
    LEFT JOIN chain_base b ON b.writer = w.id
    WHERE c.seq > coalesce(b.seq, 0)
      AND EXISTS (
        SELECT 1 FROM journal old
        WHERE old.writer = w.id AND old.seq = coalesce(b.seq, 0) + 1 AND old.at < $1)
      AND NOT EXISTS (
        SELECT 1 FROM journal doomed
        WHERE doomed.writer = w.id AND doomed.seq <= b.seq)
    ORDER BY w.id
    LIMIT $2";

/// The last link of the chain $1 behind $2 and up to $3 that is older than $4: number and hash.
pub const LAST_OLD_LINK: &str = "
    SELECT seq, hash
    FROM journal
    WHERE writer = $1 AND seq = (
      SELECT max(seq) FROM journal WHERE writer = $1 AND seq > $2 AND seq <= $3 AND at < $4
    )";

/// Bases that no checkpoint from $1 on has said; at most $2.
pub const BASES_SAID_BEFORE: &str = "
    SELECT writer, seq, hash
    FROM chain_base
    WHERE attested < $1
    ORDER BY attested, writer
    LIMIT $2";

/// The first checkpoint that there is, and the first that was signed at or after $1.
pub const FIRST_CHECKPOINTS: &str = "
    SELECT (SELECT min(n) FROM checkpoint), (SELECT min(n) FROM checkpoint WHERE at >= $1)";

/// The chain $1 begins behind the link $2 with the hash $3: since $4, said by the checkpoint $5.
pub const BASE_PUT: &str = "
    INSERT INTO chain_base (writer, seq, hash, at, attested)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (writer) DO UPDATE
    SET seq = excluded.seq, hash = excluded.hash, attested = excluded.attested,
      at = CASE WHEN excluded.seq > chain_base.seq THEN excluded.at ELSE chain_base.at END
    WHERE excluded.seq >= chain_base.seq";

/// The links before bases that have stood since $1 or longer, at most $2, always the same ones first.
macro_rules! doomed {
    ($columns:literal) => {
        concat!(
            "
      SELECT ",
            $columns,
            "
      FROM chain_base b
      JOIN journal j ON j.writer = b.writer AND j.seq <= b.seq
      WHERE b.at <= $1
      ORDER BY j.writer, j.seq
      LIMIT $2
    )"
        )
    };
}

/// Their index rows. These first: whoever is cut off finds the link still there.
pub const SWEEP_INDEX: &str = concat!(
    "
    DELETE FROM journal_index
    WHERE (at, writer, seq) IN (",
    doomed!("j.at, j.writer, j.seq")
);

/// Their private parts.
pub const SWEEP_PRIVATE: &str = concat!(
    "
    DELETE FROM journal_private
    WHERE (writer, seq) IN (",
    doomed!("j.writer, j.seq")
);

/// Themselves.
pub const SWEEP_LINKS: &str = concat!(
    "
    DELETE FROM journal
    WHERE (writer, seq) IN (",
    doomed!("j.writer, j.seq")
);

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
    CHAINS_TOO_LONG,
    LAST_OLD_LINK,
    BASES_SAID_BEFORE,
    FIRST_CHECKPOINTS,
    BASE_PUT,
    SWEEP_INDEX,
    SWEEP_PRIVATE,
    SWEEP_LINKS,
    SWEEP_KEYS,
    SWEEP_CHECKPOINTS,
];
