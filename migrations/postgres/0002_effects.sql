-- What requests use up. The same tables and columns stand in migrations/sqlite/0002_effects.sql.

-- What happened and may happen once: client assertions, DPoP proofs, calls. key is a fingerprint.
-- question and decision are a call's: who asks the same again gets the same decision.
CREATE TABLE once (
  kind TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  question TEXT COLLATE "C",
  decision TEXT COLLATE "C",
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (kind, key)
);

CREATE INDEX once_expires ON once (expires_at);

-- How many calls a delegation and all below it may still make at one location.
CREATE TABLE budget (
  delegation TEXT COLLATE "C" NOT NULL,
  location TEXT COLLATE "C" NOT NULL,
  calls_left BIGINT NOT NULL CHECK (calls_left >= 0),
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (delegation, location)
);

CREATE INDEX budget_expires ON budget (expires_at);
