-- What must hold, as `verify` asks for it: each statement gives the rows that break a rule.

-- name: all_run_pks
SELECT id FROM runs WHERE id > :after ORDER BY id LIMIT :limit

-- name: integrity
PRAGMA quick_check

-- name: broken_references
PRAGMA foreign_key_check

-- name: seq_gaps
-- Runs whose events are not numbered without gaps from 1, or from a tombstone.
WITH numbered AS (SELECT run, min(seq) AS first, max(seq) AS last, count(*) AS n FROM events GROUP BY run)
SELECT r.run_id, n.first, n.last, n.n FROM numbered n JOIN runs r ON r.id = n.run
WHERE n.last - n.first + 1 <> n.n OR (n.first <> 1 AND NOT EXISTS (
  SELECT 1 FROM events t WHERE t.run = n.run AND t.type = 'run.pruned' AND t.seq >= n.first))

-- name: events_without_run
SELECT count(*) FROM events WHERE run NOT IN (SELECT id FROM runs)

-- name: wrong_own_totals
-- Totals that are not the sum of the requests.
SELECT r.run_id FROM (
  SELECT run, provider, model, count(*) n, sum(input_tokens) i, sum(cache_read_tokens) cr, sum(cache_write_tokens) cw,
    sum(output_tokens) o, sum(reasoning_tokens) rt, sum(coalesce(cost_picousd, 0)) c, sum(cost_picousd IS NULL) u,
    sum(cost_source = 'priced') p
  FROM usage GROUP BY run, provider, model) s
FULL JOIN (SELECT * FROM totals WHERE scope = 0) t ON t.run = s.run AND t.provider = s.provider AND t.model = s.model
JOIN runs r ON r.id = coalesce(s.run, t.run)
WHERE (coalesce(t.requests, 0), coalesce(t.input_tokens, 0), coalesce(t.cache_read_tokens, 0), coalesce(t.cache_write_tokens, 0),
    coalesce(t.output_tokens, 0), coalesce(t.reasoning_tokens, 0), coalesce(t.cost_picousd, 0), coalesce(t.unknown_costs, 0),
    coalesce(t.priced_costs, 0))
  <> (coalesce(s.n, 0), coalesce(s.i, 0), coalesce(s.cr, 0), coalesce(s.cw, 0), coalesce(s.o, 0), coalesce(s.rt, 0),
    coalesce(s.c, 0), coalesce(s.u, 0), coalesce(s.p, 0))

-- name: wrong_subtree_totals
-- Subtree totals that are not the run's own and its children's subtrees together.
WITH parts AS (
  SELECT run, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    cost_picousd, unknown_costs, priced_costs
  FROM totals WHERE scope = 0
  UNION ALL
  SELECT r.parent, t.provider, t.model, t.requests, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens,
    t.reasoning_tokens, t.cost_picousd, t.unknown_costs, t.priced_costs
  FROM totals t JOIN runs r ON r.id = t.run WHERE t.scope = 1 AND r.parent IS NOT NULL),
sums AS (
  SELECT run, provider, model, sum(requests) n, sum(input_tokens) i, sum(cache_read_tokens) cr, sum(cache_write_tokens) cw,
    sum(output_tokens) o, sum(reasoning_tokens) rt, sum(cost_picousd) c, sum(unknown_costs) u,
    sum(priced_costs) p
  FROM parts GROUP BY run, provider, model)
SELECT r.run_id FROM sums s
FULL JOIN (SELECT * FROM totals WHERE scope = 1) t ON t.run = s.run AND t.provider = s.provider AND t.model = s.model
JOIN runs r ON r.id = coalesce(s.run, t.run)
WHERE (t.requests, t.input_tokens, t.cache_read_tokens, t.cache_write_tokens, t.output_tokens, t.reasoning_tokens,
  t.cost_picousd, t.unknown_costs, t.priced_costs) IS NOT (s.n, s.i, s.cr, s.cw, s.o, s.rt, s.c, s.u, s.p)

-- name: wrong_tools
WITH parts AS (
  SELECT run, tool, calls, failed FROM tools WHERE scope = 0
  UNION ALL
  SELECT r.parent, t.tool, t.calls, t.failed FROM tools t JOIN runs r ON r.id = t.run WHERE t.scope = 1 AND r.parent IS NOT NULL),
sums AS (SELECT run, tool, sum(calls) c, sum(failed) f FROM parts GROUP BY run, tool)
SELECT r.run_id FROM sums s
FULL JOIN (SELECT * FROM tools WHERE scope = 1) t ON t.run = s.run AND t.tool = s.tool
JOIN runs r ON r.id = coalesce(s.run, t.run) WHERE (t.calls, t.failed) IS NOT (s.c, s.f)

-- name: wrong_leases
-- Leases that do not belong to the open attempt of a running run.
SELECT r.run_id FROM leases l JOIN runs r ON r.id = l.run WHERE r.status <> 'running' OR r.attempt <> l.attempt

-- name: wrong_attempts
-- Running runs without their open attempt, and open attempts of runs that do not run.
SELECT r.run_id FROM runs r LEFT JOIN attempts a ON a.run = r.id AND a.number = r.attempt
WHERE r.attempt > 0 AND ((r.status = 'running') IS NOT (a.number IS NOT NULL AND a.ended_at IS NULL))

-- name: wrong_waits
SELECT DISTINCT r.run_id FROM waits w JOIN runs r ON r.id = w.run WHERE r.status <> 'waiting'

-- name: wrong_lineage
SELECT r.run_id FROM runs r LEFT JOIN runs p ON p.id = r.parent
WHERE (r.parent IS NULL AND (r.root <> r.id OR r.depth <> 0))
  OR (r.parent IS NOT NULL AND (p.id IS NULL OR r.root <> p.root OR r.depth <> p.depth + 1 OR r.parent_run_id <> p.run_id))

-- name: blob_page
SELECT id, digest, codec, data FROM blobs WHERE id > :after ORDER BY id LIMIT :limit

-- name: pruned_floor
SELECT max(seq) FROM events WHERE run = :run AND type = 'run.pruned'
