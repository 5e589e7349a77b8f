-- What was spent: reports over all requests, sums for a page of runs, and the repricing of requests.

-- name: priced_usage
-- Requests of a JSON list of keys whose cost was not told.
SELECT id, run, attempt, request_id, provider, model, cost_picousd
FROM usage WHERE id IN (SELECT value FROM json_each(:numbers)) AND cost_source <> 'reported' ORDER BY id

-- name: reprice_usage
UPDATE usage SET cost_picousd = given.column2, cost_source = 'priced' FROM (VALUES (?, ?)) AS given
WHERE usage.id = given.column1

-- name: usage_to_price
-- Requests whose cost was not told, by key, a page at a time.
SELECT id, request_id, provider, model, at, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cache_write_1h_tokens, cost_picousd
FROM usage
WHERE id > :after AND cost_source <> 'reported' AND at >= :since AND at < :until
  AND (:provider IS NULL OR provider IN (SELECT value FROM json_each(:provider)))
  AND (:model IS NULL OR model IN (SELECT value FROM json_each(:model)))
ORDER BY id LIMIT :limit

-- name: totals_by_id
-- Sums for each run of a JSON list of ids, by scope.
SELECT r.run_id, t.scope, sum(t.requests), sum(t.input_tokens), sum(t.cache_read_tokens), sum(t.cache_write_tokens),
  sum(t.output_tokens), sum(t.reasoning_tokens), sum(t.cost_picousd), sum(t.unknown_costs), sum(t.priced_costs)
FROM runs r JOIN totals t ON t.run = r.id
WHERE r.run_id IN (SELECT value FROM json_each(:run_ids)) GROUP BY r.id, t.scope

-- name: children_by_id
-- How many children each run of a JSON list of ids has, superseded ones left out.
SELECT parent_run_id, count(*) FROM runs
WHERE parent_run_id IN (SELECT value FROM json_each(:run_ids)) AND superseded = 0 GROUP BY parent_run_id

-- name: usage_report
-- Sums of requests by what is asked for (1) or not (0). An agent, a thread and labels are those of the run, labels
-- else those of its root; a workflow is that of the root.
SELECT CASE WHEN :by_time THEN u.at / :part_us END, CASE WHEN :by_provider THEN u.provider END,
  CASE WHEN :by_model THEN u.model END, CASE WHEN :by_run THEN r.run_id END, CASE WHEN :by_agent THEN r.agent_id END,
  CASE WHEN :by_workflow THEN o.definition_id END, CASE WHEN :by_thread THEN r.parent_thread_id END,
  CASE WHEN :label_1 IS NOT NULL THEN coalesce(r.labels_json ->> ('$."' || :label_1 || '"'), o.labels_json ->> ('$."' || :label_1 || '"')) END,
  CASE WHEN :label_2 IS NOT NULL THEN coalesce(r.labels_json ->> ('$."' || :label_2 || '"'), o.labels_json ->> ('$."' || :label_2 || '"')) END,
  count(*), sum(u.input_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens), sum(u.output_tokens),
  sum(u.reasoning_tokens), coalesce(sum(u.cost_picousd), 0), sum(u.cost_picousd IS NULL), sum(u.cost_source = 'priced')
FROM usage u JOIN runs r ON r.id = u.run JOIN runs o ON o.id = u.root
WHERE u.at >= :since AND u.at < :until
  AND (:provider IS NULL OR u.provider IN (SELECT value FROM json_each(:provider)))
  AND (:model IS NULL OR u.model IN (SELECT value FROM json_each(:model)))
  AND (:runs IS NULL OR u.run IN (SELECT value FROM json_each(:runs)))
  AND (:agent IS NULL OR r.agent_id IN (SELECT value FROM json_each(:agent)))
  AND (:workflow IS NULL OR o.definition_id IN (SELECT value FROM json_each(:workflow)))
  AND (:thread IS NULL OR r.parent_thread_id IN (SELECT value FROM json_each(:thread)))
  AND (:labels IS NULL OR NOT EXISTS (
    SELECT 1 FROM json_each(:labels) l
    WHERE coalesce(r.labels_json ->> ('$."' || (l.value ->> 0) || '"'), o.labels_json ->> ('$."' || (l.value ->> 0) || '"')) IS NOT l.value ->> 1))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9

-- name: usage_report_plain
-- As `usage_report`, where nothing is asked for that only the runs know: three times as fast.
SELECT CASE WHEN :by_time THEN u.at / :part_us END, CASE WHEN :by_provider THEN u.provider END,
  CASE WHEN :by_model THEN u.model END, NULL, NULL, NULL, NULL, NULL, NULL,
  count(*), sum(u.input_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens), sum(u.output_tokens),
  sum(u.reasoning_tokens), coalesce(sum(u.cost_picousd), 0), sum(u.cost_picousd IS NULL), sum(u.cost_source = 'priced')
FROM usage u
WHERE u.at >= :since AND u.at < :until
  AND (:provider IS NULL OR u.provider IN (SELECT value FROM json_each(:provider)))
  AND (:model IS NULL OR u.model IN (SELECT value FROM json_each(:model)))
GROUP BY 1, 2, 3

-- name: usage_report_removed
-- As `usage_report`, of runs that were removed; their days are whole, of their hours nothing is known, and their names are
-- gone.
SELECT CASE WHEN :by_time AND :part_us = 86400000000 THEN u.day END, CASE WHEN :by_provider THEN u.provider END,
  CASE WHEN :by_model THEN u.model END, NULL, CASE WHEN :by_agent THEN nullif(u.agent_id, '') END,
  CASE WHEN :by_workflow THEN nullif(u.definition_id, '') END, CASE WHEN :by_thread THEN nullif(u.thread_id, '') END,
  CASE WHEN :label_1 IS NOT NULL THEN u.labels_json ->> ('$."' || :label_1 || '"') END,
  CASE WHEN :label_2 IS NOT NULL THEN u.labels_json ->> ('$."' || :label_2 || '"') END,
  sum(u.requests), sum(u.input_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens), sum(u.output_tokens),
  sum(u.reasoning_tokens), sum(u.cost_picousd), sum(u.unknown_costs),
  sum(CASE WHEN u.cost_source = 'priced' THEN u.requests ELSE 0 END)
FROM removed_usage u
WHERE u.day >= :first_day AND u.day <= :last_day
  AND (:provider IS NULL OR u.provider IN (SELECT value FROM json_each(:provider)))
  AND (:model IS NULL OR u.model IN (SELECT value FROM json_each(:model)))
  AND :runs IS NULL
  AND (:agent IS NULL OR u.agent_id IN (SELECT value FROM json_each(:agent)))
  AND (:workflow IS NULL OR u.definition_id IN (SELECT value FROM json_each(:workflow)))
  AND (:thread IS NULL OR u.thread_id IN (SELECT value FROM json_each(:thread)))
  AND (:labels IS NULL OR NOT EXISTS (
    SELECT 1 FROM json_each(:labels) l WHERE u.labels_json ->> ('$."' || (l.value ->> 0) || '"') IS NOT l.value ->> 1))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
