-- Removal of whole ended trees.

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
