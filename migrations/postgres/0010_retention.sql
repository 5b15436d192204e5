-- Retention of the audit log. The same stands in migrations/sqlite/0010_retention.sql.

-- Up to which link a chain may be swept already, while it begins later for less than an hour.
ALTER TABLE chain_base ADD COLUMN doomed BIGINT NOT NULL DEFAULT 0;

-- The first checkpoint that is kept from now on, where this one says so: older ones may be deleted.
ALTER TABLE checkpoint ADD COLUMN begins BIGINT;
CREATE INDEX checkpoint_begins ON checkpoint (begins) WHERE begins IS NOT NULL;

-- When a subject's key was drawn. It serves for a day, so that it can go when all that was written
-- under it has gone; 0 was written by a program that did not say, and stays.
ALTER TABLE subject_key ADD COLUMN at BIGINT NOT NULL DEFAULT 0;
UPDATE subject_key SET at = extract(epoch FROM now())::bigint;
CREATE INDEX subject_key_at ON subject_key (at);
