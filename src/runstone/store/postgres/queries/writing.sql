-- Written by the writer, the one-row INSERTs for many rows at once; and the heads it works on.

-- name: sequences
-- The last integer key given out, by table.
SELECT name, last FROM numbers WHERE name <> 'batches'

-- name: delete_lease
-- Of one attempt: the next one's, opened in the same batch, stays.
DELETE FROM leases WHERE (run, attempt) IN (VALUES (?::bigint, ?::bigint))

-- name: renew_leases
-- One statement for all attempts of a process.
UPDATE leases SET expires_at = given.column1 FROM (VALUES (?::bigint, ?::text)) AS given WHERE leases.owner = given.column2

-- name: extend_lease
-- Of an observed run, by a report of it; the latest counts, whatever order reports come in.
UPDATE leases SET expires_at = greatest(leases.expires_at, heard.expires_at)
FROM (SELECT column1 AS run, max(column2) AS expires_at FROM (VALUES (?::bigint, ?::bigint)) AS given GROUP BY column1) AS heard
WHERE leases.run = heard.run

-- name: end_process
UPDATE processes SET ended_at = given.column4, exit_code = given.column5, signal = given.column6,
  usage_json = given.column7
FROM (VALUES (?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::text)) AS given
WHERE processes.run = given.column1 AND processes.attempt = given.column2 AND processes.pgid = given.column3
  AND processes.ended_at IS NULL

-- name: mark_handled
UPDATE journal SET handled = 1 FROM (VALUES (?::bigint, ?::bigint)) AS given WHERE journal.run = given.column1 AND journal.child = given.column2

-- name: mark_unhandled
-- A failure that ended the parent was not handled, whatever the code had done with it before.
UPDATE journal SET handled = 0 FROM (VALUES (?::bigint, ?::bigint)) AS given WHERE journal.run = given.column1 AND journal.child = given.column2

-- name: keep_result
-- The records of a child that goes on after its end keep the result that it had.
UPDATE journal SET value_ref = given.column2, value = given.column3 FROM (VALUES (?::bigint, ?::text, ?::text)) AS given
WHERE journal.child = given.column1 AND journal.value IS NULL AND journal.value_ref IS NULL

-- name: drop_journal
-- The record stays as history; attempts after this one do not use it.
UPDATE journal SET dropped = given.column2 FROM (VALUES (?::bigint, ?::bigint)) AS given WHERE journal.id = given.column1

-- name: delete_waits
DELETE FROM waits WHERE run IN (VALUES (?::bigint))

-- name: add_totals
INSERT INTO totals (run, scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, unknown_costs, priced_costs)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, scope, provider, model) DO UPDATE SET
  requests = totals.requests + excluded.requests, input_tokens = totals.input_tokens + excluded.input_tokens,
  cache_read_tokens = totals.cache_read_tokens + excluded.cache_read_tokens,
  cache_write_tokens = totals.cache_write_tokens + excluded.cache_write_tokens,
  output_tokens = totals.output_tokens + excluded.output_tokens, reasoning_tokens = totals.reasoning_tokens + excluded.reasoning_tokens,
  cost_picousd = totals.cost_picousd + excluded.cost_picousd, unknown_costs = totals.unknown_costs + excluded.unknown_costs,
  priced_costs = totals.priced_costs + excluded.priced_costs

-- name: add_tools
INSERT INTO tools (run, scope, tool, calls, failed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (run, scope, tool) DO UPDATE SET calls = tools.calls + excluded.calls, failed = tools.failed + excluded.failed

-- name: save_thread
-- A batch may hold several rows for a thread: the last one counts, and the last title that was given.
INSERT INTO threads (id, thread_id, title, run, created_at, updated_at, last_seq) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET title = coalesce(excluded.title, threads.title), updated_at = excluded.updated_at,
  last_seq = excluded.last_seq

-- name: delete_text
DELETE FROM search WHERE id IN (VALUES (?::bigint))

-- name: insert_search
INSERT INTO search (id, body) VALUES (?, words(?::text))
