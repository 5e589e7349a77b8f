-- Written by the writer, the one-row INSERTs for many rows at once; and the heads it works on.

-- name: head_columns
r.id, r.run_id, r.kind, r.status, r.parent, r.parent_run_id, r.root, r.root_run_id, r.depth, r.forked_from,
r.parent_thread_id, r.agent_id, r.agent_version, r.title, r.status_reason, r.wake_at, r.phase, r.prompt_ref, r.input_ref,
r.options_json, r.worker_thread_id, r.task_board_id, r.task_card_id, r.child_key, r.labels_json, r.attempt, r.owner,
r.created_at, r.started_at, r.attempt_started_at, r.updated_at, r.completed_at, r.summary, r.result_ref, r.error_json,
r.definition_id, r.definition_hash, r.tries, r.active_ms, r.model, r.provider, r.superseded, r.detached, r.reused_json,
r.forked_from_checkpoint, r.pinned, r.archived

-- name: head_tables
runs r

-- name: head_by_id
SELECT {head_columns}, (SELECT max(seq) FROM events WHERE run = r.id) FROM {head_tables} WHERE r.run_id = :value

-- name: head_by_pk
SELECT {head_columns}, (SELECT max(seq) FROM events WHERE run = r.id) FROM {head_tables} WHERE r.id = :value

-- name: save_run
INSERT INTO runs (id, run_id, kind, status, parent, parent_run_id, root, root_run_id, depth, forked_from,
  parent_thread_id, agent_id, agent_version, title, status_reason, wake_at, phase, prompt_ref, input_ref,
  options_json, worker_thread_id, task_board_id, task_card_id, child_key, labels_json, attempt, owner,
  created_at, started_at, attempt_started_at, updated_at, completed_at, summary, result_ref, error_json,
  definition_id, definition_hash, tries, active_ms, model, provider, superseded, detached, reused_json,
  forked_from_checkpoint, pinned, archived)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  status = excluded.status, parent = excluded.parent, parent_run_id = excluded.parent_run_id, root = excluded.root,
  root_run_id = excluded.root_run_id, depth = excluded.depth, title = excluded.title, status_reason = excluded.status_reason,
  wake_at = excluded.wake_at, options_json = excluded.options_json, worker_thread_id = excluded.worker_thread_id,
  task_board_id = excluded.task_board_id, task_card_id = excluded.task_card_id, labels_json = excluded.labels_json,
  attempt = excluded.attempt, owner = excluded.owner, started_at = excluded.started_at,
  attempt_started_at = excluded.attempt_started_at, updated_at = excluded.updated_at, completed_at = excluded.completed_at,
  summary = excluded.summary, result_ref = excluded.result_ref, error_json = excluded.error_json,
  definition_hash = excluded.definition_hash, tries = excluded.tries, active_ms = excluded.active_ms, model = excluded.model,
  provider = excluded.provider, superseded = excluded.superseded, reused_json = excluded.reused_json,
  pinned = excluded.pinned, archived = excluded.archived

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

-- name: insert_process
INSERT INTO processes (run, attempt, pgid, identity_json, command_json, started_at) VALUES (?, ?, ?, ?, ?, ?)

-- name: insert_journal
INSERT INTO journal (id, run, key, kind, name, phase, previous, child, value, value_ref, attempt, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_known
-- What a fork knows from the beginning.
INSERT INTO journal (id, run, key, kind, name, phase, previous, child, value, value_ref, attempt, at, past_tokens,
  past_cost_picousd)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_wait
INSERT INTO waits (run, branch, mode, child) VALUES (?, ?, ?, ?)

-- name: insert_usage
INSERT INTO usage (run, root, request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens,
  output_tokens, reasoning_tokens, cost_picousd, cost_source, cache_write_1h_tokens)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_message
INSERT INTO messages (id, thread, seq, role, run, attempt, at, text, text_ref, extra_json, extra_ref)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_checkpoint
INSERT INTO checkpoints (run, number, attempt, label, definition_hash, parent, created_at, journal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

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

-- name: insert_text
INSERT INTO texts (id, source, run, message) VALUES (?, ?, ?, ?)

-- name: save_spool
-- A batch may hold several rows for a spool: the last one counts.
INSERT INTO spools (spool, last, at) VALUES (?, ?, ?)
ON CONFLICT (spool) DO UPDATE SET last = excluded.last, at = excluded.at

-- name: forget_spools
DELETE FROM spools WHERE spool IN (SELECT spool FROM spools WHERE at < ? ORDER BY at LIMIT 100)

-- name: renew_lease
UPDATE leases SET expires_at = ? WHERE run = ? AND owner = ?
