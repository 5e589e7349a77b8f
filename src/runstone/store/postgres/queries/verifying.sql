-- What must hold, as `verify` asks for it: each statement gives the rows that break a rule.

-- name: integrity
-- Indexes that are only half built, and rules that were never checked. The pages themselves are PostgreSQL's to check.
SELECT 'index ' || c.relname || ' is not valid: type REINDEX INDEX ' || c.relname FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
UNION ALL SELECT 'rule ' || c.conname || ' of table ' || t.relname || ' was never checked: type ALTER TABLE ' || t.relname
  || ' VALIDATE CONSTRAINT ' || c.conname
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE NOT c.convalidated AND c.connamespace = current_schema()::regnamespace

-- name: broken_references
-- PostgreSQL keeps them itself, unless somebody with the rights for that switched its triggers off (some restores do).
SELECT 'runs', id, 'blobs', 0 FROM runs o WHERE prompt_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.prompt_ref)
UNION ALL SELECT 'runs', id, 'blobs', 0 FROM runs o WHERE input_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.input_ref)
UNION ALL SELECT 'runs', id, 'blobs', 0 FROM runs o WHERE result_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.result_ref)
UNION ALL SELECT 'events', position, 'blobs', 0 FROM events o WHERE payload_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.payload_ref)
UNION ALL SELECT 'journal', id, 'blobs', 0 FROM journal o WHERE value_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.value_ref)
UNION ALL SELECT 'messages', id, 'blobs', 0 FROM messages o WHERE text_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.text_ref)
UNION ALL SELECT 'messages', id, 'blobs', 0 FROM messages o WHERE extra_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.extra_ref)
UNION ALL SELECT 'cards', id, 'blobs', 0 FROM cards o WHERE body_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.body_ref)
UNION ALL SELECT 'inputs', id, 'blobs', 0 FROM inputs o WHERE message_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.message_ref)
UNION ALL SELECT 'inputs', id, 'blobs', 0 FROM inputs o WHERE schema_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.schema_ref)
UNION ALL SELECT 'inputs', id, 'blobs', 0 FROM inputs o WHERE response_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.response_ref)
UNION ALL SELECT 'places', run, 'blobs', 0 FROM places o WHERE value_ref IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = o.value_ref)
UNION ALL SELECT 'journal', id, 'runs', 0 FROM journal o WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = o.run)
UNION ALL SELECT 'attempts', run, 'runs', 0 FROM attempts o WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = o.run)
UNION ALL SELECT 'leases', run, 'runs', 0 FROM leases o WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = o.run)
UNION ALL SELECT 'usage', id, 'runs', 0 FROM usage o WHERE NOT EXISTS (SELECT 1 FROM runs WHERE id = o.run)

-- name: wrong_own_totals
-- Totals that are not the sum of the requests. What should be there is added, what is there is taken away: one pass.
SELECT r.run_id FROM (
  SELECT run, provider, model, 1 AS n, input_tokens AS i, cache_read_tokens AS cr, cache_write_tokens AS cw, output_tokens AS o,
    reasoning_tokens AS rt, coalesce(cost_picousd, 0) AS c, CAST(cost_picousd IS NULL AS int) AS u,
    CAST(cost_source = 'priced' AS int) AS p
  FROM usage
  UNION ALL
  SELECT run, provider, model, -requests, -input_tokens, -cache_read_tokens, -cache_write_tokens, -output_tokens,
    -reasoning_tokens, -cost_picousd, -unknown_costs, -priced_costs
  FROM totals WHERE scope = 0) s JOIN runs r ON r.id = s.run
GROUP BY r.id, s.provider, s.model
HAVING sum(n) <> 0 OR sum(i) <> 0 OR sum(cr) <> 0 OR sum(cw) <> 0 OR sum(o) <> 0 OR sum(rt) <> 0 OR sum(c) <> 0 OR sum(u) <> 0 OR sum(p) <> 0

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
GROUP BY r.id, s.provider, s.model
HAVING sum(n) <> 0 OR sum(i) <> 0 OR sum(cr) <> 0 OR sum(cw) <> 0 OR sum(o) <> 0 OR sum(rt) <> 0 OR sum(c) <> 0 OR sum(u) <> 0 OR sum(p) <> 0

-- name: wrong_costs
-- Runs whose number to be sorted by is not what their subtree's sums say.
SELECT r.run_id FROM runs r LEFT JOIN (
  SELECT run, CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END AS cost FROM totals WHERE scope = 1 GROUP BY run) t
  ON t.run = r.id WHERE r.cost_picousd IS DISTINCT FROM t.cost

