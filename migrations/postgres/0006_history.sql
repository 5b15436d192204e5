-- Every version that a document of the registry had, so that what was decided can be judged again.
-- Kinds that hold a secret are not kept. The same table stands in
-- migrations/sqlite/0006_history.sql.
CREATE TABLE document_version (
  kind TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  at BIGINT NOT NULL,
  body TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (kind, id, version)
);

CREATE INDEX document_version_at ON document_version (at);

-- History begins with what is there.
INSERT INTO document_version (kind, id, version, revision, at, body)
SELECT kind, id, version, revision, 0, body
FROM document
WHERE kind IN ('client', 'resource', 'tool', 'issuer', 'edge');
