-- Removal of whole ended trees, and of blobs that nobody refers to any more.

-- name: standing_of_tree
-- What decides whether a tree may go: how many runs, one that lives, one that was interrupted, the last activity.
-- A run that its parent finished without, and that nobody works on, is as good as ended; an interrupted one lives as
-- long as a process of it may.
SELECT count(*),
  max(CASE WHEN (r.status NOT IN ('completed', 'failed', 'cancelled', 'interrupted', 'moved') AND NOT (r.superseded = 1 AND r.status = 'pending'))
    OR (r.status = 'interrupted' AND EXISTS (SELECT 1 FROM processes p WHERE p.run = r.id AND p.ended_at IS NULL)) THEN r.run_id END),
  max(CASE WHEN r.status = 'interrupted' AND r.superseded = 0 THEN r.run_id END), max(r.updated_at)
FROM runs r WHERE r.root = :root

-- name: tree_page
-- Trees by the key of their root, a page at a time, with what decides whether each may go.
SELECT t.id, t.run_id, t.status, t.title, t.agent_id, t.definition_id, t.labels_json, count(*), max(r.updated_at),
  count(*) FILTER (WHERE (r.status NOT IN ('completed', 'failed', 'cancelled', 'interrupted') AND NOT (r.superseded = 1 AND r.status = 'pending'))
    OR (r.status = 'interrupted' AND EXISTS (SELECT 1 FROM processes p WHERE p.run = r.id AND p.ended_at IS NULL))),
  count(*) FILTER (WHERE r.status = 'interrupted' AND r.superseded = 0)
FROM runs t JOIN runs r ON r.root = t.id WHERE t.parent IS NULL AND t.id > :after GROUP BY t.id ORDER BY t.id LIMIT :limit

-- name: tree_events
-- How many events of a tree can go, and their bytes; a tombstone stays as long as its run.
SELECT count(*), coalesce(sum(octet_length(e.payload)), 0), count(*) FILTER (WHERE e.type = 'run.pruned')
FROM runs r JOIN events e ON e.run = r.id WHERE r.root = :root

-- name: delete_event
DELETE FROM events WHERE position IN (VALUES (?::bigint))

-- name: removed_up_to
-- The newest position that was ever removed: a cursor below it has missed something.
INSERT INTO meta (name, value) VALUES ('removed_up_to', ?)
ON CONFLICT (name) DO UPDATE SET value = CAST(greatest(meta.value::bigint, excluded.value::bigint) AS text)

-- name: forget_run_in_message
UPDATE messages SET run = NULL WHERE id IN (VALUES (?::bigint))

-- name: forget_run_in_text
UPDATE texts SET run = NULL WHERE id IN (VALUES (?::bigint))

-- name: delete_message
DELETE FROM messages WHERE id IN (VALUES (?::bigint))

-- name: delete_texts
DELETE FROM texts WHERE id IN (VALUES (?::bigint))

-- name: delete_place
DELETE FROM places WHERE (run, path, item, since) IN (VALUES (?::bigint, ?::text, ?::bigint, ?::bigint))

-- name: delete_places
DELETE FROM places WHERE run IN (VALUES (?::bigint))

-- name: delete_checkpoints
DELETE FROM checkpoints WHERE run IN (VALUES (?::bigint))

-- name: journal_count
SELECT count(*) FROM journal WHERE id = ANY (translate(:numbers, '[]', '{}')::bigint[])

-- name: delete_journal_record
DELETE FROM journal WHERE id IN (VALUES (?::bigint))

-- name: delete_journal_of_child
-- Its parent's record of it; that of a fork stays.
DELETE FROM journal WHERE child IN (VALUES (?::bigint)) AND EXISTS (
  SELECT 1 FROM runs r JOIN runs c ON c.id = journal.child WHERE r.id = journal.run AND r.root = c.root)

-- name: keep_journal_of_child
-- Forks of its parent know its result by a reference of their own: for them it stays finished, as work of a removed run.
UPDATE journal SET child = NULL, kind = 'removed', value = CASE WHEN value_ref IS NULL THEN 'null' END WHERE child IN (VALUES (?::bigint))

-- name: delete_request
DELETE FROM usage WHERE id IN (VALUES (?::bigint))

-- name: add_removed_usage
INSERT INTO removed_usage (day, kind, agent_id, definition_id, thread_id, labels_json, provider, model, cost_source, requests,
  input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_picousd, unknown_costs)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, what) DO UPDATE SET
  requests = removed_usage.requests + excluded.requests, input_tokens = removed_usage.input_tokens + excluded.input_tokens,
  cache_read_tokens = removed_usage.cache_read_tokens + excluded.cache_read_tokens,
  cache_write_tokens = removed_usage.cache_write_tokens + excluded.cache_write_tokens,
  output_tokens = removed_usage.output_tokens + excluded.output_tokens, reasoning_tokens = removed_usage.reasoning_tokens + excluded.reasoning_tokens,
  cost_picousd = removed_usage.cost_picousd + excluded.cost_picousd, unknown_costs = removed_usage.unknown_costs + excluded.unknown_costs

-- name: delete_totals
DELETE FROM totals WHERE run IN (VALUES (?::bigint))

-- name: delete_tools
DELETE FROM tools WHERE run IN (VALUES (?::bigint))

-- name: delete_attempts
DELETE FROM attempts WHERE run IN (VALUES (?::bigint))

-- name: delete_process
DELETE FROM processes WHERE (run, attempt, pgid, started_at) IN (VALUES (?::bigint, ?::bigint, ?::bigint, ?::bigint))

-- name: delete_command
DELETE FROM commands WHERE id IN (VALUES (?::bigint))

-- name: delete_input
DELETE FROM inputs WHERE id IN (VALUES (?::bigint))

-- name: leave_thread
-- A thread in which somebody wrote since the run was pruned, or that others use, stays: as a worker's of another tree,
-- else as nobody's.
UPDATE threads SET run = (
    SELECT o.id FROM runs o JOIN runs g ON g.id = threads.run
    WHERE o.worker_thread_id = threads.thread_id AND o.root <> g.root ORDER BY o.id LIMIT 1)
WHERE run IN (VALUES (?::bigint)) AND (EXISTS (SELECT 1 FROM messages WHERE thread = threads.id)
  OR EXISTS (SELECT 1 FROM runs o JOIN runs g ON g.id = threads.run WHERE o.worker_thread_id = threads.thread_id AND o.root <> g.root)
  OR EXISTS (SELECT 1 FROM runs o JOIN runs g ON g.id = threads.run WHERE o.parent_thread_id = threads.thread_id AND o.root <> g.root))

-- name: delete_thread
DELETE FROM threads WHERE run IN (VALUES (?::bigint))

-- name: delete_run
DELETE FROM runs WHERE id IN (VALUES (?::bigint))

-- name: loose_blobs
-- Of these digests the blobs that no row refers to.
SELECT digest, octet_length(data) FROM blobs WHERE digest IN (SELECT json_array_elements_text(:digests::json))
  AND {unreferred}

-- name: delete_blob
-- Asked again as it is deleted: what wrote the same content meanwhile, in the same transaction too, keeps it.
DELETE FROM blobs WHERE digest IN (VALUES (?::text))
  AND {unreferred}
