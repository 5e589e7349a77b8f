-- Statements of the SQLite store, by name. One-row INSERTs are sent for many rows at once.

-- name: sequences
-- The last integer key given out, by table.
SELECT name, seq FROM sqlite_sequence

-- name: head_by_id
SELECT r.id, r.run_id, r.kind, r.status, r.parent, r.parent_run_id, r.root, r.root_run_id, r.depth, r.forked_from,
  r.parent_thread_id, r.agent_id, r.agent_version, r.title, r.status_reason, r.wake_at, r.phase, r.prompt_ref, r.input_ref,
  r.options_json, r.worker_thread_id, r.task_board_id, r.task_card_id, r.child_key, r.labels_json, r.attempt, r.owner,
  r.created_at, r.started_at, r.attempt_started_at, r.updated_at, r.completed_at, r.summary, r.result_ref, r.error_json,
  r.definition_id, r.definition_hash, r.tries, r.active_ms, r.model, r.provider, r.superseded, r.detached, r.reused_json,
  (SELECT max(seq) FROM events WHERE run = r.id)
FROM runs r WHERE r.run_id = :value

-- name: head_by_pk
SELECT r.id, r.run_id, r.kind, r.status, r.parent, r.parent_run_id, r.root, r.root_run_id, r.depth, r.forked_from,
  r.parent_thread_id, r.agent_id, r.agent_version, r.title, r.status_reason, r.wake_at, r.phase, r.prompt_ref, r.input_ref,
  r.options_json, r.worker_thread_id, r.task_board_id, r.task_card_id, r.child_key, r.labels_json, r.attempt, r.owner,
  r.created_at, r.started_at, r.attempt_started_at, r.updated_at, r.completed_at, r.summary, r.result_ref, r.error_json,
  r.definition_id, r.definition_hash, r.tries, r.active_ms, r.model, r.provider, r.superseded, r.detached, r.reused_json,
  (SELECT max(seq) FROM events WHERE run = r.id)
FROM runs r WHERE r.id = :value

-- name: save_run
INSERT INTO runs (id, run_id, kind, status, parent, parent_run_id, root, root_run_id, depth, forked_from,
  parent_thread_id, agent_id, agent_version, title, status_reason, wake_at, phase, prompt_ref, input_ref,
  options_json, worker_thread_id, task_board_id, task_card_id, child_key, labels_json, attempt, owner,
  created_at, started_at, attempt_started_at, updated_at, completed_at, summary, result_ref, error_json,
  definition_id, definition_hash, tries, active_ms, model, provider, superseded, detached, reused_json)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  status = excluded.status, parent = excluded.parent, parent_run_id = excluded.parent_run_id, root = excluded.root,
  root_run_id = excluded.root_run_id, depth = excluded.depth, title = excluded.title, status_reason = excluded.status_reason,
  wake_at = excluded.wake_at, options_json = excluded.options_json, worker_thread_id = excluded.worker_thread_id,
  task_board_id = excluded.task_board_id, task_card_id = excluded.task_card_id, labels_json = excluded.labels_json,
  attempt = excluded.attempt, owner = excluded.owner, started_at = excluded.started_at,
  attempt_started_at = excluded.attempt_started_at, updated_at = excluded.updated_at, completed_at = excluded.completed_at,
  summary = excluded.summary, result_ref = excluded.result_ref, error_json = excluded.error_json,
  definition_hash = excluded.definition_hash, tries = excluded.tries, active_ms = excluded.active_ms, model = excluded.model,
  provider = excluded.provider, superseded = excluded.superseded, reused_json = excluded.reused_json

