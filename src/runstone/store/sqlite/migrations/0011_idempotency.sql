-- Answers to requests that came with an idempotency key, each kept in the transaction of what it answers.

CREATE TABLE idempotency (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  scope TEXT NOT NULL CHECK (octet_length(scope) <= 600),       -- whose key it is, and of which route
  key TEXT NOT NULL CHECK (octet_length(key) <= 400),
  fingerprint TEXT NOT NULL,                                    -- hash of what was asked
  status INTEGER NOT NULL,
  location TEXT CHECK (octet_length(location) <= 1000),
  answer TEXT CHECK (octet_length(answer) <= 4096),             -- JSON; else the blob `answer_ref`
  answer_ref TEXT REFERENCES blobs (digest),
  created_at INTEGER NOT NULL,
  UNIQUE (scope, key),
  CHECK ((answer IS NULL) <> (answer_ref IS NULL))
) STRICT;
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX idempotency_by_answer ON idempotency (answer_ref) WHERE answer_ref IS NOT NULL;
