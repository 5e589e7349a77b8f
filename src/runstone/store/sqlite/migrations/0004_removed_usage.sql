-- What removed runs had spent, by day and by all that a usage report groups by: a prune leaves the totals as they were.

CREATE TABLE removed_usage (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  day INTEGER NOT NULL,              -- days since the epoch, UTC
  kind TEXT NOT NULL,
  agent_id TEXT NOT NULL,            -- '' where there was none, here and below
  definition_id TEXT NOT NULL,       -- of the workflow at the root
  thread_id TEXT NOT NULL,
  labels_json TEXT NOT NULL CHECK (octet_length(labels_json) <= 8192),  -- of the run, else those of its root
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

-- Which rows refer to a blob: a collection asks for each blob, and so does each foreign key when one is deleted.
CREATE INDEX runs_by_prompt ON runs (prompt_ref) WHERE prompt_ref IS NOT NULL;
CREATE INDEX runs_by_input ON runs (input_ref) WHERE input_ref IS NOT NULL;
CREATE INDEX runs_by_result ON runs (result_ref) WHERE result_ref IS NOT NULL;
CREATE INDEX events_by_payload ON events (payload_ref) WHERE payload_ref IS NOT NULL;
CREATE INDEX journal_by_value ON journal (value_ref) WHERE value_ref IS NOT NULL;
CREATE INDEX messages_by_text ON messages (text_ref) WHERE text_ref IS NOT NULL;
CREATE INDEX messages_by_extra ON messages (extra_ref) WHERE extra_ref IS NOT NULL;
CREATE INDEX places_by_value ON places (value_ref) WHERE value_ref IS NOT NULL;
CREATE INDEX cards_by_body ON cards (body_ref) WHERE body_ref IS NOT NULL;
