-- Runs that are for workers: dispatches and their states, and the duties that one process has for all.

-- name: take_dispatches
-- Those up to n: whatever led to the claim, the run is being worked on.
UPDATE dispatches SET state = 'taken', at = given.column3 FROM (VALUES (?, ?, ?)) AS given
WHERE dispatches.run = given.column1 AND dispatches.n <= given.column2 AND dispatches.state <> 'over'

-- name: end_dispatches
-- Those up to n, and no later one that was staged in the same batch.
UPDATE dispatches SET state = 'over', at = given.column3 FROM (VALUES (?, ?, ?)) AS given
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
    FROM (VALUES (?, ?, ?, ?)) GROUP BY column1, column2) AS g
  JOIN dispatches d ON d.parent = g.parent AND d.phase = g.phase AND d.state = 'held') AS open
WHERE dispatches.run = open.run AND dispatches.n = open.n AND open.place <= open.room

-- name: enqueue_dispatches
-- They are in their queue; one that was claimed meanwhile stays claimed.
UPDATE dispatches SET state = 'enqueued', at = given.column3 FROM (VALUES (?, ?, ?)) AS given
WHERE dispatches.run = given.column1 AND dispatches.n = given.column2 AND dispatches.state IN ('ready', 'enqueued')

-- name: forget_dispatches
DELETE FROM dispatches WHERE state = 'over' AND (run, n) IN (VALUES (?, ?))

-- name: delete_dispatches
DELETE FROM dispatches WHERE run IN (VALUES (?))

-- name: any_ready_dispatch
-- One that is due since before then.
SELECT EXISTS (SELECT 1 FROM dispatches WHERE state = 'ready' AND not_before <= :before AND at <= :before)

-- name: due_dispatched
-- Parked runs for workers whose time has come.
SELECT run_id, status_reason = 'retry' FROM runs
WHERE status = 'waiting' AND wake_at <= :now AND options_json ->> '$.dispatch' IS NOT NULL
ORDER BY wake_at LIMIT 1000
