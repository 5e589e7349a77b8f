-- Input requests: durable questions of a run to a person.

CREATE TABLE inputs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  input_id TEXT NOT NULL UNIQUE,
  run INTEGER NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  key TEXT NOT NULL,                 -- of the question in its run
  reason TEXT,
  message TEXT,
  message_ref TEXT REFERENCES blobs (digest),
  schema_json TEXT,
  schema_ref TEXT REFERENCES blobs (digest),
  choices_json TEXT,
  expires_at INTEGER,
  status TEXT NOT NULL CHECK (status IN ('open', 'answered', 'expired', 'withdrawn')),
  response TEXT,
  response_ref TEXT REFERENCES blobs (digest),
  answered_by TEXT,
  asked_at INTEGER NOT NULL,
  answered_at INTEGER,
  CHECK ((message IS NULL) <> (message_ref IS NULL)),
  CHECK ((status = 'open') = (answered_at IS NULL)),
  CHECK (octet_length(message) <= 4096 AND octet_length(schema_json) <= 4096 AND octet_length(choices_json) <= 4096),
  CHECK (octet_length(reason) <= 4096 AND octet_length(response) <= 4096)
) STRICT;
CREATE INDEX inputs_by_run ON inputs (run, id);
CREATE INDEX inputs_open ON inputs (id, run) WHERE status = 'open';
