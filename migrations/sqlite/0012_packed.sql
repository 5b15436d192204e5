-- From here on `journal.record` may be packed: a byte 1, how long the record is (4 bytes, little-endian),
-- then the record as one LZ4 block. A program that does not know this would take it for an altered
-- one, so it must not serve this database. The same stands in migrations/postgres/0012_packed.sql.
UPDATE schema_floor SET version = 12;
