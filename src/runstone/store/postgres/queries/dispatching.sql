-- Runs that are for workers: dispatches and their states, and the duties that one process has for all.

-- name: insert_dispatch
INSERT INTO dispatches (run, n, state, queue, rank, not_before, parent, phase, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: take_dispatches
-- Those up to n: whatever led to the claim, the run is being worked on.
UPDATE dispatches SET state = 'taken', at = given.column3 FROM (VALUES (?::bigint, ?::bigint, ?::bigint)) AS given
WHERE dispatches.run = given.column1 AND dispatches.n <= given.column2 AND dispatches.state <> 'over'

-- name: end_dispatches
-- Those up to n, and no later one that was staged in the same batch.
UPDATE dispatches SET state = 'over', at = given.column3 FROM (VALUES (?::bigint, ?::bigint, ?::bigint)) AS given
WHERE dispatches.run = given.column1 AND dispatches.n <= given.column2

-- name: release_dispatches
-- As many of a phase's held dispatches as there is room for, in the order in which the children were made.
UPDATE dispatches SET state = 'ready', at = open.at FROM (
  SELECT d.run, d.n, g.at, g.most - (
      SELECT count(*) FROM dispatches o
      WHERE o.parent = g.parent AND o.phase = g.phase AND o.state IN ('ready', 'enqueued', 'taken')) AS room,
    row_number() OVER (PARTITION BY d.parent, d.phase ORDER BY d.rank, d.run) AS place
  FROM (
    SELECT column1 AS parent, column2 AS phase, min(column3) AS most, max(column4) AS at
    FROM (VALUES (?::bigint, ?::text, ?::bigint, ?::bigint)) AS given GROUP BY column1, column2) AS g
  JOIN dispatches d ON d.parent = g.parent AND d.phase = g.phase AND d.state = 'held') AS open
WHERE dispatches.run = open.run AND dispatches.n = open.n AND open.place <= open.room

-- name: enqueue_dispatches
-- They are in their queue; one that was claimed meanwhile stays claimed.
UPDATE dispatches SET state = 'enqueued', at = given.column3 FROM (VALUES (?::bigint, ?::bigint, ?::bigint)) AS given
WHERE dispatches.run = given.column1 AND dispatches.n = given.column2 AND dispatches.state IN ('ready', 'enqueued')

-- name: put_back_dispatches
-- Their queue has lost them: they are enqueued anew.
UPDATE dispatches SET state = 'ready', at = given.column3 FROM (VALUES (?::bigint, ?::bigint, ?::bigint)) AS given
WHERE dispatches.run = given.column1 AND dispatches.n = given.column2 AND dispatches.state = 'enqueued'

-- name: forget_dispatches
DELETE FROM dispatches WHERE state = 'over' AND (run, n) IN (VALUES (?::bigint, ?::bigint))

-- name: delete_dispatches
DELETE FROM dispatches WHERE run IN (VALUES (?::bigint))

-- name: dispatches_of
SELECT n, state FROM dispatches WHERE run = :run ORDER BY n

-- name: ready_dispatches
SELECT r.run_id, d.run, d.n, d.queue, d.rank FROM dispatches d JOIN runs r ON r.id = d.run
WHERE d.state = 'ready' AND d.not_before <= :now ORDER BY d.not_before, d.run LIMIT :limit

-- name: any_ready_dispatch
-- One that is due since before then.
SELECT EXISTS (SELECT 1 FROM dispatches WHERE state = 'ready' AND not_before <= :before AND at <= :before)::int::bigint

-- name: over_dispatches
-- For a moment they are left: their worker is about to say in the queue that it is done with them.
SELECT r.run_id, d.run, d.n FROM dispatches d JOIN runs r ON r.id = d.run
WHERE d.state = 'over' AND d.at <= :before LIMIT :limit

-- name: unclaimed_dispatches
-- Those that have been in their queue for long, and in no worker's hands.
SELECT r.run_id, d.run, d.n FROM dispatches d JOIN runs r ON r.id = d.run
WHERE d.state = 'enqueued' AND d.at < :before ORDER BY d.at LIMIT :limit

-- name: due_dispatched
-- Parked runs for workers whose time has come.
SELECT run_id, coalesce(status_reason = 'retry', false) FROM runs
WHERE status = 'waiting' AND wake_at <= :now AND options_json::json ->> 'dispatch' IS NOT NULL
ORDER BY wake_at LIMIT 1000

-- name: interruptions_in_a_row
-- Attempts at the end of a run's history that lost their owner and had recorded nothing that the next can build on.
SELECT count(*) FROM attempts a WHERE a.run = :run AND a.outcome = 'interrupted'
  AND a.number > coalesce((SELECT max(b.number) FROM attempts b
    WHERE b.run = :run AND b.outcome IS NOT NULL AND b.outcome <> 'interrupted'), 0)
  AND a.started_at > coalesce((SELECT max(j.at) FROM journal j WHERE j.run = :run), 0)

-- name: duty
SELECT owner, expires_at FROM duties WHERE duty = :duty

-- name: save_duty
INSERT INTO duties (duty, owner, expires_at) VALUES (?, ?, ?)
ON CONFLICT (duty) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
