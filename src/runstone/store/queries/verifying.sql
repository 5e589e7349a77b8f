-- What must hold, as `verify` asks for it: each statement gives the rows that break a rule.

-- name: applied_migrations
SELECT number, name, checksum FROM migrations

-- name: run_count
SELECT count(*) FROM runs

-- name: events_of_runs
-- The events of a range of runs, run by run, in pages.
SELECT e.run, e.seq, e.type, e.version, e.payload, e.payload_ref, e.at, e.attempt
FROM events e WHERE (e.run, e.seq) > (:run, :seq) AND e.run <= :last ORDER BY e.run, e.seq LIMIT :limit

-- name: attempts_of_runs
SELECT run, number, owner, started_at, ended_at, outcome, reason, first_seq FROM attempts WHERE run BETWEEN :first AND :last

-- name: usage_of_runs
SELECT run, request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, cost_source, cache_write_1h_tokens, root
FROM usage WHERE run BETWEEN :first AND :last

-- name: own_totals_of_runs
SELECT run, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs, priced_costs
FROM totals WHERE run BETWEEN :first AND :last AND scope = 0

-- name: own_tools_of_runs
SELECT run, tool, calls, failed FROM tools WHERE run BETWEEN :first AND :last AND scope = 0

-- name: leases_of_runs
SELECT run, attempt FROM leases WHERE run BETWEEN :first AND :last

-- name: checkpoints_of_runs
SELECT run, number, attempt, label, definition_hash, parent, created_at FROM checkpoints WHERE run BETWEEN :first AND :last

-- name: blob_page
SELECT id, digest, codec, data FROM blobs WHERE id > :after ORDER BY id LIMIT :limit

-- name: stray_waits
SELECT DISTINCT r.run_id FROM waits w JOIN runs r ON r.id = w.run WHERE r.status NOT IN ('waiting', 'moved')

-- name: lost_waits
-- Parked for children, and for none in particular: nothing will wake them.
SELECT r.run_id FROM runs r WHERE r.status = 'waiting' AND r.status_reason = 'children' AND r.wake_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.run = r.id)

-- name: never_begun_below_completed
-- Children that a completed run left pending: nobody begins them any more.
SELECT c.run_id, p.run_id FROM runs c JOIN runs p ON p.id = c.parent
WHERE c.status = 'pending' AND c.attempt = 0 AND p.status = 'completed' AND c.detached = 0 AND c.superseded = 0
  AND c.child_key IS NOT NULL

-- name: loose_links
-- Journal records of children that lead to no run.
SELECT r.run_id, j.id, j.key, j.name FROM journal j JOIN runs r ON r.id = j.run
WHERE j.kind = 'child' AND (j.child IS NULL OR j.child NOT IN (SELECT id FROM runs))

-- name: crossed_links
-- Journal records of a run's own children under another key than the child was started with.
SELECT r.run_id, c.run_id FROM journal j JOIN runs c ON c.id = j.child JOIN runs r ON r.id = j.run
WHERE j.kind = 'child' AND c.parent = j.run AND c.child_key IS NOT NULL AND c.child_key <> j.key

-- name: unknown_children
-- Children that their parent's journal does not know: they would be started again.
SELECT p.run_id, c.run_id FROM runs c JOIN runs p ON p.id = c.parent
WHERE c.child_key IS NOT NULL AND c.superseded = 0
  AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.child = c.id AND j.run = c.parent)

-- name: stray_claims
-- Cards that are claimed by a run that has ended, was interrupted or is not there.
SELECT c.card_id, r.run_id, r.status FROM cards c LEFT JOIN runs r ON r.id = c.claimed_by
WHERE c.claimed_by IS NOT NULL AND (r.id IS NULL OR r.status IN ('completed', 'failed', 'cancelled', 'interrupted'))

-- name: threads_behind
-- Threads whose next message would get a number that one has already.
SELECT t.thread_id, t.last_seq, max(m.seq) FROM threads t JOIN messages m ON m.thread = t.id GROUP BY t.id HAVING max(m.seq) > t.last_seq

-- name: dead_texts
-- Records of the index whose run or message is gone, or whose run has no such text.
SELECT t.id FROM texts t LEFT JOIN runs r ON r.id = t.run LEFT JOIN messages m ON m.id = t.message
WHERE t.id > :after AND ((t.message IS NOT NULL AND m.id IS NULL) OR (t.message IS NULL AND t.run IS NOT NULL AND r.id IS NULL)
  OR (t.message IS NULL AND t.run IS NULL) OR (t.source = 'title' AND r.title IS NULL))
ORDER BY t.id LIMIT :limit

-- name: messages_without_text
SELECT m.id, m.text, m.text_ref FROM messages m WHERE m.id > :after AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.message = m.id)
ORDER BY m.id LIMIT :limit

-- name: runs_without_text
-- Runs of which the index lacks the title, prompt or summary that they have.
SELECT r.id FROM runs r
WHERE r.id > :after AND CASE :source WHEN 'title' THEN coalesce(r.title, '') <> ''
    WHEN 'prompt' THEN EXISTS (SELECT 1 FROM blobs b WHERE b.digest = r.prompt_ref AND b.size > 0)
    ELSE r.status = 'completed' AND coalesce(r.summary, '') <> '' END
  AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.run = r.id AND t.source = :source AND t.message IS NULL)
ORDER BY r.id LIMIT :limit

-- name: all_meta
SELECT name, value FROM meta

-- name: checkpointed_runs
SELECT r.id, r.run_id, max(c.number) FROM checkpoints c JOIN runs r ON r.id = c.run
WHERE r.id > :after GROUP BY r.id ORDER BY r.id LIMIT :limit

-- name: places_of
-- The places of a run, in order; the lengths of a list come before its items.
SELECT path, item, since, codec, value, value_ref FROM places
WHERE run = :run AND (path, item, since) > (:path, :item, :since) ORDER BY path, item, since LIMIT :limit

-- name: open_orders_of_ended
-- Orders to runs that ended before they saw them.
SELECT c.command_id, r.run_id FROM commands c JOIN runs r ON r.id = c.run
WHERE c.status IN ('requested', 'acknowledged') AND r.status IN ('completed', 'failed', 'cancelled')

-- name: unreferenced_blobs
-- Values that no row refers to any more: how many, and their bytes.
SELECT count(*), coalesce(sum(length(data)), 0) FROM blobs WHERE digest NOT IN (
  SELECT prompt_ref FROM runs WHERE prompt_ref IS NOT NULL
  UNION ALL SELECT input_ref FROM runs WHERE input_ref IS NOT NULL
  UNION ALL SELECT result_ref FROM runs WHERE result_ref IS NOT NULL
  UNION ALL SELECT payload_ref FROM events WHERE payload_ref IS NOT NULL
  UNION ALL SELECT value_ref FROM journal WHERE value_ref IS NOT NULL
  UNION ALL SELECT text_ref FROM messages WHERE text_ref IS NOT NULL
  UNION ALL SELECT extra_ref FROM messages WHERE extra_ref IS NOT NULL
  UNION ALL SELECT value_ref FROM places WHERE value_ref IS NOT NULL
  UNION ALL SELECT body_ref FROM cards WHERE body_ref IS NOT NULL
  UNION ALL SELECT message_ref FROM inputs WHERE message_ref IS NOT NULL
  UNION ALL SELECT schema_ref FROM inputs WHERE schema_ref IS NOT NULL
  UNION ALL SELECT response_ref FROM inputs WHERE response_ref IS NOT NULL
  UNION ALL SELECT answer_ref FROM idempotency WHERE answer_ref IS NOT NULL)
