-- The instances that serve this database, each with its place in the protocol by which a change is
-- in force everywhere when its maker is answered. The same table stands in
-- migrations/sqlite/0008_instance.sql, where there is never more than one and nobody reads it.
CREATE TABLE instance (
  writer TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  turn BIGINT NOT NULL,
  applied BIGINT NOT NULL,
  started_at BIGINT NOT NULL
);
