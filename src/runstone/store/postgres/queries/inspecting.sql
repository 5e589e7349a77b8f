-- What `doctor` asks of a ledger. Each is bounded by time, so a large ledger may leave some of it unsaid.

-- name: bytes_by_table
-- Tables, with their indexes, by what they take.
SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'm') ORDER BY 2 DESC LIMIT 5

-- name: biggest_runs
SELECT r.run_id, count(*) AS n FROM events e JOIN runs r ON r.id = e.run GROUP BY r.id ORDER BY n DESC LIMIT 3

-- name: newest_event
SELECT max(at) FROM (SELECT at FROM events ORDER BY position DESC LIMIT 1000) AS newest
