-- What one of us signed about the audit log: how far every chain was that had grown since the
-- checkpoint before, which it names by its hash. Numbers without a gap.
CREATE TABLE checkpoint (
  n BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  jws TEXT COLLATE "C" NOT NULL
);

-- The public halves of the keys that ever signed one. The tag, under a key that the database does
-- not know, shows that the key was ours.
CREATE TABLE checkpoint_key (
  kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  jwk TEXT COLLATE "C" NOT NULL,
  tag TEXT COLLATE "C" NOT NULL
);

-- How far each chain is covered: what the next checkpoint need not look at again. Proves nothing.
CREATE TABLE checkpoint_head (
  writer TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL
);

-- Where a chain begins whose older links were deleted because their time was over: behind the link
-- with this sequence and hash. Holds only if a checkpoint says the same.
CREATE TABLE chain_base (
  writer TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  at BIGINT NOT NULL
);
