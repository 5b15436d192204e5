-- The instances that serve this database. The same table stands in
-- migrations/postgres/0008_instance.sql, which says what it is for; on SQLite, which serves one process
-- at a time, it stays empty.
CREATE TABLE instance (
  writer TEXT NOT NULL PRIMARY KEY,
  turn INTEGER NOT NULL,
  applied INTEGER NOT NULL,
  started_at INTEGER NOT NULL
) STRICT;
