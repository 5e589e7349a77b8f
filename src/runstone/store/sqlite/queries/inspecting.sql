-- What `doctor` asks of a ledger. Each is bounded by time, so a large ledger may leave some of it unsaid.

-- name: bytes_by_table
-- Tables and indexes by what they take; the full-text index is in tables named search_*.
SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE ORDER BY pgsize DESC LIMIT 5

-- name: biggest_runs
SELECT r.run_id, count(*) AS n FROM events e JOIN runs r ON r.id = e.run GROUP BY e.run ORDER BY n DESC LIMIT 3

-- name: newest_event
SELECT max(at) FROM (SELECT at FROM events ORDER BY position DESC LIMIT 1000)
