-- Rows written again from what is whole.

-- name: rewrite_identity
-- The fields of a run that nothing but a repair changes; `save_run` has the others.
UPDATE runs SET kind = given.column2, forked_from = given.column3, parent_thread_id = given.column4, agent_id = given.column5,
  agent_version = given.column6, phase = given.column7, prompt_ref = given.column8, input_ref = given.column9,
  child_key = given.column10, created_at = given.column11, definition_id = given.column12, detached = given.column13,
  forked_from_checkpoint = given.column14
FROM (VALUES (?::bigint, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::bigint, ?::text, ?::bigint, ?::bigint)) AS given WHERE runs.id = given.column1

-- name: delete_attempt
DELETE FROM attempts WHERE (run, number) IN (VALUES (?::bigint, ?::bigint))

-- name: blobs_known
SELECT digest FROM blobs WHERE digest IN (SELECT json_array_elements_text(:digests::json))

-- name: owners_known
SELECT owner FROM owners WHERE owner IN (SELECT json_array_elements_text(:owners::json))

-- name: child_told_after
-- Which child a run says that it started just after this one was created: that is this one.
SELECT object_of(e.payload) ->> 'child_run_id', object_of(e.payload) ->> 'key', object_of(e.payload) ->> 'agent_id' FROM events c
JOIN events e ON e.position = c.position + 1 AND e.type = 'child.started'
WHERE c.run = :run AND c.seq = 1 AND c.type = 'run.created'

-- name: requests_of_run
SELECT id, request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, cost_source, cache_write_1h_tokens, root
FROM usage WHERE run = :run AND request_id IN (SELECT json_array_elements_text(:ids::json))

-- name: rewrite_request
UPDATE usage SET root = given.column2, attempt = given.column3, at = given.column4, provider = given.column5,
  model = given.column6, input_tokens = given.column7, cache_read_tokens = given.column8,
  cache_write_tokens = given.column9, output_tokens = given.column10, reasoning_tokens = given.column11,
  cost_picousd = given.column12, cost_source = given.column13, cache_write_1h_tokens = given.column14
FROM (VALUES (?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::text, ?::text, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::bigint, ?::text, ?::bigint)) AS given WHERE usage.id = given.column1

-- name: own_and_below
-- What the totals of a run should be: (scope, provider, model, counts) from its requests and its children's subtrees.
WITH own AS (
  SELECT provider, model, count(*) AS n, sum(input_tokens) AS i, sum(cache_read_tokens) AS cr, sum(cache_write_tokens) AS cw,
    sum(output_tokens) AS o, sum(reasoning_tokens) AS r, coalesce(sum(cost_picousd), 0) AS c, count(*) FILTER (WHERE cost_picousd IS NULL) AS u,
    count(*) FILTER (WHERE cost_source = 'priced') AS p
  FROM usage WHERE run = :run GROUP BY provider, model)
SELECT 0, * FROM own
UNION ALL
SELECT 1, provider, model, sum(n), sum(i), sum(cr), sum(cw), sum(o), sum(r), sum(c), sum(u), sum(p) FROM (
  SELECT * FROM own
  UNION ALL
  SELECT t.provider, t.model, t.requests, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
    t.reasoning_tokens, t.cost_picousd, t.unknown_costs, t.priced_costs
  FROM runs k JOIN totals t ON t.run = k.id AND t.scope = 1 WHERE k.parent = :run) AS below
GROUP BY provider, model

-- name: delete_sum
DELETE FROM totals WHERE (run, scope, provider, model) IN (VALUES (?::bigint, ?::bigint, ?::text, ?::text))

-- name: rewrite_cost
UPDATE runs SET cost_picousd = (SELECT CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END
  FROM totals WHERE run = runs.id AND scope = 1) WHERE id IN (VALUES (?::bigint))

-- name: drop_labels
DELETE FROM labels WHERE run IN (VALUES (?::bigint))

-- name: rewrite_labels
INSERT INTO labels SELECT l.name, l.value, r.id FROM runs r, labels_in(r.id, r.labels_json) l
WHERE r.id IN (VALUES (?::bigint)) ON CONFLICT DO NOTHING

-- name: delete_tool
DELETE FROM tools WHERE (run, scope, tool) IN (VALUES (?::bigint, ?::bigint, ?::text))

-- name: has_waits
SELECT w.branch, w.mode, count(*), count(*) FILTER (WHERE c.status IN ('completed', 'failed', 'cancelled'))
FROM waits w JOIN runs c ON c.id = w.child WHERE w.run = :run GROUP BY w.branch, w.mode

-- name: rewrite_link
UPDATE journal SET key = given.column2, child = given.column3
FROM (VALUES (?::bigint, ?::text, ?::bigint)) AS given WHERE journal.id = given.column1

-- name: rewrite_thread
UPDATE threads SET last_seq = given.column2 FROM (VALUES (?::bigint, ?::bigint)) AS given WHERE threads.id = given.column1

-- name: text_to_index
-- A record of the index that has no entry: what it is of, and its place among the run's texts of that kind.
SELECT t.source, t.run, m.text, m.text_ref,
  (SELECT count(*) FROM texts o WHERE o.run = t.run AND o.source = t.source AND o.message IS NULL AND o.id < t.id)
FROM texts t LEFT JOIN messages m ON m.id = t.message
WHERE t.id = :text AND NOT EXISTS (SELECT 1 FROM search d WHERE d.id = t.id)

-- name: set_number
UPDATE numbers SET last = given.column2 FROM (VALUES (?::text, ?::bigint)) AS given WHERE numbers.name = given.column1

-- name: add_number
INSERT INTO numbers (name, last) VALUES (?, ?)