-- name: insert_event
INSERT INTO events (position, run, seq, attempt, at, type, version, importance, payload, payload_ref, event_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_blob
INSERT INTO blobs (digest, codec, size, data) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING

-- name: insert_owner
INSERT INTO owners (owner, identity_json, created_at) VALUES (?, ?, ?) ON CONFLICT (owner) DO NOTHING

-- name: insert_attempt
INSERT INTO attempts (run, number, owner, started_at, ended_at, outcome, reason, first_seq)
VALUES (?, ?, ?, ?, NULL, NULL, NULL, ?)

-- name: end_attempt
-- An upsert that always meets its row: it ends the attempt that is open.
INSERT INTO attempts (run, number, owner, started_at, ended_at, outcome, reason, first_seq) VALUES (?, ?, '', 0, ?, ?, ?, 0)
ON CONFLICT (run, number) DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome, reason = excluded.reason

-- name: insert_lease
INSERT INTO leases (run, attempt, owner, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (run) DO UPDATE SET attempt = excluded.attempt, owner = excluded.owner, expires_at = excluded.expires_at

-- name: delete_lease
-- Of one attempt: the next one's, opened in the same batch, stays.
DELETE FROM leases WHERE (run, attempt) IN (VALUES (?, ?))

-- name: renew_leases
-- One statement for all attempts of a process.
UPDATE leases SET expires_at = given.column1 FROM (VALUES (?, ?)) AS given WHERE leases.owner = given.column2

-- name: extend_lease
UPDATE leases SET expires_at = given.column1 FROM (VALUES (?, ?)) AS given WHERE leases.run = given.column2

-- name: insert_process
INSERT INTO processes (run, attempt, pgid, identity_json, command_json, started_at) VALUES (?, ?, ?, ?, ?, ?)

-- name: end_process
UPDATE processes SET ended_at = given.column4, exit_code = given.column5, signal = given.column6
FROM (VALUES (?, ?, ?, ?, ?, ?)) AS given
WHERE processes.run = given.column1 AND processes.attempt = given.column2 AND processes.pgid = given.column3
  AND processes.ended_at IS NULL

-- name: insert_journal
INSERT INTO journal (id, run, key, kind, name, phase, previous, child, value, value_ref, attempt, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: mark_handled
UPDATE journal SET handled = 1 FROM (VALUES (?, ?)) AS given WHERE journal.run = given.column1 AND journal.child = given.column2

-- name: mark_unhandled
-- A failure that ended the parent was not handled, whatever the code had done with it before.
UPDATE journal SET handled = 0 FROM (VALUES (?, ?)) AS given WHERE journal.run = given.column1 AND journal.child = given.column2

-- name: drop_journal
-- The record stays as history; attempts after this one do not use it.
UPDATE journal SET dropped = given.column2 FROM (VALUES (?, ?)) AS given WHERE journal.id = given.column1

-- name: insert_wait
INSERT INTO waits (run, branch, mode, child) VALUES (?, ?, ?, ?)

-- name: delete_waits
DELETE FROM waits WHERE run IN (VALUES (?))

-- name: insert_usage
INSERT INTO usage (run, root, request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens,
  output_tokens, reasoning_tokens, cost_picousd, cost_source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: add_totals
INSERT INTO totals (run, scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, unknown_costs)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, scope, provider, model) DO UPDATE SET
  requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens,
  cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
  cache_write_tokens = cache_write_tokens + excluded.cache_write_tokens,
  output_tokens = output_tokens + excluded.output_tokens, reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
  cost_picousd = cost_picousd + excluded.cost_picousd, unknown_costs = unknown_costs + excluded.unknown_costs

-- name: add_tools
INSERT INTO tools (run, scope, tool, calls, failed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (run, scope, tool) DO UPDATE SET calls = calls + excluded.calls, failed = failed + excluded.failed

-- name: save_thread
-- An upsert and no UPDATE ... FROM, as a batch may hold several rows for a thread: the last one counts.
INSERT INTO threads (id, thread_id, title, run, created_at, updated_at, last_seq) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET title = coalesce(excluded.title, title), updated_at = excluded.updated_at,
  last_seq = excluded.last_seq

-- name: insert_message
INSERT INTO messages (id, thread, seq, role, run, attempt, at, text, text_ref, extra_json, extra_ref)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_checkpoint
INSERT INTO checkpoints (run, number, attempt, label, definition_hash, parent, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: insert_place
INSERT INTO places (run, path, item, since, codec, value, value_ref) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: save_board
INSERT INTO boards (id, board_id, thread_id, title, revision, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, revision = excluded.revision, updated_at = excluded.updated_at

-- name: save_card
INSERT INTO cards (id, card_id, board, title, status, position, body, body_ref, assignee, labels_json, claimed_by, revision,
  created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, status = excluded.status, position = excluded.position,
  body = excluded.body, body_ref = excluded.body_ref, assignee = excluded.assignee, labels_json = excluded.labels_json,
  claimed_by = excluded.claimed_by, revision = excluded.revision, updated_at = excluded.updated_at

-- name: save_command
INSERT INTO commands (id, command_id, run, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at,
  acknowledged_at, ended_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, reason = excluded.reason,
  acknowledged_at = excluded.acknowledged_at, ended_at = excluded.ended_at

-- name: delete_text
DELETE FROM search WHERE rowid IN (VALUES (?))

-- name: insert_text
INSERT INTO texts (id, source, run, message) VALUES (?, ?, ?, ?)

-- name: insert_search
INSERT INTO search (rowid, body) VALUES (?, ?)

-- --- read by the writer, inside its transaction ---------------------------------------------------------------------

-- name: event_by_key
SELECT seq, position FROM events WHERE run = :run AND event_key = :event_key

-- name: repeated_requests
-- Requests that trees about to be attached have in common with the tree above, or with each other.
SELECT u.id, u.run, u.provider, u.model, u.request_id, u.input_tokens, u.cache_read_tokens, u.cache_write_tokens, u.output_tokens,
  u.reasoning_tokens, u.cost_picousd
FROM usage u WHERE u.root IN (SELECT value FROM json_each(:roots)) AND EXISTS (
  SELECT 1 FROM usage o WHERE o.request_id = u.request_id AND (
    o.root = :root OR (o.id < u.id AND o.root IN (SELECT value FROM json_each(:roots)))))

-- name: forget_request
DELETE FROM usage WHERE id IN (VALUES (?))

-- name: unattached_children
-- Runs that named this parent before it was known.
SELECT id FROM runs WHERE parent IS NULL AND parent_run_id = :run_id

-- name: children_pks
SELECT id FROM runs WHERE parent = :run ORDER BY id

-- name: subtree_totals
SELECT provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs
FROM totals WHERE run = :run AND scope = 1

-- name: subtree_tools
SELECT tool, calls, failed FROM tools WHERE run = :run AND scope = 1

-- name: move_usage
UPDATE OR IGNORE usage SET root = given.column2 FROM (VALUES (?, ?)) AS given WHERE usage.run = given.column1

-- name: waited_children
SELECT DISTINCT child FROM waits

-- name: waits_of_child
-- Who waits for this child, and how many of the same branch's children have not ended, this one left out.
SELECT w.run, w.branch, w.mode, (
  SELECT count(*) FROM waits o JOIN runs r ON r.id = o.child
  WHERE o.run = w.run AND o.branch = w.branch AND o.child <> w.child AND r.status NOT IN ('completed', 'failed', 'cancelled'))
FROM waits w WHERE w.child = :child

-- name: awaited_by
SELECT child FROM waits WHERE run = :run

-- name: unended_processes
SELECT pgid, identity_json, attempt FROM processes WHERE run = :run AND ended_at IS NULL

-- name: request_known
SELECT run FROM usage WHERE root = :root AND request_id = :request_id

-- name: live_siblings
-- Running children of a run in a phase, with a live lease, this one left out. Few runs have a lease, a parent may have
-- thousands of children: the order of the join is said.
SELECT count(*) FROM leases l CROSS JOIN runs r ON r.id = l.run
WHERE r.parent = :parent AND r.phase IS :phase AND r.status = 'running' AND l.expires_at >= :now AND r.id <> :self

-- name: live_in_tree
-- Whether somebody works in the tree, this run left out.
SELECT EXISTS (
  SELECT 1 FROM leases l JOIN runs r ON r.id = l.run WHERE r.root = :root AND r.id <> :self AND l.expires_at >= :now)

-- name: started_below
-- How many runs below this one have begun, each once, whatever its attempts.
WITH RECURSIVE below (id) AS (
  SELECT id FROM runs WHERE parent = :run
  UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT count(*) FROM runs JOIN below USING (id) WHERE attempt > 0

-- name: spent
SELECT coalesce(sum(cost_picousd), 0),
  coalesce(sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens), 0), coalesce(sum(unknown_costs), 0)
FROM totals WHERE run = :run AND scope = 1

-- name: thread_by_id
SELECT id, last_seq FROM threads WHERE thread_id = :thread_id

-- name: last_checkpoint
SELECT coalesce(max(number), 0) FROM checkpoints WHERE run = :run

-- name: board_by_id
SELECT id, board_id, thread_id, title, revision, created_at, updated_at FROM boards WHERE board_id = :board_id

-- name: board_of_card
SELECT board_id FROM boards WHERE id = :board

-- name: card_by_id
SELECT c.id, c.card_id, c.board, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, c.claimed_by,
  c.revision, c.created_at, c.updated_at
FROM cards c WHERE c.card_id = :card_id

-- name: cards_claimed_by
SELECT c.id, c.card_id, c.board, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, c.claimed_by,
  c.revision, c.created_at, c.updated_at
FROM cards c WHERE c.claimed_by = :run

-- name: command_by_id
SELECT id, command_id, run, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at, acknowledged_at,
  ended_at
FROM commands WHERE command_id = :command_id

-- name: command_by_key
SELECT id, command_id, run, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at, acknowledged_at,
  ended_at
FROM commands WHERE run = :run AND idempotency_key = :idempotency_key

-- name: lease_of
SELECT attempt, owner, expires_at FROM leases WHERE run = :run

-- name: unclaimed_children
-- Children that the journal of the run knows, that did not end, and that this attempt did not ask for.
SELECT r.id FROM journal j JOIN runs r ON r.id = j.child
WHERE j.run = :run AND r.parent = j.run AND r.detached = 0 AND r.superseded = 0 AND r.id NOT IN (SELECT value FROM json_each(:claimed))

-- name: texts_of_run
SELECT id FROM texts WHERE run = :run AND source = :source AND message IS NULL

-- --- read by anyone -------------------------------------------------------------------------------------------------

-- name: meta
SELECT value FROM meta WHERE name = :name

-- name: run_columns
-- What a run record is made of; `:now` decides whether a lease is live.
r.run_id, r.kind, r.parent_run_id, r.root_run_id, r.depth, r.forked_from, r.parent_thread_id, r.agent_id, r.agent_version,
r.title, CASE WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT value FROM json_each(:dead))) THEN 'interrupted' ELSE r.status END,
r.status_reason, r.wake_at, r.phase, r.prompt_ref, r.input_ref, r.options_json, r.worker_thread_id, r.task_board_id,
r.task_card_id, r.child_key, r.labels_json, r.attempt, r.owner, r.created_at, r.started_at, r.updated_at, r.completed_at,
r.summary, r.result_ref, r.error_json, r.superseded, r.detached, l.expires_at, r.definition_id, r.definition_hash,
r.id, r.active_ms, r.attempt_started_at, r.model, r.provider, r.reused_json

-- name: run_tables
runs r LEFT JOIN leases l ON l.run = r.id

-- name: shown_status
CASE WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT value FROM json_each(:dead))) THEN 'interrupted' ELSE r.status END, count(*)

-- name: run_ids_with
-- Ids that hold the text that a person typed; looks at all ids, which an index holds.
SELECT run_id FROM runs WHERE instr(run_id, :part) > 0 LIMIT 3

-- name: events_after
SELECT e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key
FROM events e WHERE e.run = :run AND e.seq > :after ORDER BY e.seq LIMIT :limit

-- name: events_before
SELECT e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key
FROM events e WHERE e.run = :run AND e.seq < :before ORDER BY e.seq DESC LIMIT :limit

-- name: events_from_position
SELECT e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key, r.run_id
FROM events e JOIN runs r ON r.id = e.run WHERE e.position > :after ORDER BY e.position LIMIT :limit

-- name: last_position
-- The newest position ever given, also where its event was removed.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)

-- name: pk_of
SELECT id FROM runs WHERE run_id = :run_id

-- name: blob
SELECT codec, data, size FROM blobs WHERE digest = :digest

-- name: attempts_of
SELECT a.number, a.owner, o.identity_json, a.started_at, a.ended_at, a.outcome, a.reason
FROM attempts a JOIN owners o USING (owner) WHERE a.run = :run ORDER BY a.number

-- name: lease_of_run
SELECT l.attempt, l.owner, o.identity_json, l.expires_at FROM leases l JOIN owners o USING (owner) WHERE l.run = :run

-- name: lease_owners
SELECT DISTINCT l.owner, o.identity_json FROM leases l JOIN owners o USING (owner)

-- name: all_leases
SELECT r.run_id, l.attempt, l.owner, o.identity_json, l.expires_at, r.id
FROM leases l JOIN owners o USING (owner) JOIN runs r ON r.id = l.run

-- name: running_without_lease
SELECT r.run_id, r.attempt FROM runs r LEFT JOIN leases l ON l.run = r.id WHERE r.status = 'running' AND l.run IS NULL

-- name: processes_of
SELECT attempt, pgid, identity_json, command_json, started_at, ended_at, exit_code, signal
FROM processes WHERE run = :run ORDER BY started_at, pgid

-- name: all_unended_processes
SELECT r.run_id, p.attempt, p.pgid, p.identity_json, p.command_json, p.started_at, p.ended_at, p.exit_code, p.signal, r.status
FROM processes p JOIN runs r ON r.id = p.run WHERE p.ended_at IS NULL

-- name: totals_of
SELECT provider, model, scope, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs
FROM totals WHERE run = :run ORDER BY provider, model, scope

-- name: tools_of
SELECT tool, scope, calls, failed FROM tools WHERE run = :run ORDER BY tool

-- name: totals_of_many
-- Sums for each run of a JSON list of keys, by scope.
SELECT run, scope, sum(requests), sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens),
  sum(reasoning_tokens), sum(cost_picousd), sum(unknown_costs)
FROM totals WHERE run IN (SELECT value FROM json_each(:runs)) GROUP BY run, scope

-- name: last_sign
-- When the run was last heard of: what others noted about its end is no sign of it.
SELECT at FROM events WHERE run = :run AND type <> 'run.interrupted' ORDER BY seq DESC LIMIT 1

-- name: journal_of
-- All that a run knows, with how its children stand, in one query.
SELECT j.id, j.key, j.kind, j.name, j.phase, j.previous, j.attempt, j.handled, j.dropped, j.child, c.run_id,
  CASE WHEN c.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT value FROM json_each(:dead))) THEN 'interrupted' ELSE c.status END,
  c.error_json,
  coalesce((SELECT sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens) FROM totals t
    WHERE t.run = c.id AND t.scope = 1), 0),
  coalesce((SELECT sum(cost_picousd) FROM totals t WHERE t.run = c.id AND t.scope = 1), 0),
  coalesce(c.attempt, 0), coalesce(c.tries, 0), coalesce(c.status_reason IN ('parent stopped', 'the parent stopped waiting for it', 'its parent finished without it'), 0), coalesce(c.superseded, 0),
  coalesce(j.value, CASE WHEN b.codec = 0 AND b.size <= 4096 THEN CAST(b.data AS TEXT) END), coalesce(j.value_ref, c.result_ref)
