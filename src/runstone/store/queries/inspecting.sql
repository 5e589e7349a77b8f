-- What `doctor` asks of a ledger. Each is bounded by time, so a large ledger may leave some of it unsaid.

-- name: biggest_threads
SELECT thread_id, last_seq FROM threads ORDER BY last_seq DESC LIMIT 3

-- name: biggest_blobs
SELECT digest, size FROM blobs ORDER BY size DESC LIMIT 3

-- name: run_status
SELECT status FROM runs WHERE run_id = :run_id