-- name: wrong_labels
-- Labels that are not searched, and those that are searched and not there.
SELECT run_id, name FROM (
  SELECT r.run_id, l.name FROM runs r, labels_in(r.id, r.labels_json) l
  WHERE NOT EXISTS (SELECT 1 FROM labels k WHERE k.name = l.name AND k.value = l.value AND k.run = r.id)
  UNION ALL
  SELECT coalesce(r.run_id, '#' || k.run), k.name FROM labels k LEFT JOIN runs r ON r.id = k.run
  WHERE r.id IS NULL OR NOT EXISTS (SELECT 1 FROM labels_in(r.id, r.labels_json) l WHERE l.name = k.name AND l.value = k.value)) AS wrong

-- name: wrong_tools
SELECT r.run_id FROM (
  SELECT run, tool, calls AS n, failed AS f FROM tools WHERE scope = 0
  UNION ALL
  SELECT k.parent, t.tool, t.calls, t.failed FROM tools t JOIN runs k ON k.id = t.run WHERE t.scope = 1 AND k.parent IS NOT NULL
  UNION ALL
  SELECT run, tool, -calls, -failed FROM tools WHERE scope = 1) s JOIN runs r ON r.id = s.run
GROUP BY r.id, s.tool HAVING sum(n) <> 0 OR sum(f) <> 0

-- name: wrong_lineage
-- Runs whose parent, root and depth are not what the ids that they name lead to.
SELECT r.run_id FROM runs r LEFT JOIN runs p ON p.run_id = r.parent_run_id LEFT JOIN runs t ON t.id = r.root
WHERE r.parent IS DISTINCT FROM p.id OR r.root IS DISTINCT FROM coalesce(p.root, r.id) OR r.depth IS DISTINCT FROM coalesce(p.depth + 1, 0)
  OR r.root_run_id IS DISTINCT FROM t.run_id

-- name: missed_wakes
-- Parked runs with a branch that is met: whoever ended its children should have woken them.
SELECT DISTINCT r.run_id FROM (
  SELECT w.run, w.branch, w.mode, count(*) AS n, 
    count(*) FILTER (WHERE c.status IN ('completed', 'failed', 'cancelled')) AS ended
  FROM waits w JOIN runs c ON c.id = w.child GROUP BY w.run, w.branch, w.mode) b JOIN runs r ON r.id = b.run
WHERE r.status = 'waiting' AND (b.ended = b.n OR (b.mode = 'any' AND b.ended > 0))

-- name: lost_results
-- Finished steps whose result is not there.
SELECT r.run_id, j.name FROM journal j JOIN runs r ON r.id = j.run
WHERE j.kind = 'step' AND ((j.value IS NULL AND j.value_ref IS NULL) OR (j.value IS NOT NULL AND NOT is_json(j.value)))

-- name: lost_messages
-- Threads with gaps, those left out whose messages were removed with their run.
SELECT t.thread_id, t.last_seq, count(m.id) FROM threads t LEFT JOIN messages m ON m.thread = t.id
WHERE t.run IS NULL OR NOT EXISTS (SELECT 1 FROM events e WHERE e.run = t.run AND e.type = 'run.pruned')
GROUP BY t.id
HAVING count(m.id) <> greatest(t.last_seq, coalesce(max(m.seq), 0)) - CASE WHEN t.run IS NULL THEN coalesce(min(m.seq), t.last_seq + 1) - 1 ELSE 0 END

-- name: impossible_times
-- Times that are no date, by table.
SELECT 'messages', count(*) FROM messages WHERE at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*) > 0
UNION ALL SELECT 'threads', count(*) FROM threads WHERE created_at NOT BETWEEN 0 AND 253402300799999999 OR updated_at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*) > 0
UNION ALL SELECT 'journal', count(*) FROM journal WHERE at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*) > 0
UNION ALL SELECT 'cards', count(*) FROM cards WHERE created_at NOT BETWEEN 0 AND 253402300799999999 OR updated_at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*) > 0
UNION ALL SELECT 'boards', count(*) FROM boards WHERE created_at NOT BETWEEN 0 AND 253402300799999999 OR updated_at NOT BETWEEN 0 AND 253402300799999999 HAVING count(*) > 0
UNION ALL SELECT 'processes', count(*) FROM processes WHERE started_at NOT BETWEEN 0 AND 253402300799999999 OR ended_at < started_at - 86400000000 HAVING count(*) > 0

-- name: unindexed_texts
-- Texts that the index should hold and does not, by what is missing.
SELECT t.id FROM texts t WHERE t.id > :after AND NOT EXISTS (SELECT 1 FROM search d WHERE d.id = t.id)
  AND (t.run IS NOT NULL OR t.message IS NOT NULL) ORDER BY t.id LIMIT :limit

-- name: dead_entries
-- Entries of the index that no text stands for.
SELECT d.id FROM search d WHERE d.id > :after AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.id = d.id)
ORDER BY d.id LIMIT :limit

