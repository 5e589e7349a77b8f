-- Orders that many runs get, one after the other.

-- name: bulk_standing
SELECT id, verb, requested_by, requested_at, is_cancelled, ended_at FROM bulks WHERE bulk_id = :bulk_id

-- name: bulk_run_standing
-- Where one of its runs is, and how many wait.
SELECT (SELECT status FROM bulk_runs WHERE bulk = :bulk AND place = :place),
  (SELECT count(*) FROM bulk_runs WHERE bulk = :bulk AND status = 'waiting')

-- name: bulk_runs_next
-- Runs that are to get an order, those of the oldest first.
SELECT b.bulk_id, b.verb, b.requested_by, t.place, t.run_id FROM bulks b JOIN bulk_runs t ON t.bulk = b.id
WHERE b.ended_at IS NULL AND t.status = 'waiting' ORDER BY b.id, t.place LIMIT :limit

-- name: bulks_under_way
SELECT count(*) FROM bulks WHERE ended_at IS NULL

-- name: save_bulk
INSERT INTO bulks (id, bulk_id, verb, requested_by, requested_at, is_cancelled, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET is_cancelled = excluded.is_cancelled, ended_at = excluded.ended_at

-- name: save_bulk_run
INSERT INTO bulk_runs (bulk, place, run_id, status, reason) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (bulk, place) DO UPDATE SET status = excluded.status, reason = excluded.reason