FROM journal j LEFT JOIN runs c ON c.id = j.child LEFT JOIN leases l ON l.run = c.id LEFT JOIN blobs b ON b.digest = c.result_ref
WHERE j.run = :run ORDER BY j.id

-- name: tree_of
-- The run and all below it, parents before children.
WITH RECURSIVE below (id) AS (
  SELECT :run
  UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT id FROM below ORDER BY id

-- name: reused_by
-- Children whose stored result the run's current try used: its last attempt, with those that it was parked in.
SELECT payload ->> 'child_run_id' FROM events WHERE run = :run AND type = 'child.reused' AND attempt >= (
  SELECT coalesce(max(attempt), 0) FROM events WHERE run = :run AND type = 'run.started' AND payload ->> 'continues' IS NULL)

-- name: heard_in_try
-- Children that ended, or whose result was used again, since the run's current try began.
SELECT payload ->> 'child_run_id' FROM events WHERE run = :run AND type IN ('child.reused', 'child.completed') AND attempt >= (
  SELECT coalesce(max(attempt), 0) FROM events WHERE run = :run AND type = 'run.started' AND payload ->> 'continues' IS NULL)

-- name: phase_events
SELECT type, payload, at, attempt FROM events WHERE run = :run AND type IN ('phase.started', 'phase.completed', 'phase.failed', 'phase.skipped')
ORDER BY seq

-- name: definitions_of
-- Events that carry a definition, the newest first.
SELECT payload, payload_ref FROM events WHERE run = :run AND type IN ('run.created', 'definition.changed') ORDER BY seq DESC

-- name: children_of
SELECT id FROM runs WHERE parent = :run ORDER BY id

-- name: checkpoints_of
SELECT number, attempt, label, definition_hash, parent, created_at FROM checkpoints WHERE run = :run ORDER BY number

-- name: state_at
-- For each place the newest row not after the checkpoint.
SELECT p.path, p.item, p.codec, p.value, p.value_ref, max(p.since) FROM places p
WHERE p.run = :run AND p.since <= :number GROUP BY p.path, p.item ORDER BY p.path, p.item

-- name: threads_list
SELECT t.thread_id, t.title, r.run_id, (SELECT count(*) FROM messages WHERE thread = t.id), t.created_at, t.updated_at, t.id
FROM threads t LEFT JOIN runs r ON r.id = t.run WHERE t.id < :before ORDER BY t.id DESC LIMIT :limit

-- name: one_thread
SELECT t.thread_id, t.title, r.run_id, (SELECT count(*) FROM messages WHERE thread = t.id), t.created_at, t.updated_at, t.id
FROM threads t LEFT JOIN runs r ON r.id = t.run WHERE t.thread_id = :thread_id

-- name: messages_after
SELECT m.seq, m.role, m.text, m.text_ref, r.run_id, m.attempt, m.at, m.extra_json, m.extra_ref
FROM messages m JOIN threads t ON t.id = m.thread LEFT JOIN runs r ON r.id = m.run
WHERE t.thread_id = :thread_id AND m.seq > :after ORDER BY m.seq LIMIT :limit

-- name: messages_last
SELECT * FROM (
  SELECT m.seq, m.role, m.text, m.text_ref, r.run_id, m.attempt, m.at, m.extra_json, m.extra_ref
  FROM messages m JOIN threads t ON t.id = m.thread LEFT JOIN runs r ON r.id = m.run
  WHERE t.thread_id = :thread_id ORDER BY m.seq DESC LIMIT :limit) ORDER BY seq

-- name: boards_list
SELECT board_id, thread_id, title, revision, created_at, updated_at FROM boards
WHERE :thread_id IS NULL OR thread_id = :thread_id ORDER BY id LIMIT :limit

-- name: cards_of_board
SELECT c.card_id, b.board_id, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, r.run_id,
  (SELECT json_group_array(run_id) FROM (SELECT run_id FROM runs WHERE task_card_id = c.card_id ORDER BY id)), c.revision,
  c.created_at, c.updated_at
FROM cards c JOIN boards b ON b.id = c.board LEFT JOIN runs r ON r.id = c.claimed_by
WHERE b.board_id = :board_id ORDER BY c.position, c.id LIMIT :limit

-- name: one_card
SELECT c.card_id, b.board_id, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, r.run_id,
  (SELECT json_group_array(run_id) FROM (SELECT run_id FROM runs WHERE task_card_id = c.card_id ORDER BY id)), c.revision,
  c.created_at, c.updated_at
FROM cards c JOIN boards b ON b.id = c.board LEFT JOIN runs r ON r.id = c.claimed_by WHERE c.card_id = :card_id

-- name: commands_of
SELECT c.command_id, r.run_id, c.verb, c.payload_json, c.idempotency_key, c.status, c.requested_by, c.reason, c.requested_at,
  c.acknowledged_at, c.ended_at
FROM commands c JOIN runs r ON r.id = c.run WHERE c.run = :run ORDER BY c.id

-- name: open_commands
SELECT c.command_id, r.run_id, c.verb, c.payload_json, c.idempotency_key, c.status, c.requested_by, c.reason, c.requested_at,
  c.acknowledged_at, c.ended_at
FROM commands c JOIN runs r ON r.id = c.run WHERE c.status IN ('requested', 'acknowledged') ORDER BY c.id

-- name: due_runs
-- Parked runs whose timer has come.
SELECT run_id FROM runs WHERE wake_at IS NOT NULL AND wake_at <= :now AND status = 'waiting' ORDER BY wake_at LIMIT 500

-- name: next_wake
SELECT min(wake_at) FROM runs WHERE wake_at IS NOT NULL AND status = 'waiting'

-- name: ready_below
-- Runs of a tree that were woken and that nobody has claimed.
SELECT r.run_id FROM runs r WHERE r.root = :root AND r.status = 'pending' AND r.attempt > 0

-- name: search_texts
SELECT t.source, r.run_id, th.thread_id, m.seq, m.text, m.text_ref, r.title, r.summary, r.error_json, r.prompt_ref
FROM search s JOIN texts t ON t.id = s.rowid LEFT JOIN runs r ON r.id = t.run LEFT JOIN messages m ON m.id = t.message
LEFT JOIN threads th ON th.id = m.thread
WHERE s.search MATCH :query ORDER BY t.id DESC LIMIT :limit

-- name: progressed_since
-- Whether the run or anything below it recorded what a later try can build on.
WITH RECURSIVE below (id) AS (
  SELECT :run
  UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT EXISTS (SELECT 1 FROM below b JOIN journal j ON j.run = b.id WHERE j.at >= :since AND j.kind <> 'timer')
  OR EXISTS (SELECT 1 FROM below b JOIN checkpoints c ON c.run = b.id WHERE c.created_at >= :since)
  OR EXISTS (SELECT 1 FROM below b JOIN runs r ON r.id = b.id WHERE r.status = 'completed' AND r.completed_at >= :since)

-- --- removal ----------------------------------------------------------------------------------------------------------

-- name: old_events
-- Positions of events below the tombstone, a chunk at a time.
SELECT position FROM events WHERE run = :run AND seq < :floor LIMIT :limit

-- name: delete_event
DELETE FROM events WHERE position IN (VALUES (?))

-- name: removed_up_to
-- The newest position that was ever removed: a cursor below it has missed something.
INSERT INTO meta (name, value) VALUES ('removed_up_to', ?)
ON CONFLICT (name) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))

