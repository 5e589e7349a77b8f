-- Rows written again from what is whole.

-- name: rewrite_attempt
INSERT INTO attempts (run, number, owner, started_at, ended_at, outcome, reason, first_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, number) DO UPDATE SET owner = excluded.owner, started_at = excluded.started_at,
  ended_at = excluded.ended_at, outcome = excluded.outcome, reason = excluded.reason, first_seq = excluded.first_seq

-- name: rewrite_checkpoint
-- What was known by then is in no event: of a row that is gone only its time says it.
INSERT INTO checkpoints (run, number, attempt, label, definition_hash, parent, created_at, journal)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, number) DO UPDATE SET attempt = excluded.attempt, label = excluded.label,
  definition_hash = excluded.definition_hash, parent = excluded.parent, created_at = excluded.created_at

-- name: journal_by
-- The newest record of a run's journal at a time.
SELECT coalesce(max(id), 0) FROM journal WHERE run = :run AND at <= :at

-- name: run_exists
SELECT id FROM runs WHERE id = :run

-- name: request_ids_of_run
SELECT request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, cost_source, cache_write_1h_tokens, root FROM usage WHERE run = :run

-- name: all_totals_of
SELECT scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs, priced_costs
FROM totals WHERE run = :run

-- name: rewrite_totals
INSERT INTO totals (run, scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, unknown_costs, priced_costs)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, scope, provider, model) DO UPDATE SET
  requests = excluded.requests, input_tokens = excluded.input_tokens, cache_read_tokens = excluded.cache_read_tokens,
  cache_write_tokens = excluded.cache_write_tokens, output_tokens = excluded.output_tokens,
  reasoning_tokens = excluded.reasoning_tokens, cost_picousd = excluded.cost_picousd,
  unknown_costs = excluded.unknown_costs, priced_costs = excluded.priced_costs

-- name: tools_below
SELECT t.tool, sum(t.calls), sum(t.failed) FROM runs k JOIN tools t ON t.run = k.id AND t.scope = 1
WHERE k.parent = :run GROUP BY t.tool

-- name: all_tools_of
SELECT scope, tool, calls, failed FROM tools WHERE run = :run

-- name: rewrite_tool
INSERT INTO tools (run, scope, tool, calls, failed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (run, scope, tool) DO UPDATE SET calls = excluded.calls, failed = excluded.failed

-- name: links_of_child
SELECT id, key FROM journal WHERE run = :run AND child = :child AND kind = 'child'

-- name: loose_links_of_key
SELECT id FROM journal WHERE run = :run AND kind = 'child' AND key = :key
  AND (child IS NULL OR child NOT IN (SELECT id FROM runs)) ORDER BY id

-- name: unlinked_children
-- Children of a run that no record of its journal leads to.
SELECT c.run_id FROM runs c WHERE c.parent = :run AND c.child_key IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.run = :run AND j.child = c.id) ORDER BY c.id

-- name: last_message_of
SELECT t.id, t.last_seq, coalesce(max(m.seq), 0) FROM threads t LEFT JOIN messages m ON m.thread = t.id
WHERE t.thread_id = :thread_id GROUP BY t.id

-- name: message_to_index
SELECT m.run, m.text, m.text_ref FROM messages m
WHERE m.id = :message AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.message = m.id)

-- name: errors_of
-- What each try of a run failed with.
SELECT payload, payload_ref FROM events WHERE run = :run AND type = 'run.failed' ORDER BY seq

-- name: is_dead_entry
SELECT NOT EXISTS (SELECT 1 FROM texts t WHERE t.id = :number)

-- name: is_dead_text
SELECT EXISTS (SELECT 1 FROM texts t LEFT JOIN runs r ON r.id = t.run LEFT JOIN messages m ON m.id = t.message
  WHERE t.id = :number AND ((t.message IS NOT NULL AND m.id IS NULL) OR (t.message IS NULL AND t.run IS NOT NULL AND r.id IS NULL)
    OR (t.message IS NULL AND t.run IS NULL) OR (t.source = 'title' AND r.title IS NULL)))

-- name: set_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: claimed_card
SELECT c.id, c.card_id, c.board, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, c.claimed_by,
  c.revision, c.created_at, c.updated_at, r.status
FROM cards c LEFT JOIN runs r ON r.id = c.claimed_by
WHERE c.card_id = :card_id AND c.claimed_by IS NOT NULL
  AND (r.id IS NULL OR r.status IN ('completed', 'failed', 'cancelled', 'interrupted'))

-- name: root_of
SELECT root FROM runs WHERE id = :run

-- name: place_of
SELECT depth, run_id, parent FROM runs WHERE id = :run

-- name: crossed_children
-- Children of a run that its journal has under another key than they were started with.
SELECT c.run_id FROM journal j JOIN runs c ON c.id = j.child
WHERE j.run = :run AND j.kind = 'child' AND c.parent = j.run AND c.child_key IS NOT NULL AND c.child_key <> j.key
