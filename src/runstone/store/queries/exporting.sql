-- Read by `export`, each in the order in which its lines come.

-- name: exported_roots
SELECT id, run_id FROM runs WHERE parent IS NULL ORDER BY id

-- name: exported_place
SELECT id, run_id, root FROM runs WHERE run_id = :run_id

-- name: exported_top
-- The run at the top of the tree that a run is in.
SELECT t.run_id FROM runs r JOIN runs t ON t.id = r.root WHERE r.run_id = :run_id

-- name: moving_tree
-- The runs of a tree as a move compares them with what it has exported. Of one that its parent finished without, nothing
-- comes any more.
SELECT r.id, r.run_id, CASE WHEN r.superseded = 1 AND r.status = 'pending' THEN 'cancelled' ELSE r.status END, r.status_reason,
  (SELECT max(e.seq) FROM events e WHERE e.run = r.id)
FROM runs r WHERE r.root = :root ORDER BY r.id

-- name: moved_in_tree
SELECT status_reason FROM runs WHERE root = :root AND status = 'moved' LIMIT 1

-- name: moved_roots
SELECT DISTINCT t.run_id FROM runs r JOIN runs t ON t.id = r.root WHERE r.status = 'moved' ORDER BY t.run_id

-- name: moved_before
-- How a run stood before it was moved.
SELECT payload, payload_ref FROM events WHERE run = :run AND type = 'run.moved' ORDER BY seq DESC LIMIT 1

-- name: exported_event
SELECT seq, attempt, at, type, version, importance, payload, payload_ref, event_key FROM events WHERE run = :run ORDER BY seq

-- name: exported_attempt
SELECT number, owner, started_at, ended_at, outcome, reason, first_seq FROM attempts WHERE run = :run ORDER BY number

-- name: exported_process
SELECT attempt, pgid, identity_json, command_json, started_at, ended_at, exit_code, signal, usage_json
FROM processes WHERE run = :run ORDER BY attempt, pgid, started_at

-- name: exported_journal
SELECT j.key, j.kind, j.name, j.phase, j.previous, c.run_id, j.value, j.value_ref, j.handled, j.dropped, j.attempt, j.at,
  j.past_tokens, j.past_cost_picousd
FROM journal j LEFT JOIN runs c ON c.id = j.child WHERE j.run = :run ORDER BY j.id

-- name: exported_wait
SELECT w.branch, w.mode, c.run_id FROM waits w JOIN runs c ON c.id = w.child WHERE w.run = :run ORDER BY w.branch, c.run_id

-- name: exported_usage
SELECT request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, cost_source, cache_write_1h_tokens
FROM usage WHERE run = :run ORDER BY id

-- name: exported_tool
SELECT tool, calls, failed FROM tools WHERE run = :run AND scope = 0 AND calls > 0 ORDER BY tool

-- name: exported_checkpoint
SELECT c.number, c.attempt, c.label, c.definition_hash, c.parent, c.created_at,
  CASE WHEN c.journal IS NOT NULL THEN (SELECT count(*) FROM journal j WHERE j.run = c.run AND j.id <= c.journal) END
FROM checkpoints c WHERE c.run = :run ORDER BY c.number

-- name: exported_place_rows
SELECT path, item, since, codec, value, value_ref FROM places WHERE run = :run ORDER BY path, item, since

-- name: exported_input
SELECT i.input_id, i.attempt, i.key, i.question, i.content, i.phase, i.previous, i.reason, i.message, i.message_ref, i.schema_json,
  i.schema_ref, i.choices_json, i.default_json, i.expires_at, i.status, i.response, i.response_ref, i.answered_by, i.asked_at,
  i.closed_at, i.claimed,
  CASE WHEN i.journal IS NOT NULL THEN (SELECT count(*) FROM journal j WHERE j.run = i.run AND j.id <= i.journal) END
FROM inputs i WHERE i.run = :run ORDER BY i.id

-- name: exported_command
SELECT command_id, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at, acknowledged_at, ended_at
FROM commands WHERE run = :run ORDER BY id

-- name: exported_owner
SELECT owner, identity_json, created_at FROM owners WHERE owner = :owner

-- name: exported_threads_of
-- The threads that a run works in.
SELECT t.id, t.thread_id, t.title, r.run_id, t.created_at, t.updated_at, t.last_seq FROM threads t LEFT JOIN runs r ON r.id = t.run
WHERE t.run = :run OR t.thread_id = (SELECT worker_thread_id FROM runs WHERE id = :run) ORDER BY t.id

-- name: exported_threads
SELECT t.id, t.thread_id, t.title, r.run_id, t.created_at, t.updated_at, t.last_seq FROM threads t LEFT JOIN runs r ON r.id = t.run
ORDER BY t.id

-- name: exported_messages
SELECT m.seq, m.role, r.run_id, m.attempt, m.at, m.text, m.text_ref, m.extra_json, m.extra_ref
FROM messages m LEFT JOIN runs r ON r.id = m.run WHERE m.thread = :thread ORDER BY m.seq

-- name: exported_boards
SELECT board_id, thread_id, title, revision, created_at, updated_at FROM boards ORDER BY id

-- name: exported_cards
SELECT c.card_id, b.board_id, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, r.run_id, c.revision,
  c.created_at, c.updated_at
FROM cards c JOIN boards b ON b.id = c.board LEFT JOIN runs r ON r.id = c.claimed_by ORDER BY c.id

-- name: removed_usage_rows
-- What removed runs had spent, as `add_removed_usage` takes it.
SELECT day, kind, agent_id, definition_id, thread_id, labels_json, provider, model, cost_source, requests,
  input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_picousd, unknown_costs
FROM removed_usage ORDER BY id