-- name: newest_position_of
SELECT max(position) FROM events WHERE run = :run

-- name: old_messages
SELECT m.id, x.id FROM messages m JOIN threads t ON t.id = m.thread LEFT JOIN texts x ON x.message = m.id
WHERE t.run = :run LIMIT :limit

-- name: old_texts
-- What the index knows of a run besides messages; messages in other threads stay, and stay findable.
SELECT id FROM texts WHERE run = :run AND message IS NULL

-- name: forget_run_in_texts
UPDATE texts SET run = NULL WHERE run IN (VALUES (?))

-- name: delete_message
DELETE FROM messages WHERE id IN (VALUES (?))

-- name: delete_texts
DELETE FROM texts WHERE id IN (VALUES (?))

-- name: old_places
SELECT path, item, since FROM places WHERE run = :run LIMIT :limit

-- name: delete_place
DELETE FROM places WHERE (run, path, item, since) IN (VALUES (?, ?, ?, ?))

-- name: delete_checkpoints
DELETE FROM checkpoints WHERE run IN (VALUES (?))

-- name: delete_journal
DELETE FROM journal WHERE run IN (VALUES (?))

-- name: delete_journal_of_child
DELETE FROM journal WHERE child IN (VALUES (?))

-- name: delete_usage
DELETE FROM usage WHERE run IN (VALUES (?))

