-- What must hold, as `verify` asks for it: each statement gives the rows that break a rule.

-- name: integrity
-- The whole check: indexes against their tables, constraints, and the full-text index within itself.
PRAGMA integrity_check(1000)

-- name: applied_migrations
SELECT number, name, checksum FROM migrations

-- name: run_count
SELECT count(*) FROM runs

-- name: head_columns
r.id, r.run_id, r.kind, r.status, r.parent, r.parent_run_id, r.root, r.root_run_id, r.depth, r.forked_from,
r.parent_thread_id, r.agent_id, r.agent_version, r.title, r.status_reason, r.wake_at, r.phase, r.prompt_ref, r.input_ref,
r.options_json, r.worker_thread_id, r.task_board_id, r.task_card_id, r.child_key, r.labels_json, r.attempt, r.owner,
r.created_at, r.started_at, r.attempt_started_at, r.updated_at, r.completed_at, r.summary, r.result_ref, r.error_json,
r.definition_id, r.definition_hash, r.tries, r.active_ms, r.model, r.provider, r.superseded, r.detached, r.reused_json,
r.forked_from_checkpoint, r.pinned, r.archived

-- name: head_tables
runs r

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

-- name: broken_references
PRAGMA foreign_key_check

-- name: wrong_own_totals
-- Totals that are not the sum of the requests. What should be there is added, what is there is taken away: one pass.
SELECT r.run_id FROM (
  SELECT run, provider, model, 1 AS n, input_tokens AS i, cache_read_tokens AS cr, cache_write_tokens AS cw, output_tokens AS o,
    reasoning_tokens AS rt, coalesce(cost_picousd, 0) AS c, cost_picousd IS NULL AS u, cost_source = 'priced' AS p
  FROM usage
  UNION ALL
  SELECT run, provider, model, -requests, -input_tokens, -cache_read_tokens, -cache_write_tokens, -output_tokens,
    -reasoning_tokens, -cost_picousd, -unknown_costs, -priced_costs
  FROM totals WHERE scope = 0) s JOIN runs r ON r.id = s.run
GROUP BY s.run, s.provider, s.model
HAVING sum(n) OR sum(i) OR sum(cr) OR sum(cw) OR sum(o) OR sum(rt) OR sum(c) OR sum(u) OR sum(p)

-- name: wrong_subtree_totals
-- Subtree totals that are not the run's own and its children's subtrees together.
SELECT r.run_id FROM (
  SELECT run, provider, model, requests AS n, input_tokens AS i, cache_read_tokens AS cr, cache_write_tokens AS cw,
    output_tokens AS o, reasoning_tokens AS rt, cost_picousd AS c, unknown_costs AS u, priced_costs AS p
  FROM totals WHERE scope = 0
  UNION ALL
  SELECT k.parent, t.provider, t.model, t.requests, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
    t.reasoning_tokens, t.cost_picousd, t.unknown_costs, t.priced_costs
  FROM totals t JOIN runs k ON k.id = t.run WHERE t.scope = 1 AND k.parent IS NOT NULL
  UNION ALL
  SELECT run, provider, model, -requests, -input_tokens, -cache_read_tokens, -cache_write_tokens, -output_tokens,
    -reasoning_tokens, -cost_picousd, -unknown_costs, -priced_costs
  FROM totals WHERE scope = 1) s JOIN runs r ON r.id = s.run
GROUP BY s.run, s.provider, s.model
HAVING sum(n) OR sum(i) OR sum(cr) OR sum(cw) OR sum(o) OR sum(rt) OR sum(c) OR sum(u) OR sum(p)

-- name: wrong_costs
-- Runs whose number to be sorted by is not what their subtree's sums say.
SELECT r.run_id FROM runs r LEFT JOIN (
  SELECT run, CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END AS cost FROM totals WHERE scope = 1 GROUP BY run) t
  ON t.run = r.id WHERE r.cost_picousd IS NOT t.cost

-- name: wrong_labels
-- Labels that are not searched, and those that are searched and not there.
SELECT run_id, name FROM (
  SELECT r.run_id, l.key AS name FROM runs r, json_each(r.labels_json) l
  WHERE l.atom IS NOT NULL AND NOT EXISTS (SELECT 1 FROM labels k WHERE k.name = l.key AND k.value = CAST(l.atom AS TEXT) AND k.run = r.id)
  UNION ALL
  SELECT coalesce(r.run_id, '#' || k.run), k.name FROM labels k LEFT JOIN runs r ON r.id = k.run
  WHERE r.id IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(r.labels_json) l WHERE l.key = k.name AND CAST(l.atom AS TEXT) = k.value))

