-- What was spent: reports over all requests, sums for a page of runs, and the repricing of requests.

-- name: priced_usage
-- Requests of a JSON list of keys whose cost was not told.
SELECT id, run, attempt, request_id, provider, model, cost_picousd
FROM usage WHERE id = ANY (translate(:numbers, '[]', '{}')::bigint[]) AND cost_source <> 'reported' ORDER BY id

-- name: reprice_usage
UPDATE usage SET cost_picousd = given.column2, cost_source = 'priced' FROM (VALUES (?::bigint, ?::bigint)) AS given
WHERE usage.id = given.column1

-- name: usage_to_price
-- Requests whose cost was not told, by key, a page at a time.
SELECT id, request_id, provider, model, at, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
  reasoning_tokens, cache_write_1h_tokens, cost_picousd
FROM usage
WHERE id > :after AND cost_source <> 'reported' AND at >= :since AND at < :until
  AND (:provider::text IS NULL OR provider IN (SELECT json_array_elements_text(:provider::json)))
  AND (:model::text IS NULL OR model IN (SELECT json_array_elements_text(:model::json)))
ORDER BY id LIMIT :limit

-- name: totals_by_id
-- Sums for each run of a JSON list of ids, by scope.
SELECT r.run_id, t.scope, sum(t.requests), sum(t.input_tokens), sum(t.cache_read_tokens), sum(t.cache_write_tokens),
  sum(t.output_tokens), sum(t.reasoning_tokens), sum(t.cost_picousd), sum(t.unknown_costs), sum(t.priced_costs)
FROM runs r JOIN totals t ON t.run = r.id
WHERE r.run_id IN (SELECT json_array_elements_text(:run_ids::json)) GROUP BY r.id, t.scope

-- name: children_by_id
-- How many children each run of a JSON list of ids has, superseded ones left out.
SELECT parent_run_id, count(*) FROM runs
WHERE parent_run_id IN (SELECT json_array_elements_text(:run_ids::json)) AND superseded = 0 GROUP BY parent_run_id

-- name: usage_report
-- Sums of requests by what is asked for (1) or not (0). An agent, a thread and labels are those of the run, labels
-- else those of its root; a workflow is that of the root.
SELECT CASE WHEN :by_time = 1 THEN u.at / :part_us::bigint END, CASE WHEN :by_provider = 1 THEN u.provider END,
  CASE WHEN :by_model = 1 THEN u.model END, CASE WHEN :by_run = 1 THEN r.run_id END, CASE WHEN :by_agent = 1 THEN r.agent_id END,
  CASE WHEN :by_workflow = 1 THEN o.definition_id END, CASE WHEN :by_thread = 1 THEN r.parent_thread_id END,
  CASE WHEN :label_1::text IS NOT NULL THEN coalesce(object_of(r.labels_json) ->> :label_1, object_of(o.labels_json) ->> :label_1) END,
  CASE WHEN :label_2::text IS NOT NULL THEN coalesce(object_of(r.labels_json) ->> :label_2, object_of(o.labels_json) ->> :label_2) END,
  count(*), sum(u.input_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens), sum(u.output_tokens),
  sum(u.reasoning_tokens), coalesce(sum(u.cost_picousd), 0), count(*) FILTER (WHERE u.cost_picousd IS NULL),
  count(*) FILTER (WHERE u.cost_source = 'priced')
FROM usage u JOIN runs r ON r.id = u.run JOIN runs o ON o.id = u.root
WHERE u.at >= :since AND u.at < :until
  AND (:provider::text IS NULL OR u.provider IN (SELECT json_array_elements_text(:provider::json)))
  AND (:model::text IS NULL OR u.model IN (SELECT json_array_elements_text(:model::json)))
  AND (:runs::text IS NULL OR u.run = ANY (translate(:runs, '[]', '{}')::bigint[]))
  AND (:agent::text IS NULL OR r.agent_id IN (SELECT json_array_elements_text(:agent::json)))
  AND (:workflow::text IS NULL OR o.definition_id IN (SELECT json_array_elements_text(:workflow::json)))
  AND (:thread::text IS NULL OR r.parent_thread_id IN (SELECT json_array_elements_text(:thread::json)))
  AND (:labels::text IS NULL OR NOT EXISTS (
    SELECT 1 FROM json_array_elements(:labels::json) AS l (value)
    WHERE coalesce(object_of(r.labels_json) ->> (l.value ->> 0), object_of(o.labels_json) ->> (l.value ->> 0)) IS DISTINCT FROM l.value ->> 1))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9

-- name: usage_report_plain
-- As `usage_report`, where nothing is asked for that only the runs know: three times as fast.
SELECT CASE WHEN :by_time = 1 THEN u.at / :part_us::bigint END, CASE WHEN :by_provider = 1 THEN u.provider END,
  CASE WHEN :by_model = 1 THEN u.model END, NULL, NULL, NULL, NULL, NULL, NULL,
  count(*), sum(u.input_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens), sum(u.output_tokens),
  sum(u.reasoning_tokens), coalesce(sum(u.cost_picousd), 0), count(*) FILTER (WHERE u.cost_picousd IS NULL),
  count(*) FILTER (WHERE u.cost_source = 'priced')
FROM usage u
WHERE u.at >= :since AND u.at < :until
  AND (:provider::text IS NULL OR u.provider IN (SELECT json_array_elements_text(:provider::json)))
  AND (:model::text IS NULL OR u.model IN (SELECT json_array_elements_text(:model::json)))
GROUP BY 1, 2, 3

-- name: usage_report_removed
-- As `usage_report`, of runs that were removed; their days are whole, of their hours nothing is known, and their names are
-- gone.
SELECT CASE WHEN :by_time = 1 AND :part_us::bigint = 86400000000 THEN u.day END, CASE WHEN :by_provider = 1 THEN u.provider END,
  CASE WHEN :by_model = 1 THEN u.model END, NULL, CASE WHEN :by_agent = 1 THEN nullif(u.agent_id, '') END,
  CASE WHEN :by_workflow = 1 THEN nullif(u.definition_id, '') END, CASE WHEN :by_thread = 1 THEN nullif(u.thread_id, '') END,
  CASE WHEN :label_1::text IS NOT NULL THEN object_of(u.labels_json) ->> :label_1 END,
  CASE WHEN :label_2::text IS NOT NULL THEN object_of(u.labels_json) ->> :label_2 END,
  sum(u.requests), sum(u.input_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens), sum(u.output_tokens),
  sum(u.reasoning_tokens), sum(u.cost_picousd), sum(u.unknown_costs),
  sum(CASE WHEN u.cost_source = 'priced' THEN u.requests ELSE 0 END)
FROM removed_usage u
WHERE u.day >= :first_day AND u.day <= :last_day
  AND (:provider::text IS NULL OR u.provider IN (SELECT json_array_elements_text(:provider::json)))
  AND (:model::text IS NULL OR u.model IN (SELECT json_array_elements_text(:model::json)))
  AND :runs::text IS NULL
  AND (:agent::text IS NULL OR u.agent_id IN (SELECT json_array_elements_text(:agent::json)))
  AND (:workflow::text IS NULL OR u.definition_id IN (SELECT json_array_elements_text(:workflow::json)))
  AND (:thread::text IS NULL OR u.thread_id IN (SELECT json_array_elements_text(:thread::json)))
  AND (:labels::text IS NULL OR NOT EXISTS (
    SELECT 1 FROM json_array_elements(:labels::json) AS l (value)
    WHERE object_of(u.labels_json) ->> (l.value ->> 0) IS DISTINCT FROM l.value ->> 1))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
