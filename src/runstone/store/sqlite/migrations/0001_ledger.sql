-- The ledger. Integer keys inside, text ids outside; times are microseconds UTC; *_json is JSON text.
-- AUTOINCREMENT everywhere: a number that was ever shown is never given to another record, even after a prune.

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),  -- SHA-256 of the raw bytes
  codec INTEGER NOT NULL,                                   -- 0 plain, 1 zstd
  size INTEGER NOT NULL,                                    -- of the raw bytes
  data BLOB NOT NULL
) STRICT;

CREATE TABLE owners (            -- who held attempts: a process of a machine, or `observed`
  owner TEXT PRIMARY KEY,
  identity_json TEXT NOT NULL,   -- host, boot id, PID namespace, pid, start of the pid, worker id
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  parent INTEGER REFERENCES runs (id),
  parent_run_id TEXT,            -- as the caller said it; `parent` follows when that run is known
  root INTEGER NOT NULL REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED,
  root_run_id TEXT NOT NULL,
  depth INTEGER NOT NULL CHECK (depth >= 0),
  forked_from TEXT,
  parent_thread_id TEXT,
  agent_id TEXT,
  agent_version TEXT,
  title TEXT,
  status_reason TEXT,
  wake_at INTEGER,
  phase TEXT,
  prompt_ref TEXT REFERENCES blobs (digest),
  input_ref TEXT REFERENCES blobs (digest),
  options_json TEXT NOT NULL,
  worker_thread_id TEXT,
  task_board_id TEXT,
  task_card_id TEXT,
  child_key TEXT,
  labels_json TEXT NOT NULL,
  attempt INTEGER NOT NULL CHECK (attempt >= 0),
  owner TEXT REFERENCES owners (owner),
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  attempt_started_at INTEGER,
  updated_at INTEGER NOT NULL,
  completed_at INTEGER,
  summary TEXT,
  result_ref TEXT REFERENCES blobs (digest),
  error_json TEXT,
  definition_id TEXT,
  definition_hash TEXT,
  tries INTEGER NOT NULL,        -- attempts that failed
  active_ms INTEGER NOT NULL,    -- of ended attempts
  model TEXT,
  provider TEXT,
  superseded INTEGER NOT NULL,
  detached INTEGER NOT NULL,
  reused_json TEXT,              -- what this attempt reused: children, tokens, cost
  CHECK ((status = 'running') = (attempt_started_at IS NOT NULL)),
  CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
  CHECK (octet_length(title) <= 4096 AND octet_length(summary) <= 4096 AND octet_length(status_reason) <= 4096),
  CHECK (octet_length(options_json) <= 4096 AND octet_length(labels_json) <= 4096 AND octet_length(error_json) <= 4096)
) STRICT;