-- name: wrong_tools
SELECT r.run_id FROM (
  SELECT run, tool, calls AS n, failed AS f FROM tools WHERE scope = 0
  UNION ALL
  SELECT k.parent, t.tool, t.calls, t.failed FROM tools t JOIN runs k ON k.id = t.run WHERE t.scope = 1 AND k.parent IS NOT NULL
  UNION ALL
  SELECT run, tool, -calls, -failed FROM tools WHERE scope = 1) s JOIN runs r ON r.id = s.run
GROUP BY s.run, s.tool HAVING sum(n) OR sum(f)

-- name: blob_page
SELECT id, digest, codec, data FROM blobs WHERE id > :after ORDER BY id LIMIT :limit

-- name: wrong_lineage
-- Runs whose parent, root and depth are not what the ids that they name lead to.
SELECT r.run_id FROM runs r LEFT JOIN runs p ON p.run_id = r.parent_run_id LEFT JOIN runs t ON t.id = r.root
WHERE r.parent IS NOT p.id OR r.root IS NOT coalesce(p.root, r.id) OR r.depth IS NOT coalesce(p.depth + 1, 0)
  OR r.root_run_id IS NOT t.run_id

-- name: stray_waits
SELECT DISTINCT r.run_id FROM waits w JOIN runs r ON r.id = w.run WHERE r.status <> 'waiting'

-- name: missed_wakes
-- Parked runs with a branch that is met: whoever ended its children should have woken them.
SELECT DISTINCT r.run_id FROM (
  SELECT w.run, w.branch, w.mode, count(*) AS n, sum(c.status IN ('completed', 'failed', 'cancelled')) AS ended
  FROM waits w JOIN runs c ON c.id = w.child GROUP BY w.run, w.branch, w.mode) b JOIN runs r ON r.id = b.run
WHERE r.status = 'waiting' AND (b.ended = b.n OR (b.mode = 'any' AND b.ended > 0))

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

-- name: lost_results
-- Finished steps whose result is not there.
SELECT r.run_id, j.name FROM journal j JOIN runs r ON r.id = j.run
WHERE j.kind = 'step' AND ((j.value IS NULL AND j.value_ref IS NULL) OR (j.value IS NOT NULL AND NOT json_valid(j.value)))

-- name: stray_claims
-- Cards that are claimed by a run that has ended, was interrupted or is not there.
SELECT c.card_id, r.run_id, r.status FROM cards c LEFT JOIN runs r ON r.id = c.claimed_by
WHERE c.claimed_by IS NOT NULL AND (r.id IS NULL OR r.status IN ('completed', 'failed', 'cancelled', 'interrupted'))

-- name: threads_behind
-- Threads whose next message would get a number that one has already.
SELECT t.thread_id, t.last_seq, max(m.seq) FROM threads t JOIN messages m ON m.thread = t.id GROUP BY t.id HAVING max(m.seq) > t.last_seq

-- name: lost_messages
-- Threads with gaps, those left out whose messages were removed with their run.
SELECT t.thread_id, t.last_seq, count(m.id) FROM threads t LEFT JOIN messages m ON m.thread = t.id
WHERE t.run IS NULL OR NOT EXISTS (SELECT 1 FROM events e WHERE e.run = t.run AND e.type = 'run.pruned')
GROUP BY t.id
HAVING count(m.id) <> max(t.last_seq, coalesce(max(m.seq), 0)) - CASE WHEN t.run IS NULL THEN coalesce(min(m.seq), t.last_seq + 1) - 1 ELSE 0 END

-- name: impossible_times
-- Times that are no date, by table.
SELECT 'messages', count(*) FROM messages WHERE at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*)
UNION ALL SELECT 'threads', count(*) FROM threads WHERE created_at NOT BETWEEN 0 AND 253402300799999999 OR updated_at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*)
UNION ALL SELECT 'journal', count(*) FROM journal WHERE at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*)
UNION ALL SELECT 'cards', count(*) FROM cards WHERE created_at NOT BETWEEN 0 AND 253402300799999999 OR updated_at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*)
UNION ALL SELECT 'boards', count(*) FROM boards WHERE created_at NOT BETWEEN 0 AND 253402300799999999 OR updated_at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*)
UNION ALL SELECT 'processes', count(*) FROM processes WHERE started_at NOT BETWEEN 0 AND 253402300799999999 OR ended_at < started_at - 86400000000 HAVING count(*)

-- name: unindexed_texts
-- Texts that the index should hold and does not, by what is missing.
SELECT t.id FROM texts t WHERE t.id > :after AND NOT EXISTS (SELECT 1 FROM search_docsize d WHERE d.id = t.id)
  AND (t.run IS NOT NULL OR t.message IS NOT NULL) ORDER BY t.id LIMIT :limit

