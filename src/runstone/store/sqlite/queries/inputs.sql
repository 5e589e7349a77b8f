-- Questions of runs to people.

-- name: claim_input
-- An attempt has asked for it, or was given its answer.
UPDATE inputs SET claimed = given.column2 FROM (VALUES (?, ?)) AS given WHERE inputs.id = given.column1

-- name: claim_answers
-- Given to the attempt that goes on: what it asks alike is another question.
UPDATE inputs SET claimed = given.column2 FROM (VALUES (?, ?)) AS given
WHERE inputs.run = given.column1 AND inputs.status <> 'open'

-- name: input_statuses
SELECT input_id, status FROM inputs WHERE input_id IN (SELECT value FROM json_each(:inputs))

-- name: waits_for_person
-- Whether a parked run, with all that it waits for, stands still until a person answers.
WITH RECURSIVE awaited (id) AS (
  SELECT :run
  UNION SELECT w.child FROM awaited a JOIN runs r ON r.id = a.id AND r.status = 'waiting' JOIN waits w ON w.run = a.id)
SELECT coalesce(max(r.status = 'awaiting_user' OR (r.status = 'waiting' AND EXISTS (
    SELECT 1 FROM inputs i WHERE i.run = r.id AND i.status = 'open'))), 0)
  AND coalesce(sum(r.status IN ('pending', 'running') OR (r.status = 'waiting' AND (r.wake_at IS NOT NULL OR r.status_reason <> 'children'))), 0) = 0
FROM awaited a JOIN runs r ON r.id = a.id

-- name: answered_roots
-- Top-level runs with something below (or themselves) that was woken by an answer and that nobody has claimed.
SELECT DISTINCT top.run_id FROM runs r JOIN runs top ON top.id = r.root
WHERE r.status = 'pending' AND r.attempt > 0 AND r.status_reason IN ('answered', 'a question expired')
  AND r.options_json ->> '$.dispatch' IS NULL AND top.status IN ('pending', 'waiting', 'awaiting_user') ORDER BY top.id LIMIT 1000

-- name: ordered_roots
-- Top-level runs with something below (or themselves) that a person let go on and that nobody has claimed.
SELECT DISTINCT top.run_id FROM commands c JOIN runs r ON r.id = c.run JOIN runs top ON top.id = r.root
WHERE c.status IN ('requested', 'acknowledged') AND c.verb IN ('resume', 'retry', 'start') AND r.status = 'pending'
  AND r.options_json ->> '$.dispatch' IS NULL AND top.status IN ('pending', 'waiting') ORDER BY top.id LIMIT 1000

-- name: left_to_go_on
-- Runs whose time has come, or that were woken and that nobody has claimed, in trees in which nobody works. A command in
-- the background is its keeper's, an observed run that of who reports it.
SELECT r.run_id FROM runs r
WHERE ((r.status = 'waiting' AND r.wake_at <= :now) OR (r.status = 'pending' AND r.attempt > 0
    AND r.status_reason IN ('children ended', 'the time has come', 'answered', 'a question expired')))
  AND r.options_json ->> '$.exec' IS NULL AND r.options_json ->> '$.observed' IS NULL
  AND r.options_json ->> '$.dispatch' IS NULL
  AND NOT EXISTS (SELECT 1 FROM leases l JOIN runs o ON o.id = l.run WHERE o.root = r.root AND l.expires_at >= :now)
  AND r.run_id NOT IN (SELECT value FROM json_each(:but))
ORDER BY r.id LIMIT 100

-- name: left_roots
-- Top-level runs with something below (or themselves) like that.
SELECT DISTINCT top.run_id FROM runs r JOIN runs top ON top.id = r.root
WHERE ((r.status = 'waiting' AND r.wake_at <= :now) OR (r.status = 'pending' AND r.attempt > 0
    AND r.status_reason IN ('children ended', 'the time has come', 'answered', 'a question expired')))
  AND r.options_json ->> '$.exec' IS NULL AND r.options_json ->> '$.observed' IS NULL
  AND r.options_json ->> '$.dispatch' IS NULL
  AND top.status IN ('pending', 'waiting', 'awaiting_user')
  AND NOT EXISTS (SELECT 1 FROM leases l JOIN runs o ON o.id = l.run WHERE o.root = r.root AND l.expires_at >= :now)
ORDER BY top.id LIMIT 1000

-- name: budget_question
SELECT input_id FROM inputs WHERE run = :run AND status = 'open' AND substr(key, 1, length(:prefix)) = :prefix

-- name: budget_question_above
WITH RECURSIVE above (id, parent, far) AS (
  SELECT id, parent, 0 FROM runs WHERE id = :run
  UNION ALL SELECT r.id, r.parent, a.far + 1 FROM above a JOIN runs r ON r.id = a.parent)
SELECT i.input_id FROM above a JOIN inputs i ON i.run = a.id
WHERE i.status = 'open' AND substr(i.key, 1, length(:prefix)) = :prefix ORDER BY a.far LIMIT 1

-- name: input_ids_with
-- Ids that hold the text that a person typed.
SELECT input_id FROM inputs WHERE instr(input_id, :part) > 0 LIMIT 3

-- name: wrong_inputs
-- Open questions of runs that have ended, and answers that the journal does not have.
SELECT DISTINCT r.run_id FROM inputs i JOIN runs r ON r.id = i.run LEFT JOIN journal j ON j.id = i.journal
WHERE (i.status = 'open' AND r.status IN ('completed', 'failed', 'cancelled'))
  OR (i.journal IS NOT NULL AND (j.run IS NOT i.run OR j.kind <> 'answer' OR j.value IS NOT i.response OR j.value_ref IS NOT i.response_ref))
