-- Answers that are kept for requests that may come again.

-- name: insert_kept_answer
INSERT INTO idempotency (scope, key, fingerprint, status, location, answer, answer_ref, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: kept_answer
SELECT fingerprint, status, location, answer, answer_ref FROM idempotency
WHERE scope = :scope AND key = :key AND created_at > :after

-- name: old_kept_answers
-- Some whose time is over, and the one that has the place of a new one.
SELECT id FROM (SELECT id FROM idempotency WHERE created_at <= :after ORDER BY created_at LIMIT 100)
UNION SELECT id FROM idempotency WHERE scope = :scope AND key = :key AND created_at <= :after
