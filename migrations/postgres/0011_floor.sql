-- The oldest migration that a program must know to serve this database. A migration that only adds
-- what an older program need not know leaves it; one that takes away what that program uses raises
-- it to its own number, and comes no sooner than a release after whatever took its place. So one
-- release and the next serve together. The same stands in migrations/sqlite/0011_floor.sql.
CREATE TABLE schema_floor (
  one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
  version BIGINT NOT NULL
);

INSERT INTO schema_floor (one, version)
VALUES (1, 11);
