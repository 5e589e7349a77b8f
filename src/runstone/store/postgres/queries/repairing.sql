-- Rows written again from what is whole.

-- name: rewrite_identity
-- The fields of a run that nothing but a repair changes; `save_run` has the others.
UPDATE runs SET kind = given.column2, forked_from = given.column3, parent_thread_id = given.column4, agent_id = given.column5,
  agent_version = given.column6, phase = given.column7, prompt_ref = given.column8, input_ref = given.column9,
  child_key = given.column10, created_at = given.column11, definition_id = given.column12, detached = given.column13,
  forked_from_checkpoint = given.column14
FROM (VALUES (?::bigint, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::bigint, ?::text, ?::bigint, ?::bigint)) AS given WHERE runs.id = given.column1

-- name: rewrite_attempt
INSERT INTO attempts (run, number, owner, started_at, ended_at, outcome, reason, first_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, number) DO UPDATE SET owner = excluded.owner, started_at = excluded.started_at,
  ended_at = excluded.ended_at, outcome = excluded.outcome, reason = excluded.reason, first_seq = excluded.first_seq

-- name: delete_attempt
DELETE FROM attempts WHERE (run, number) IN (VALUES (?::bigint, ?::bigint))

-- name: rewrite_checkpoint
-- What was known by then is in no event: of a row that is gone only its time says it.
INSERT INTO checkpoints (run, number, attempt, label, definition_hash, parent, created_at, journal)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, number) DO UPDATE SET attempt = excluded.attempt, label = excluded.label,
  definition_hash = excluded.definition_hash, parent = excluded.parent, created_at = excluded.created_at

-- name: journal_by
-- The newest record of a run's journal at a time.
SELECT coalesce(max(id), 0) FROM journal WHERE run = :run AND at <= :at

-- name: run_exists
SELECT id FROM runs WHERE id = :run

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

-- name: request_ids_of_run
SELECT request_id, attempt, at, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, cost_source, cache_write_1h_tokens, root FROM usage WHERE run = :run

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

-- name: all_totals_of
SELECT scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs, priced_costs
FROM totals WHERE run = :run

-- name: rewrite_totals
INSERT INTO totals (run, scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cost_picousd, unknown_costs, priced_costs)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, scope, provider, model) DO UPDATE SET
  requests = excluded.requests, input_tokens = excluded.input_tokens, cache_read_tokens = excluded.cache_read_tokens,
  cache_write_tokens = excluded.cache_write_tokens, output_tokens = excluded.output_tokens,
  reasoning_tokens = excluded.reasoning_tokens, cost_picousd = excluded.cost_picousd,
  unknown_costs = excluded.unknown_costs, priced_costs = excluded.priced_costs

-- name: delete_sum
DELETE FROM totals WHERE (run, scope, provider, model) IN (VALUES (?::bigint, ?::bigint, ?::text, ?::text))

-- name: rewrite_cost
UPDATE runs SET cost_picousd = (SELECT CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END
  FROM totals WHERE run = runs.id AND scope = 1) WHERE id IN (VALUES (?::bigint))

-- name: drop_labels
DELETE FROM labels WHERE run IN (VALUES (?::bigint))

-- name: rewrite_labels
INSERT INTO labels SELECT l.key, l.value, r.id FROM runs r, json_each_text(object_of(r.labels_json)) l
WHERE l.value IS NOT NULL AND r.id IN (VALUES (?::bigint)) ON CONFLICT DO NOTHING

-- name: tools_below
SELECT t.tool, sum(t.calls), sum(t.failed) FROM runs k JOIN tools t ON t.run = k.id AND t.scope = 1
WHERE k.parent = :run GROUP BY t.tool

-- name: all_tools_of
SELECT scope, tool, calls, failed FROM tools WHERE run = :run