-- name: delete_totals
DELETE FROM totals WHERE run IN (VALUES (?))

-- name: delete_tools
DELETE FROM tools WHERE run IN (VALUES (?))

-- name: delete_attempts
DELETE FROM attempts WHERE run IN (VALUES (?))

-- name: delete_processes
DELETE FROM processes WHERE run IN (VALUES (?))

-- name: delete_commands
DELETE FROM commands WHERE run IN (VALUES (?))

-- name: forget_run_in_messages
UPDATE messages SET run = NULL WHERE run IN (VALUES (?))

-- name: leave_thread
-- A thread in which somebody wrote since the run was pruned stays, as nobody's.
UPDATE threads SET run = NULL WHERE run IN (VALUES (?)) AND EXISTS (SELECT 1 FROM messages WHERE thread = threads.id)

-- name: delete_thread
DELETE FROM threads WHERE run IN (VALUES (?))

-- name: delete_events
DELETE FROM events WHERE run IN (VALUES (?))

-- name: delete_run
DELETE FROM runs WHERE id IN (VALUES (?))

-- --- verifying --------------------------------------------------------------------------------------------------------

-- name: all_run_pks
SELECT id FROM runs WHERE id > :after ORDER BY id LIMIT :limit

-- name: integrity
PRAGMA quick_check

