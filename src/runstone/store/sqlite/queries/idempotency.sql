-- Answers that are kept for requests that may come again.

-- name: delete_kept_answer
DELETE FROM idempotency WHERE id IN (VALUES (?))
