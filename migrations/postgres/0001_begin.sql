-- The first schema. Times are epoch seconds, ids are their text, the database makes nothing up.
-- Texts sort by byte, as in SQLite. The same tables and columns stand in migrations/sqlite/0001_begin.sql.

-- One row: the number of the last revocation or configuration change.
CREATE TABLE head (
  one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
  revision BIGINT NOT NULL,
  configured BIGINT NOT NULL
);

INSERT INTO head (one, revision, configured) VALUES (1, 0, 0);

-- One run of one process that writes.
CREATE TABLE writer (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  started_at BIGINT NOT NULL
);

-- The administrator's registry.
CREATE TABLE document (
  kind TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, id)
);

-- One issued token.
CREATE TABLE delegation (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  parent TEXT COLLATE "C",
  source TEXT COLLATE "C" NOT NULL,
  txn TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  subject_issuer TEXT COLLATE "C" NOT NULL,
  subject_sub TEXT COLLATE "C" NOT NULL,
  holder TEXT COLLATE "C" NOT NULL,
  audience TEXT COLLATE "C" NOT NULL,
  depth BIGINT NOT NULL,
  root_revision BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  record TEXT COLLATE "C" NOT NULL
);

CREATE INDEX delegation_issued ON delegation (issued_at, id);
CREATE INDEX delegation_txn ON delegation (txn, issued_at, id);
CREATE INDEX delegation_subject ON delegation (subject_issuer, subject_sub, issued_at, id);

-- What was ended, and what may not come back. The number is the revision that it made.
CREATE TABLE revocation (
  revision BIGINT NOT NULL PRIMARY KEY,
  kind TEXT COLLATE "C" NOT NULL,
  within TEXT COLLATE "C",
  name TEXT COLLATE "C" NOT NULL,
  bar_kind TEXT COLLATE "C",
  bar_id TEXT COLLATE "C",
  bar_actor TEXT COLLATE "C",
  at BIGINT NOT NULL
);

CREATE INDEX revocation_at ON revocation (at);

-- The audit log: one hash chain per writer. hash = SHA-256(prev, seq, record).
CREATE TABLE journal (
  writer TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL,
  prev BYTEA NOT NULL,
  hash BYTEA NOT NULL,
  at BIGINT NOT NULL,
  events BIGINT NOT NULL,
  record BYTEA NOT NULL,
  PRIMARY KEY (writer, seq)
);

CREATE INDEX journal_time ON journal (at, writer, seq);

-- The personal part of an event. The chained record commits to body by HMAC under the key.
CREATE TABLE journal_private (
  writer TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL,
  n BIGINT NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (writer, seq, n)
);

-- Where the events stand that are looked for. No personal value: key leads to the subject.
CREATE TABLE journal_index (
  at BIGINT NOT NULL,
  writer TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL,
  n BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  outcome TEXT COLLATE "C" NOT NULL,
  tool TEXT COLLATE "C",
  actors TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C",
  txn TEXT COLLATE "C",
  decision TEXT COLLATE "C",
  error TEXT COLLATE "C",
  PRIMARY KEY (at, writer, seq, n)
);

CREATE INDEX journal_index_key ON journal_index (key, at, writer, seq, n);
CREATE INDEX journal_index_txn ON journal_index (txn, at, writer, seq, n);
CREATE INDEX journal_index_decision ON journal_index (decision) WHERE decision IS NOT NULL;
CREATE INDEX journal_index_error ON journal_index (error) WHERE error IS NOT NULL;

-- One subject's key in one run of one writer. Destroying it erases the person from the log.
CREATE TABLE subject_key (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  issuer TEXT COLLATE "C" NOT NULL,
  sub TEXT COLLATE "C" NOT NULL,
  key BYTEA NOT NULL
);

CREATE INDEX subject_key_subject ON subject_key (issuer, sub);
