-- Every version that a document of the registry had, so that what was decided can be judged again.
-- Kinds that hold a secret are not kept. The same table stands in
-- migrations/postgres/0006_history.sql.
CREATE TABLE document_version (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, id, version)
) STRICT;

CREATE INDEX document_version_at ON document_version (at);

-- History begins with what is there.
INSERT INTO document_version (kind, id, version, revision, at, body)
SELECT kind, id, version, revision, 0, body
FROM document
WHERE kind IN ('client', 'resource', 'tool', 'issuer', 'edge');
