-- Slimmer indexes. Ids of delegations and transactions begin with their moment since now, so that new
-- ones are neighbours; whoever lists delegations sorts the few that share a second.
-- The same stands in migrations/postgres/0007_neighbours.sql.
DROP INDEX delegation_issued;
CREATE INDEX delegation_issued ON delegation (issued_at);

DROP INDEX delegation_txn;
CREATE INDEX delegation_txn ON delegation (txn);

DROP INDEX delegation_subject;
CREATE INDEX delegation_subject ON delegation (subject_sub, issued_at);
