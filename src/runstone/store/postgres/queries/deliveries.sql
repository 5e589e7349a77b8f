-- Deliveries: ends of runs, and which of them a listener has acknowledged.

-- name: pending_ends
-- Ends among the meant runs that the listener has not acknowledged and nobody has in hand, the oldest first. A run that was
-- to be tried again, and was stopped before that, ended twice in one attempt: an end after the acknowledged one is another.
WITH meant (id) AS (
  SELECT id FROM runs WHERE parent = :parent UNION SELECT id FROM runs WHERE root = :root
  UNION SELECT id FROM runs WHERE parent_thread_id = :thread UNION SELECT jsonb_array_elements_text(:runs::jsonb)::bigint)
SELECT r.run_id, r.attempt, r.completed_at, r.id
FROM meant m JOIN runs r ON r.id = m.id LEFT JOIN acknowledgements a ON a.run = r.id AND a.listener = :listener
WHERE r.status IN ('completed', 'failed', 'cancelled')
  AND (a.run IS NULL OR a.attempt < r.attempt OR (a.attempt = r.attempt AND a.acknowledged_at < r.completed_at))
  AND (a.held_attempt IS NULL OR a.held_attempt <> r.attempt OR a.held_until <= :now
    OR a.holder_json IN (SELECT jsonb_array_elements_text(:dead::jsonb)))
ORDER BY r.completed_at, r.id LIMIT nullif(:limit::bigint, -1)

-- name: holders_of
-- Processes of a listener that have one of the meant ends in hand.
WITH meant (id) AS (
  SELECT id FROM runs WHERE parent = :parent UNION SELECT id FROM runs WHERE root = :root
  UNION SELECT id FROM runs WHERE parent_thread_id = :thread UNION SELECT jsonb_array_elements_text(:runs::jsonb)::bigint)
SELECT DISTINCT a.holder_json FROM meant m JOIN acknowledgements a ON a.run = m.id AND a.listener = :listener
WHERE a.held_until > :now

-- name: release_end
-- Of a holder, so that what another one has in hand since stays in its hand.
UPDATE acknowledgements SET held_attempt = NULL, held_until = NULL, holder_json = NULL
WHERE (run, listener, held_attempt, holder_json) IN (VALUES (?::bigint, ?::text, ?::bigint, ?::text))

-- name: delete_acknowledgements
DELETE FROM acknowledgements WHERE run IN (VALUES (?::bigint))