-- name: rewrite_tool
INSERT INTO tools (run, scope, tool, calls, failed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (run, scope, tool) DO UPDATE SET calls = excluded.calls, failed = excluded.failed

-- name: delete_tool
DELETE FROM tools WHERE (run, scope, tool) IN (VALUES (?::bigint, ?::bigint, ?::text))

-- name: has_waits
SELECT w.branch, w.mode, count(*), count(*) FILTER (WHERE c.status IN ('completed', 'failed', 'cancelled'))
FROM waits w JOIN runs c ON c.id = w.child WHERE w.run = :run GROUP BY w.branch, w.mode

-- name: links_of_child
SELECT id, key FROM journal WHERE run = :run AND child = :child AND kind = 'child'

-- name: loose_links_of_key
SELECT id FROM journal WHERE run = :run AND kind = 'child' AND key = :key
  AND (child IS NULL OR child NOT IN (SELECT id FROM runs)) ORDER BY id

-- name: unlinked_children
-- Children of a run that no record of its journal leads to.
SELECT c.run_id FROM runs c WHERE c.parent = :run AND c.child_key IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.run = :run AND j.child = c.id) ORDER BY c.id

-- name: rewrite_link
UPDATE journal SET key = given.column2, child = given.column3
FROM (VALUES (?::bigint, ?::text, ?::bigint)) AS given WHERE journal.id = given.column1

-- name: rewrite_thread
UPDATE threads SET last_seq = given.column2 FROM (VALUES (?::bigint, ?::bigint)) AS given WHERE threads.id = given.column1

-- name: last_message_of
SELECT t.id, t.last_seq, coalesce(max(m.seq), 0) FROM threads t LEFT JOIN messages m ON m.thread = t.id
WHERE t.thread_id = :thread_id GROUP BY t.id

-- name: text_to_index
-- A record of the index that has no entry: what it is of, and its place among the run's texts of that kind.
SELECT t.source, t.run, m.text, m.text_ref,
  (SELECT count(*) FROM texts o WHERE o.run = t.run AND o.source = t.source AND o.message IS NULL AND o.id < t.id)
FROM texts t LEFT JOIN messages m ON m.id = t.message
WHERE t.id = :text AND NOT EXISTS (SELECT 1 FROM search d WHERE d.id = t.id)

-- name: message_to_index
SELECT m.run, m.text, m.text_ref FROM messages m
WHERE m.id = :message AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.message = m.id)

-- name: errors_of
-- What each try of a run failed with.
SELECT payload, payload_ref FROM events WHERE run = :run AND type = 'run.failed' ORDER BY seq

-- name: is_dead_entry
SELECT NOT EXISTS (SELECT 1 FROM texts t WHERE t.id = :number)

-- name: is_dead_text
SELECT EXISTS (SELECT 1 FROM texts t LEFT JOIN runs r ON r.id = t.run LEFT JOIN messages m ON m.id = t.message
  WHERE t.id = :number AND ((t.message IS NOT NULL AND m.id IS NULL) OR (t.message IS NULL AND t.run IS NOT NULL AND r.id IS NULL)
    OR (t.message IS NULL AND t.run IS NULL) OR (t.source = 'title' AND r.title IS NULL)))

-- name: set_number
UPDATE numbers SET last = given.column2 FROM (VALUES (?::text, ?::bigint)) AS given WHERE numbers.name = given.column1

-- name: add_number
INSERT INTO numbers (name, last) VALUES (?, ?)

-- name: set_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: claimed_card
SELECT c.id, c.card_id, c.board, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, c.claimed_by,
  c.revision, c.created_at, c.updated_at, r.status
FROM cards c LEFT JOIN runs r ON r.id = c.claimed_by
WHERE c.card_id = :card_id AND c.claimed_by IS NOT NULL
  AND (r.id IS NULL OR r.status IN ('completed', 'failed', 'cancelled', 'interrupted'))

-- name: root_of
SELECT root FROM runs WHERE id = :run

-- name: place_of
SELECT depth, run_id, parent FROM runs WHERE id = :run

-- name: crossed_children
-- Children of a run that its journal has under another key than they were started with.
SELECT c.run_id FROM journal j JOIN runs c ON c.id = j.child
WHERE j.run = :run AND j.kind = 'child' AND c.parent = j.run AND c.child_key IS NOT NULL AND c.child_key <> j.key
