-- Copies of the ledger: what is in one, and what a restored one leaves to the original.

-- name: count_events
SELECT count(*) FROM events

-- name: running_runs
SELECT run_id, attempt FROM runs WHERE status = 'running' ORDER BY id

-- name: open_command_ids
SELECT command_id FROM commands WHERE status IN ('requested', 'acknowledged') ORDER BY id

-- name: note_in_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
