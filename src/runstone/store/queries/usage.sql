-- What was spent: reports over all requests, sums for a page of runs, and the repricing of requests.

-- name: last_usage
SELECT coalesce(max(id), 0) FROM usage

-- name: phase_sums
-- What the children of a run spent with all below them, by phase; those that nobody asks for any more, too.
SELECT r.phase, sum(t.requests), sum(t.input_tokens), sum(t.cache_read_tokens), sum(t.cache_write_tokens),
  sum(t.output_tokens), sum(t.reasoning_tokens), sum(t.cost_picousd), sum(t.unknown_costs), sum(t.priced_costs)
FROM runs r JOIN totals t ON t.run = r.id AND t.scope = 1
WHERE r.parent = :run AND r.phase IS NOT NULL GROUP BY r.phase
