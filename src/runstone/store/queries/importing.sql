-- Rows as an export brings them, and what the ledger has of them already.

-- name: import_process
INSERT INTO processes (run, attempt, pgid, identity_json, command_json, started_at, ended_at, exit_code, signal, usage_json)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: import_acknowledgement
INSERT INTO acknowledgements (run, listener, attempt, acknowledged_at) VALUES (?, ?, ?, ?)

-- name: import_journal
INSERT INTO journal (id, run, key, kind, name, phase, previous, child, value, value_ref, handled, dropped, attempt, at, past_tokens,
  past_cost_picousd)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: present_events
-- Events of a run that is here already.
SELECT seq, attempt, at, type, version, importance, payload, payload_ref, event_key
FROM events WHERE run = :run AND seq > :after ORDER BY seq LIMIT :limit

-- name: present_message
SELECT m.role, m.at, m.text, m.text_ref, m.extra_json, m.extra_ref FROM messages m JOIN threads t ON t.id = m.thread
WHERE t.thread_id = :thread_id AND m.seq = :seq

-- name: present_thread
SELECT t.id, t.created_at, t.updated_at, t.last_seq, r.run_id FROM threads t LEFT JOIN runs r ON r.id = t.run
WHERE t.thread_id = :thread_id

-- name: present_board
SELECT id, revision, created_at FROM boards WHERE board_id = :board_id

-- name: present_card
SELECT revision, created_at FROM cards WHERE card_id = :card_id

-- name: linked_child
SELECT id FROM journal WHERE run = :run AND child = :child