CREATE INDEX runs_by_updated ON runs (updated_at, id);
CREATE INDEX runs_by_status ON runs (status, updated_at, id);
CREATE INDEX runs_by_kind ON runs (kind, updated_at, id);
CREATE INDEX runs_by_agent ON runs (agent_id, updated_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX runs_by_parent ON runs (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_by_parent_id ON runs (parent_run_id, id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX runs_by_root ON runs (root, id);
CREATE INDEX runs_by_created ON runs (created_at, id);
CREATE INDEX runs_at_top ON runs (updated_at, id) WHERE depth = 0;
CREATE INDEX runs_by_definition ON runs (definition_id, updated_at, id) WHERE definition_id IS NOT NULL;
CREATE INDEX runs_by_phase ON runs (phase, id) WHERE phase IS NOT NULL;
CREATE INDEX runs_by_worker_thread ON runs (worker_thread_id) WHERE worker_thread_id IS NOT NULL;
CREATE INDEX runs_by_parent_thread ON runs (parent_thread_id) WHERE parent_thread_id IS NOT NULL;
CREATE INDEX runs_by_board ON runs (task_board_id) WHERE task_board_id IS NOT NULL;
CREATE INDEX runs_by_card ON runs (task_card_id) WHERE task_card_id IS NOT NULL;
CREATE INDEX runs_by_wake ON runs (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,  -- commit order across the workspace
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,                    -- of the payload's shape
  importance INTEGER NOT NULL,
  payload TEXT,                                -- JSON, at most 4 KB; else the blob `payload_ref`
  payload_ref TEXT REFERENCES blobs (digest),
  event_key TEXT,
  UNIQUE (run, seq),
  CHECK (octet_length(payload) <= 4096)
) STRICT;

CREATE UNIQUE INDEX events_by_key ON events (run, event_key) WHERE event_key IS NOT NULL;

CREATE TABLE attempts (
  run INTEGER NOT NULL REFERENCES runs (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  owner TEXT NOT NULL REFERENCES owners (owner),
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  outcome TEXT,
  reason TEXT,
  first_seq INTEGER NOT NULL,
  PRIMARY KEY (run, number),
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (            -- one row for each open attempt
  run INTEGER PRIMARY KEY REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  owner TEXT NOT NULL REFERENCES owners (owner),
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX leases_by_owner ON leases (owner);

CREATE TABLE processes (         -- process groups of a run, recorded before they get input
  run INTEGER NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  pgid INTEGER NOT NULL,
  identity_json TEXT NOT NULL,
  command_json TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  exit_code INTEGER,
  signal INTEGER,
  PRIMARY KEY (run, attempt, pgid, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX processes_alive ON processes (run) WHERE ended_at IS NULL;

CREATE TABLE journal (           -- what a run knows: finished steps and started children
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL REFERENCES runs (id),
  key TEXT NOT NULL,
  kind TEXT NOT NULL,            -- child, step, timer
  name TEXT NOT NULL,
  phase TEXT,                    -- hints, never part of the key
  previous TEXT,
  child INTEGER REFERENCES runs (id),
  value TEXT,
  value_ref TEXT REFERENCES blobs (digest),
  handled INTEGER NOT NULL DEFAULT 0,   -- the code received this child's failure and went on
  dropped INTEGER NOT NULL DEFAULT 0,   -- not usable by the attempts after this number
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  CHECK (octet_length(name) <= 4096 AND octet_length(value) <= 4096)
) STRICT;
CREATE INDEX journal_by_run ON journal (run, id);
CREATE INDEX journal_by_child ON journal (child) WHERE child IS NOT NULL;

CREATE TABLE waits (             -- what a parked run waits for; a branch is met by any or all of its children
  run INTEGER NOT NULL REFERENCES runs (id),
  branch INTEGER NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('any', 'all')),
  child INTEGER NOT NULL REFERENCES runs (id),
  PRIMARY KEY (run, branch, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_by_child ON waits (child);

CREATE TABLE usage (             -- one row for each provider request, counted once in its tree
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL REFERENCES runs (id),
  root INTEGER NOT NULL REFERENCES runs (id),
  request_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL CHECK (input_tokens >= 0),
  cache_read_tokens INTEGER NOT NULL CHECK (cache_read_tokens >= 0),
  cache_write_tokens INTEGER NOT NULL CHECK (cache_write_tokens >= 0),
  output_tokens INTEGER NOT NULL CHECK (output_tokens >= 0),
  reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens BETWEEN 0 AND output_tokens),
  cost_picousd INTEGER CHECK (cost_picousd >= 0),
  cost_source TEXT NOT NULL CHECK (cost_source IN ('reported', 'priced', 'unknown')),
  CHECK ((cost_picousd IS NULL) = (cost_source = 'unknown')),
  UNIQUE (root, request_id)
) STRICT;
CREATE INDEX usage_by_run ON usage (run);

CREATE TABLE totals (            -- sums of usage, own (scope 0) and of the subtree (scope 1)
  run INTEGER NOT NULL REFERENCES runs (id),
  scope INTEGER NOT NULL CHECK (scope IN (0, 1)),
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  requests INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_picousd INTEGER NOT NULL,
  unknown_costs INTEGER NOT NULL,
  PRIMARY KEY (run, scope, provider, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE tools (             -- tool calls, own and of the subtree
  run INTEGER NOT NULL REFERENCES runs (id),
  scope INTEGER NOT NULL CHECK (scope IN (0, 1)),
  tool TEXT NOT NULL,
  calls INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  PRIMARY KEY (run, scope, tool)
) STRICT, WITHOUT ROWID;

CREATE TABLE threads (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  thread_id TEXT NOT NULL UNIQUE,
  title TEXT CHECK (octet_length(title) <= 4096),
  run INTEGER REFERENCES runs (id),    -- whose worker thread it is
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_seq INTEGER NOT NULL            -- of the messages ever, so that a pruned one's number is not given again
) STRICT;
CREATE INDEX threads_by_run ON threads (run) WHERE run IS NOT NULL;

CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  thread INTEGER NOT NULL REFERENCES threads (id),
  seq INTEGER NOT NULL,
  role TEXT NOT NULL,
  run INTEGER REFERENCES runs (id),
  attempt INTEGER,
  at INTEGER NOT NULL,
  text TEXT,
  text_ref TEXT REFERENCES blobs (digest),
  extra_json TEXT,
  extra_ref TEXT REFERENCES blobs (digest),
  UNIQUE (thread, seq),
  CHECK ((text IS NULL) <> (text_ref IS NULL)),
  CHECK (octet_length(text) <= 4096 AND octet_length(extra_json) <= 4096)
) STRICT;
CREATE INDEX messages_by_run ON messages (run) WHERE run IS NOT NULL;

CREATE TABLE checkpoints (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL REFERENCES runs (id),
  number INTEGER NOT NULL CHECK (number >= 1),
  attempt INTEGER NOT NULL,
  label TEXT CHECK (octet_length(label) <= 4096),
  definition_hash TEXT,
  parent INTEGER,
  created_at INTEGER NOT NULL,
  UNIQUE (run, number)
) STRICT;

CREATE TABLE places (            -- what a state holds at a place, since a checkpoint; the newest not after n counts
  run INTEGER NOT NULL REFERENCES runs (id),
  path TEXT NOT NULL,            -- top-level key of the state, or '' for a state that is no object
  item INTEGER NOT NULL,         -- index in a list; -1 the value itself, -2 the length of the list
  since INTEGER NOT NULL,        -- checkpoint number
  codec INTEGER NOT NULL,
  value BLOB,                    -- NULL with no value_ref: the place is gone
  value_ref TEXT REFERENCES blobs (digest),
  PRIMARY KEY (run, path, item, since)
) STRICT, WITHOUT ROWID;

CREATE TABLE boards (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  board_id TEXT NOT NULL UNIQUE,
  thread_id TEXT,
  title TEXT CHECK (octet_length(title) <= 4096),
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE cards (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  card_id TEXT NOT NULL UNIQUE,
  board INTEGER NOT NULL REFERENCES boards (id),
  title TEXT NOT NULL CHECK (octet_length(title) <= 4096),
  status TEXT NOT NULL CHECK (status IN ('todo', 'in_progress', 'blocked', 'done')),
  position INTEGER NOT NULL,
  body TEXT,
  body_ref TEXT REFERENCES blobs (digest),
  assignee TEXT,
  labels_json TEXT NOT NULL,
  claimed_by INTEGER REFERENCES runs (id),
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK (claimed_by IS NULL OR status = 'in_progress'),
  CHECK (octet_length(body) <= 4096 AND octet_length(labels_json) <= 4096)
) STRICT;
CREATE INDEX cards_by_board ON cards (board, position, id);
CREATE INDEX cards_by_claim ON cards (claimed_by) WHERE claimed_by IS NOT NULL;

CREATE TABLE commands (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  command_id TEXT NOT NULL UNIQUE,
  run INTEGER NOT NULL REFERENCES runs (id),
  verb TEXT NOT NULL,
  payload_json TEXT NOT NULL CHECK (octet_length(payload_json) <= 4096),
  idempotency_key TEXT,
  status TEXT NOT NULL CHECK (status IN ('requested', 'acknowledged', 'applied', 'rejected')),
  requested_by TEXT,
  reason TEXT,
  requested_at INTEGER NOT NULL,
  acknowledged_at INTEGER,
  ended_at INTEGER,
  UNIQUE (run, idempotency_key)
) STRICT;
CREATE INDEX commands_open ON commands (id, run) WHERE status IN ('requested', 'acknowledged');
