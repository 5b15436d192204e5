-- Up to which link a chain may be swept already, while it begins later for less than an hour. The
-- same stands in migrations/postgres/0012_doomed.sql.
ALTER TABLE chain_base ADD COLUMN doomed INTEGER NOT NULL DEFAULT 0;
