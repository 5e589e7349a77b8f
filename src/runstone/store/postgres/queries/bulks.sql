-- Orders that many runs get, one after the other.

-- name: bulks_list
-- The newest first, with how many of its runs are where.
SELECT b.bulk_id, b.verb, b.requested_by, b.requested_at, b.is_cancelled, b.ended_at,
  (SELECT coalesce(json_object_agg(status, many), '{}')::text FROM
    (SELECT status, count(*) AS many FROM bulk_runs WHERE bulk = b.id GROUP BY status) counted),
  (SELECT coalesce(json_agg(json_build_array(run_id, reason) ORDER BY place), '[]')::text FROM
    (SELECT run_id, reason, place FROM bulk_runs WHERE bulk = b.id AND status = 'refused'
     ORDER BY place LIMIT :refusals) refused)
FROM bulks b WHERE :bulk_id::text IS NULL OR b.bulk_id = :bulk_id::text ORDER BY b.id DESC LIMIT :limit

-- name: old_bulks
-- Those that have ended, but for the newest.
SELECT id FROM bulks WHERE ended_at IS NOT NULL ORDER BY id DESC OFFSET :kept

-- name: leave_out_bulk_runs
UPDATE bulk_runs SET status = 'left_out' WHERE status = 'waiting' AND bulk IN (VALUES (?::bigint))

-- name: delete_bulk
DELETE FROM bulks WHERE id IN (VALUES (?::bigint))
