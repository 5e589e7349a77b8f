-- Deliveries: ends of runs, and which of them a listener has acknowledged.

-- name: pending_ends
-- Ends among the meant runs that the listener has not acknowledged, the oldest first, and who has one in hand.
WITH meant (id) AS (
  SELECT id FROM runs WHERE parent = :parent UNION SELECT id FROM runs WHERE root = :root
  UNION SELECT id FROM runs WHERE parent_thread_id = :thread UNION SELECT value FROM json_each(:runs))
SELECT r.run_id, r.attempt, CASE WHEN a.held_attempt = r.attempt THEN a.held_until END, a.holder_json, r.id
FROM meant m JOIN runs r ON r.id = m.id LEFT JOIN acknowledgements a ON a.run = r.id AND a.listener = :listener
WHERE r.status IN ('completed', 'failed', 'cancelled') AND (a.run IS NULL OR a.attempt < r.attempt)
ORDER BY r.completed_at, r.id

-- name: acknowledgement_of
SELECT attempt, held_attempt, held_until, holder_json FROM acknowledgements WHERE run = :run AND listener = :listener

-- name: hold_end
INSERT INTO acknowledgements (run, listener, attempt, held_attempt, held_until, holder_json) VALUES (?, ?, -1, ?, ?, ?)
ON CONFLICT (run, listener) DO UPDATE SET held_attempt = excluded.held_attempt, held_until = excluded.held_until,
  holder_json = excluded.holder_json

-- name: release_end
-- Of a holder, so that what another one has in hand since stays in its hand.
UPDATE acknowledgements SET held_attempt = NULL, held_until = NULL, holder_json = NULL
WHERE (run, listener, held_attempt, holder_json) IN (VALUES (?, ?, ?, ?))

-- name: acknowledge_end
INSERT INTO acknowledgements (run, listener, attempt, acknowledged_at) VALUES (?, ?, ?, ?)
ON CONFLICT (run, listener) DO UPDATE SET attempt = excluded.attempt, acknowledged_at = excluded.acknowledged_at,
  held_attempt = NULL, held_until = NULL, holder_json = NULL

-- name: exported_acknowledgement
SELECT listener, attempt, acknowledged_at FROM acknowledgements WHERE run = :run AND attempt >= 0 ORDER BY listener

-- name: delete_acknowledgements
DELETE FROM acknowledgements WHERE run IN (VALUES (?))
