-- Questions of runs to people.

-- name: save_input
INSERT INTO inputs (id, input_id, run, attempt, key, question, content, phase, previous, reason, message, message_ref,
  schema_json, schema_ref, choices_json, default_json, expires_at, status, response, response_ref, answered_by, asked_at,
  closed_at, claimed, journal)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, response = excluded.response, response_ref = excluded.response_ref,
  answered_by = excluded.answered_by, closed_at = excluded.closed_at, claimed = excluded.claimed, journal = excluded.journal

-- name: input_fields
id, input_id, run, attempt, key, question, content, phase, previous, reason, message, message_ref, schema_json, schema_ref,
  choices_json, default_json, expires_at, status, response, response_ref, answered_by, asked_at, closed_at, claimed, journal

-- name: input_by_id
SELECT {input_fields} FROM inputs WHERE input_id = :input_id

-- name: open_inputs_of
SELECT {input_fields} FROM inputs WHERE run = :run AND status = 'open' ORDER BY id

-- name: due_inputs
-- Open questions whose time is over.
SELECT {input_fields} FROM inputs WHERE status = 'open' AND expires_at <= :now
  AND run NOT IN (SELECT id FROM runs WHERE status = 'moved') ORDER BY expires_at LIMIT 500

-- name: inputs_asked_before
-- Questions of a run that are known by the same hash, from the first.
SELECT i.id, i.input_id, i.status, i.content, i.claimed, i.journal, coalesce(j.dropped, 0),
  EXISTS (SELECT 1 FROM attempts a WHERE a.run = i.run AND a.number >= i.attempt AND a.outcome = 'failed' AND a.ended_at >= i.closed_at)
FROM inputs i LEFT JOIN journal j ON j.id = i.journal WHERE i.run = :run AND i.question = :question ORDER BY i.id

-- name: asking_runs
SELECT DISTINCT run FROM inputs WHERE status = 'open' LIMIT :few

-- name: is_asking
SELECT 1 FROM inputs WHERE run = :run AND status = 'open' LIMIT 1

-- name: any_due_input
SELECT EXISTS (SELECT 1 FROM inputs WHERE status = 'open' AND expires_at <= :now
  AND run NOT IN (SELECT id FROM runs WHERE status = 'moved'))

-- name: input_columns
-- What an input request is made of; `:now` decides whether its time is over.
i.id, i.input_id, r.run_id, i.attempt, i.key, i.reason, i.message, i.message_ref, i.schema_json, i.schema_ref, i.choices_json,
i.default_json, i.expires_at, CASE WHEN i.status = 'open' AND r.status = 'moved' THEN 'withdrawn' WHEN i.status = 'open' AND i.expires_at <= :now THEN 'expired'
  ELSE i.status END,
i.response, i.response_ref, i.answered_by, i.asked_at, i.closed_at

-- name: input_tables
inputs i JOIN runs r ON r.id = i.run

-- name: open_inputs_below
-- Open questions of a run and all below it.
SELECT i.input_id FROM inputs i JOIN runs r ON r.id = i.run
WHERE i.status = 'open' AND (i.expires_at IS NULL OR i.expires_at > :now) AND r.root = :root
  AND r.status <> 'moved' ORDER BY i.id

-- name: waits_for_unbegun
-- Whether a parked run waits, also through others, for one that is still to begin and that nothing wakes, in a tree in
-- which nobody works.
WITH RECURSIVE awaited (id) AS (
  SELECT w.child FROM waits w WHERE w.run = :run
  UNION SELECT w.child FROM awaited a JOIN waits w ON w.run = a.id)
SELECT EXISTS (SELECT 1 FROM awaited a JOIN runs r ON r.id = a.id WHERE r.status = 'pending' AND (r.attempt = 0
    OR coalesce(r.status_reason, '') NOT IN ('children ended', 'the time has come', 'answered', 'a question expired')))
  AND NOT EXISTS (SELECT 1 FROM leases l JOIN runs o ON o.id = l.run JOIN runs r ON r.root = o.root
    WHERE r.id = :run AND l.expires_at >= :now)
