-- What requests use up. The same tables and columns stand in migrations/postgres/0002_effects.sql.

-- What happened and may happen once: client assertions, DPoP proofs, calls. key is a fingerprint.
-- question and decision are a call's: who asks the same again gets the same decision.
CREATE TABLE once (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  question TEXT,
  decision TEXT,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT;

CREATE INDEX once_expires ON once (expires_at);

-- How many calls a delegation and all below it may still make at one location.
CREATE TABLE budget (
  delegation TEXT NOT NULL,
  location TEXT NOT NULL,
  calls_left INTEGER NOT NULL CHECK (calls_left >= 0),
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (delegation, location)
) STRICT;

CREATE INDEX budget_expires ON budget (expires_at);
