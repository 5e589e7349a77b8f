-- Removal of whole ended trees, and of blobs that nobody refers to any more.

-- name: tree_messages
SELECT count(*), coalesce(sum(octet_length(m.text)), 0)
FROM runs r JOIN threads t ON t.run = r.id JOIN messages m ON m.thread = t.id WHERE r.root = :root
  AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.worker_thread_id = t.thread_id AND o.root <> :root)
  AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.parent_thread_id = t.thread_id AND o.root <> :root)

-- name: tree_checkpoints
SELECT count(*) FROM runs r JOIN checkpoints c ON c.run = r.id WHERE r.root = :root

-- name: tree_places
SELECT count(*), coalesce(sum(octet_length(p.value)), 0) FROM runs r JOIN places p ON p.run = r.id WHERE r.root = :root

-- name: tree_blobs
-- Values that a tree refers to; others may refer to them, too.
SELECT count(*), coalesce(sum(octet_length(b.data)), 0) FROM blobs b WHERE b.digest IN (
  SELECT prompt_ref FROM runs WHERE root = :root UNION SELECT input_ref FROM runs WHERE root = :root
  UNION SELECT result_ref FROM runs WHERE root = :root
  UNION SELECT e.payload_ref FROM runs r JOIN events e ON e.run = r.id WHERE r.root = :root AND e.payload_ref IS NOT NULL
  UNION SELECT j.value_ref FROM runs r JOIN journal j ON j.run = r.id WHERE r.root = :root
  UNION SELECT p.value_ref FROM runs r JOIN places p ON p.run = r.id WHERE r.root = :root
  UNION SELECT m.text_ref FROM runs r JOIN threads t ON t.run = r.id JOIN messages m ON m.thread = t.id WHERE r.root = :root
  UNION SELECT m.extra_ref FROM runs r JOIN threads t ON t.run = r.id JOIN messages m ON m.thread = t.id WHERE r.root = :root)

-- name: tree_spent
SELECT coalesce(sum(cost_picousd), 0), coalesce(sum(unknown_costs), 0), coalesce(sum(requests), 0)
FROM totals WHERE run = :root AND scope = 1

-- name: runs_of_tree
-- Children before their parents.
SELECT id, run_id, depth FROM runs WHERE root = :root ORDER BY depth DESC, id

-- name: last_type
SELECT type FROM events WHERE run = :run ORDER BY seq DESC LIMIT 1

-- name: old_events
-- Events below the tombstone, a chunk at a time.
SELECT position, payload_ref FROM events WHERE run = :run AND seq < :floor ORDER BY seq LIMIT :limit

-- name: left_events
-- What came after the tombstone, and itself.
SELECT position, payload_ref FROM events WHERE run = :run ORDER BY seq LIMIT :limit

-- name: old_messages
-- Of the run's worker thread, unless runs of another tree use that conversation, too; what those wrote stays anyway.
SELECT m.id, x.id, m.text_ref, m.extra_ref
FROM threads t JOIN messages m ON m.thread = t.id LEFT JOIN texts x ON x.message = m.id LEFT JOIN runs w ON w.id = m.run
WHERE t.run = :run AND (w.id IS NULL OR w.root = :root)
  AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.worker_thread_id = t.thread_id AND o.root <> :root)
  AND NOT EXISTS (SELECT 1 FROM runs o WHERE o.parent_thread_id = t.thread_id AND o.root <> :root)
LIMIT :limit

-- name: old_texts
-- What the index knows of a run besides messages; messages in other threads stay, and stay findable.
SELECT id FROM texts WHERE run = :run AND message IS NULL LIMIT :limit

-- name: old_mentions
-- What the run wrote into conversations that stay: it stays, as nobody's.
SELECT id FROM messages WHERE run = :run LIMIT :limit

-- name: old_mentioned_texts
SELECT id FROM texts WHERE run = :run AND message IS NOT NULL LIMIT :limit

-- name: old_places
SELECT path, item, since, value_ref FROM places WHERE run = :run LIMIT :limit

-- name: checkpoint_count
SELECT count(*) FROM checkpoints WHERE run = :run

-- name: old_journal
SELECT id, value_ref FROM journal WHERE run = :run LIMIT :limit

-- name: old_usage
SELECT id, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, cost_source
FROM usage WHERE run = :run LIMIT :limit

-- name: own_tools
SELECT tool, calls, failed FROM tools WHERE run = :run AND scope = 0

-- name: old_processes
SELECT run, attempt, pgid, started_at FROM processes WHERE run = :run LIMIT :limit

-- name: old_commands
SELECT id FROM commands WHERE run = :run LIMIT :limit

-- name: old_inputs
SELECT id, message_ref, schema_ref, response_ref FROM inputs WHERE run = :run LIMIT :limit

-- name: unreferred
-- Of a blob: no row refers to it. A test compares this with the schema.
NOT EXISTS (SELECT 1 FROM runs WHERE prompt_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM runs WHERE input_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM runs WHERE result_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM events WHERE payload_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM journal WHERE value_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM messages WHERE text_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM messages WHERE extra_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM places WHERE value_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM cards WHERE body_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE message_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE schema_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM inputs WHERE response_ref = blobs.digest)
  AND NOT EXISTS (SELECT 1 FROM idempotency WHERE answer_ref = blobs.digest)

-- name: blob_pages
-- A range of blobs, with those of them that no row refers to.
SELECT digest FROM blobs WHERE id > :after AND id <= :last
  AND {unreferred}

-- name: last_blob
SELECT coalesce(max(id), 0) FROM blobs