-- name: broken_references
PRAGMA foreign_key_check

-- name: seq_gaps
-- Runs whose events are not numbered without gaps from 1, or from a tombstone.
WITH numbered AS (SELECT run, min(seq) AS first, max(seq) AS last, count(*) AS n FROM events GROUP BY run)
SELECT r.run_id, n.first, n.last, n.n FROM numbered n JOIN runs r ON r.id = n.run
WHERE n.last - n.first + 1 <> n.n OR (n.first <> 1 AND NOT EXISTS (
  SELECT 1 FROM events t WHERE t.run = n.run AND t.type = 'run.pruned' AND t.seq >= n.first))

-- name: events_without_run
SELECT count(*) FROM events WHERE run NOT IN (SELECT id FROM runs)

-- name: wrong_own_totals
-- Totals that are not the sum of the requests.
SELECT r.run_id FROM (
  SELECT run, provider, model, count(*) n, sum(input_tokens) i, sum(cache_read_tokens) cr, sum(cache_write_tokens) cw,
    sum(output_tokens) o, sum(reasoning_tokens) rt, sum(coalesce(cost_picousd, 0)) c, sum(cost_picousd IS NULL) u
  FROM usage GROUP BY run, provider, model) s
FULL JOIN (SELECT * FROM totals WHERE scope = 0) t ON t.run = s.run AND t.provider = s.provider AND t.model = s.model
JOIN runs r ON r.id = coalesce(s.run, t.run)
WHERE (coalesce(t.requests, 0), coalesce(t.input_tokens, 0), coalesce(t.cache_read_tokens, 0), coalesce(t.cache_write_tokens, 0),
    coalesce(t.output_tokens, 0), coalesce(t.reasoning_tokens, 0), coalesce(t.cost_picousd, 0), coalesce(t.unknown_costs, 0))
  <> (coalesce(s.n, 0), coalesce(s.i, 0), coalesce(s.cr, 0), coalesce(s.cw, 0), coalesce(s.o, 0), coalesce(s.rt, 0),
    coalesce(s.c, 0), coalesce(s.u, 0))