-- name: dead_entries
-- Entries of the index that no text stands for.
SELECT d.id FROM search_docsize d WHERE d.id > :after AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.id = d.id)
ORDER BY d.id LIMIT :limit

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

-- name: runs_without_errors
-- Runs of which the index has fewer errors than there were failed tries that said why.
SELECT r.id FROM runs r JOIN (
  SELECT e.run, count(*) AS n FROM events e
  WHERE e.type = 'run.failed' AND (e.payload IS NULL OR (json_valid(e.payload) AND coalesce(e.payload ->> '$.error.message', '') <> ''))
  GROUP BY e.run) f ON f.run = r.id
WHERE r.id > :after AND f.n > (SELECT count(*) FROM texts t WHERE t.run = r.id AND t.source = 'error' AND t.message IS NULL)
ORDER BY r.id LIMIT :limit

-- name: numbers_behind
-- Tables of which a number that was given would be given again.
SELECT t.name, coalesce(s.seq, 0), t.last FROM (
  SELECT 'events' AS name, max(coalesce((SELECT max(position) FROM events), 0),
    coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'removed_up_to'), 0)) AS last
  UNION ALL SELECT 'runs', max(coalesce((SELECT max(id) FROM runs), 0), coalesce((SELECT max(run) FROM events), 0))
  UNION ALL SELECT 'journal', (SELECT max(id) FROM journal)
  UNION ALL SELECT 'usage', (SELECT max(id) FROM usage)
  UNION ALL SELECT 'threads', (SELECT max(id) FROM threads)
  UNION ALL SELECT 'messages', (SELECT max(id) FROM messages)
  UNION ALL SELECT 'checkpoints', (SELECT max(id) FROM checkpoints)
  UNION ALL SELECT 'boards', (SELECT max(id) FROM boards)
  UNION ALL SELECT 'cards', (SELECT max(id) FROM cards)
  UNION ALL SELECT 'commands', (SELECT max(id) FROM commands)
  UNION ALL SELECT 'inputs', (SELECT max(id) FROM inputs)
  UNION ALL SELECT 'removed_usage', (SELECT max(id) FROM removed_usage)
  UNION ALL SELECT 'texts', (SELECT max(id) FROM texts)) t LEFT JOIN sqlite_sequence s ON s.name = t.name
WHERE t.last > coalesce(s.seq, 0)

-- name: broken_rules
-- Rows that the schema's own rules forbid, by table: on a connection that only reads SQLite does not look at them.
SELECT 'runs', run_id FROM runs WHERE octet_length(title) > 4096 OR octet_length(summary) > 4096 OR octet_length(status_reason) > 4096
  OR octet_length(options_json) > 4096 OR octet_length(labels_json) > 4096 OR octet_length(error_json) > 4096
  OR (status = 'running') <> (attempt_started_at IS NOT NULL)
  OR (status IN ('completed', 'failed', 'cancelled')) <> (completed_at IS NOT NULL) OR depth < 0 OR attempt < 0
UNION ALL SELECT 'events', position FROM events WHERE octet_length(payload) > 4096
UNION ALL SELECT 'attempts', run || '.' || number FROM attempts WHERE number < 1 OR (ended_at IS NULL) <> (outcome IS NULL)
UNION ALL SELECT 'journal', id FROM journal WHERE octet_length(name) > 4096 OR octet_length(value) > 4096
UNION ALL SELECT 'threads', thread_id FROM threads WHERE octet_length(title) > 4096
UNION ALL SELECT 'messages', id FROM messages WHERE octet_length(text) > 4096 OR octet_length(extra_json) > 4096
  OR (text IS NULL) = (text_ref IS NULL)
UNION ALL SELECT 'checkpoints', run || '.' || number FROM checkpoints WHERE octet_length(label) > 4096 OR number < 1
UNION ALL SELECT 'boards', board_id FROM boards WHERE octet_length(title) > 4096
UNION ALL SELECT 'cards', card_id FROM cards WHERE octet_length(title) > 4096 OR octet_length(body) > 4096
  OR octet_length(labels_json) > 4096 OR status NOT IN ('todo', 'in_progress', 'blocked', 'done')
  OR (claimed_by IS NOT NULL AND status <> 'in_progress')
UNION ALL SELECT 'commands', command_id FROM commands WHERE octet_length(payload_json) > 4096
  OR status NOT IN ('requested', 'acknowledged', 'applied', 'rejected')
UNION ALL SELECT 'usage', request_id FROM usage WHERE min(input_tokens, cache_read_tokens, cache_write_tokens, output_tokens) < 0
  OR reasoning_tokens NOT BETWEEN 0 AND output_tokens OR cost_picousd < 0
  OR cost_source NOT IN ('reported', 'priced', 'unknown') OR (cost_picousd IS NULL) <> (cost_source = 'unknown')

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
