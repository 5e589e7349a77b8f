-- Input requests: durable questions of a run to a person.

CREATE TABLE inputs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  input_id TEXT NOT NULL UNIQUE,
  run INTEGER NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,          -- that asked it
  key TEXT,                          -- the caller's own; NULL: the question is known by what it asks
  question TEXT NOT NULL,            -- hash of the key, else of the content: by which a later attempt finds it again
  content TEXT NOT NULL,             -- hash of message, choices and schema
  phase TEXT,                        -- hints for the journal, as of children and steps
  previous TEXT,
  reason TEXT,
  message TEXT,
  message_ref TEXT REFERENCES blobs (digest),
  schema_json TEXT,
  schema_ref TEXT REFERENCES blobs (digest),
  choices_json TEXT,
  default_json TEXT,                 -- what it is taken as when it expires; NULL: nothing
  expires_at INTEGER,
  status TEXT NOT NULL CHECK (status IN ('open', 'answered', 'expired', 'withdrawn')),
  response TEXT,                     -- JSON, at most 4 KB; else the blob `response_ref`
  response_ref TEXT REFERENCES blobs (digest),
  answered_by TEXT,
  asked_at INTEGER NOT NULL,
  closed_at INTEGER,
  claimed INTEGER NOT NULL,          -- the last attempt that asked for it or was given its answer
  journal INTEGER,                   -- the journal's record of the answer
  CHECK ((message IS NULL) <> (message_ref IS NULL)),
  CHECK ((status = 'open') = (closed_at IS NULL)),
  CHECK ((response IS NOT NULL OR response_ref IS NOT NULL) = (journal IS NOT NULL)),
  CHECK (status <> 'answered' OR journal IS NOT NULL),
  CHECK (status IN ('answered', 'expired') OR journal IS NULL),
  CHECK (octet_length(message) <= 4096 AND octet_length(schema_json) <= 4096 AND octet_length(choices_json) <= 4096),
  CHECK (octet_length(reason) <= 4096 AND octet_length(response) <= 4096 AND octet_length(default_json) <= 4096)
) STRICT;
CREATE INDEX inputs_by_question ON inputs (run, question, id);
CREATE INDEX inputs_by_run ON inputs (run, id);
CREATE INDEX inputs_by_status ON inputs (status, id);
CREATE INDEX inputs_open ON inputs (run, expires_at) WHERE status = 'open';
CREATE INDEX inputs_due ON inputs (expires_at) WHERE status = 'open' AND expires_at IS NOT NULL;
CREATE INDEX inputs_by_message ON inputs (message_ref) WHERE message_ref IS NOT NULL;
CREATE INDEX inputs_by_schema ON inputs (schema_ref) WHERE schema_ref IS NOT NULL;
CREATE INDEX inputs_by_response ON inputs (response_ref) WHERE response_ref IS NOT NULL;