-- name: wrong_subtree_totals
-- Subtree totals that are not the run's own and its children's subtrees together.
WITH parts AS (
  SELECT run, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    cost_picousd, unknown_costs
  FROM totals WHERE scope = 0
  UNION ALL
  SELECT r.parent, t.provider, t.model, t.requests, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
    t.reasoning_tokens, t.cost_picousd, t.unknown_costs
  FROM totals t JOIN runs r ON r.id = t.run WHERE t.scope = 1 AND r.parent IS NOT NULL),
sums AS (
  SELECT run, provider, model, sum(requests) n, sum(input_tokens) i, sum(cache_read_tokens) cr, sum(cache_write_tokens) cw,
    sum(output_tokens) o, sum(reasoning_tokens) rt, sum(cost_picousd) c, sum(unknown_costs) u
  FROM parts GROUP BY run, provider, model)
SELECT r.run_id FROM sums s
FULL JOIN (SELECT * FROM totals WHERE scope = 1) t ON t.run = s.run AND t.provider = s.provider AND t.model = s.model
JOIN runs r ON r.id = coalesce(s.run, t.run)
WHERE (t.requests, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.reasoning_tokens,
  t.cost_picousd, t.unknown_costs) IS NOT (s.n, s.i, s.cr, s.cw, s.o, s.rt, s.c, s.u)

