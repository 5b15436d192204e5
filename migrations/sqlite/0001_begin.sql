-- The first schema. Times are epoch seconds, ids are their text, the database makes nothing up.
-- The same tables and columns stand in migrations/postgres/0001_begin.sql.

-- One row: the number of the last revocation or configuration change.
CREATE TABLE head (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  revision INTEGER NOT NULL,
  configured INTEGER NOT NULL
) STRICT;

INSERT INTO head (one, revision, configured) VALUES (1, 0, 0);

-- One run of one process that writes.
CREATE TABLE writer (
  id TEXT NOT NULL PRIMARY KEY,
  started_at INTEGER NOT NULL
) STRICT;

-- The administrator's registry.
CREATE TABLE document (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT;

-- One issued token.
CREATE TABLE delegation (
  id TEXT NOT NULL PRIMARY KEY,
  parent TEXT,
  source TEXT NOT NULL,
  txn TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject_issuer TEXT NOT NULL,
  subject_sub TEXT NOT NULL,
  holder TEXT NOT NULL,
  audience TEXT NOT NULL,
  depth INTEGER NOT NULL,
  root_revision INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  record TEXT NOT NULL
) STRICT;

CREATE INDEX delegation_issued ON delegation (issued_at, id);
CREATE INDEX delegation_txn ON delegation (txn, issued_at, id);
CREATE INDEX delegation_subject ON delegation (subject_issuer, subject_sub, issued_at, id);

-- What was ended, and what may not come back. The number is the revision that it made.
CREATE TABLE revocation (
  revision INTEGER NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  within TEXT,
  name TEXT NOT NULL,
  bar_kind TEXT,
  bar_id TEXT,
  bar_actor TEXT,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX revocation_at ON revocation (at);

-- The audit log: one hash chain per writer. hash = SHA-256(prev, seq, record).
CREATE TABLE journal (
  writer TEXT NOT NULL,
  seq INTEGER NOT NULL,
  prev BLOB NOT NULL,
  hash BLOB NOT NULL,
  at INTEGER NOT NULL,
  events INTEGER NOT NULL,
  record BLOB NOT NULL,
  PRIMARY KEY (writer, seq)
) STRICT;

CREATE INDEX journal_time ON journal (at, writer, seq);

-- The personal part of an event. The chained record commits to body by HMAC under the key.
CREATE TABLE journal_private (
  writer TEXT NOT NULL,
  seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  key TEXT NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (writer, seq, n)
) STRICT, WITHOUT ROWID;

-- Where the events stand that are looked for. No personal value: key leads to the subject.
CREATE TABLE journal_index (
  at INTEGER NOT NULL,
  writer TEXT NOT NULL,
  seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  kind TEXT NOT NULL,
  outcome TEXT NOT NULL,
  tool TEXT,
  actors TEXT NOT NULL,
  key TEXT,
  txn TEXT,
  decision TEXT,
  error TEXT,
  PRIMARY KEY (at, writer, seq, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX journal_index_key ON journal_index (key, at, writer, seq, n);
CREATE INDEX journal_index_txn ON journal_index (txn, at, writer, seq, n);
CREATE INDEX journal_index_decision ON journal_index (decision) WHERE decision IS NOT NULL;
CREATE INDEX journal_index_error ON journal_index (error) WHERE error IS NOT NULL;

-- One subject's key in one run of one writer. Destroying it erases the person from the log.
CREATE TABLE subject_key (
  id TEXT NOT NULL PRIMARY KEY,
  issuer TEXT NOT NULL,
  sub TEXT NOT NULL,
  key BLOB NOT NULL
) STRICT;

CREATE INDEX subject_key_subject ON subject_key (issuer, sub);
