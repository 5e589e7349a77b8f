-- What removed runs had spent, by day and by all that a usage report groups by: a prune leaves the totals as they were.

CREATE TABLE removed_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  day INTEGER NOT NULL,              -- days since the epoch, UTC
  kind TEXT NOT NULL,
  agent_id TEXT NOT NULL,            -- '' where there was none, here and below
  definition_id TEXT NOT NULL,       -- of the workflow at the root
  thread_id TEXT NOT NULL,
  labels_json TEXT NOT NULL CHECK (octet_length(labels_json) <= 4096),
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  cost_source TEXT NOT NULL,
  requests INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  cost_picousd INTEGER NOT NULL,
  unknown_costs INTEGER NOT NULL,
  UNIQUE (day, kind, agent_id, definition_id, thread_id, labels_json, provider, model, cost_source)
) STRICT;