-- name: wrong_tools
WITH parts AS (
  SELECT run, tool, calls, failed FROM tools WHERE scope = 0
  UNION ALL
  SELECT r.parent, t.tool, t.calls, t.failed FROM tools t JOIN runs r ON r.id = t.run WHERE t.scope = 1 AND r.parent IS NOT NULL),
sums AS (SELECT run, tool, sum(calls) c, sum(failed) f FROM parts GROUP BY run, tool)
SELECT r.run_id FROM sums s
FULL JOIN (SELECT * FROM tools WHERE scope = 1) t ON t.run = s.run AND t.tool = s.tool
JOIN runs r ON r.id = coalesce(s.run, t.run) WHERE (t.calls, t.failed) IS NOT (s.c, s.f)

-- name: wrong_leases
-- Leases that do not belong to the open attempt of a running run.
SELECT r.run_id FROM leases l JOIN runs r ON r.id = l.run WHERE r.status <> 'running' OR r.attempt <> l.attempt

-- name: wrong_attempts
-- Running runs without their open attempt, and open attempts of runs that do not run.
SELECT r.run_id FROM runs r LEFT JOIN attempts a ON a.run = r.id AND a.number = r.attempt
WHERE r.attempt > 0 AND ((r.status = 'running') IS NOT (a.number IS NOT NULL AND a.ended_at IS NULL))

-- name: wrong_waits
SELECT DISTINCT r.run_id FROM waits w JOIN runs r ON r.id = w.run WHERE r.status <> 'waiting'

-- name: wrong_lineage
SELECT r.run_id FROM runs r LEFT JOIN runs p ON p.id = r.parent
WHERE (r.parent IS NULL AND (r.root <> r.id OR r.depth <> 0))
  OR (r.parent IS NOT NULL AND (p.id IS NULL OR r.root <> p.root OR r.depth <> p.depth + 1 OR r.parent_run_id <> p.run_id))

-- name: blob_page
SELECT id, digest, codec, data FROM blobs WHERE id > :after ORDER BY id LIMIT :limit

-- name: pruned_floor
SELECT max(seq) FROM events WHERE run = :run AND type = 'run.pruned'