-- name: runs_without_errors
-- Runs of which the index has fewer errors than there were failed tries that said why.
SELECT r.id FROM runs r JOIN (
  SELECT e.run, count(*) AS n FROM events e
  WHERE e.type = 'run.failed' AND (e.payload IS NULL OR (is_json(e.payload) AND coalesce(object_of(e.payload) #>> '{error,message}', '') <> ''))
  GROUP BY e.run) f ON f.run = r.id
WHERE r.id > :after AND f.n > (SELECT count(*) FROM texts t WHERE t.run = r.id AND t.source = 'error' AND t.message IS NULL)
ORDER BY r.id LIMIT :limit

-- name: numbers_behind
-- Tables of which a number that was given would be given again.
SELECT t.name, coalesce(n.last, s.last, 0), t.given FROM (
  SELECT 'events' AS name, greatest((SELECT max(position) FROM events),
    (SELECT value::bigint FROM meta WHERE name = 'removed_up_to')) AS given
  UNION ALL SELECT 'runs', greatest((SELECT max(id) FROM runs), (SELECT max(run) FROM events))
  UNION ALL SELECT 'journal', (SELECT max(id) FROM journal)
  UNION ALL SELECT 'threads', (SELECT max(id) FROM threads)
  UNION ALL SELECT 'messages', (SELECT max(id) FROM messages)
  UNION ALL SELECT 'boards', (SELECT max(id) FROM boards)
  UNION ALL SELECT 'cards', (SELECT max(id) FROM cards)
  UNION ALL SELECT 'commands', (SELECT max(id) FROM commands)
  UNION ALL SELECT 'inputs', (SELECT max(id) FROM inputs)
  UNION ALL SELECT 'texts', (SELECT max(id) FROM texts)
  UNION ALL SELECT 'views', (SELECT max(id) FROM views)
  UNION ALL SELECT 'blobs', (SELECT max(id) FROM blobs)
  UNION ALL SELECT 'usage', (SELECT max(id) FROM usage)
  UNION ALL SELECT 'checkpoints', (SELECT max(id) FROM checkpoints)
  UNION ALL SELECT 'removed_usage', (SELECT max(id) FROM removed_usage)) t
LEFT JOIN numbers n ON n.name = t.name
LEFT JOIN (
  SELECT c.relname AS name, pg_sequence_last_value(pg_get_serial_sequence(c.relname, 'id')::regclass) AS last FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace
    AND c.relname IN ('blobs', 'usage', 'checkpoints', 'removed_usage')) s ON s.name = t.name
WHERE t.given > coalesce(n.last, s.last, 0)

-- name: broken_rules
-- Rows that the schema's own rules forbid, by table: on a connection that only reads SQLite does not look at them.
SELECT 'runs', run_id FROM runs WHERE octet_length(title) > 4096 OR octet_length(summary) > 4096 OR octet_length(status_reason) > 4096
  OR octet_length(options_json) > 4096 OR octet_length(labels_json) > 4096 OR octet_length(error_json) > 4096
  OR (status = 'running') <> (attempt_started_at IS NOT NULL)
  OR (status IN ('completed', 'failed', 'cancelled')) <> (completed_at IS NOT NULL) OR depth < 0 OR attempt < 0
UNION ALL SELECT 'events', position::text FROM events WHERE octet_length(payload) > 4096
UNION ALL SELECT 'attempts', run || '.' || number FROM attempts WHERE number < 1 OR (ended_at IS NULL) <> (outcome IS NULL)
UNION ALL SELECT 'journal', id::text FROM journal WHERE octet_length(name) > 4096 OR octet_length(value) > 4096
UNION ALL SELECT 'threads', thread_id FROM threads WHERE octet_length(title) > 4096
UNION ALL SELECT 'messages', id::text FROM messages WHERE octet_length(text) > 4096 OR octet_length(extra_json) > 4096
  OR (text IS NULL) = (text_ref IS NULL)
UNION ALL SELECT 'checkpoints', run || '.' || number FROM checkpoints WHERE octet_length(label) > 4096 OR number < 1
UNION ALL SELECT 'boards', board_id FROM boards WHERE octet_length(title) > 4096
UNION ALL SELECT 'cards', card_id FROM cards WHERE octet_length(title) > 4096 OR octet_length(body) > 4096
  OR octet_length(labels_json) > 4096 OR status NOT IN ('todo', 'in_progress', 'blocked', 'done')
  OR (claimed_by IS NOT NULL AND status <> 'in_progress')
UNION ALL SELECT 'commands', command_id FROM commands WHERE octet_length(payload_json) > 4096
  OR status NOT IN ('requested', 'acknowledged', 'applied', 'rejected')
UNION ALL SELECT 'usage', request_id FROM usage WHERE least(input_tokens, cache_read_tokens, cache_write_tokens, output_tokens) < 0
  OR reasoning_tokens NOT BETWEEN 0 AND output_tokens OR cost_picousd < 0
  OR cost_source NOT IN ('reported', 'priced', 'unknown') OR (cost_picousd IS NULL) <> (cost_source = 'unknown')
