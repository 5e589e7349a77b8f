-- Runs that are for workers: dispatches and their states, and the duties that one process has for all.

-- name: insert_dispatch
INSERT INTO dispatches (run, n, state, queue, rank, not_before, parent, phase, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: dispatches_of
SELECT n, state FROM dispatches WHERE run = :run ORDER BY n

-- name: ready_dispatches
SELECT r.run_id, d.run, d.n, d.queue, d.rank FROM dispatches d JOIN runs r ON r.id = d.run
WHERE d.state = 'ready' AND d.not_before <= :now ORDER BY d.not_before, d.run LIMIT :limit

-- name: over_dispatches
-- For a moment they are left: their worker is about to say in the queue that it is done with them.
SELECT r.run_id, d.run, d.n FROM dispatches d JOIN runs r ON r.id = d.run
WHERE d.state = 'over' AND d.at <= :before LIMIT :limit

-- name: unclaimed_dispatches
-- Those that have been in their queue for long, and in no worker's hands.
SELECT r.run_id, d.run, d.n FROM dispatches d JOIN runs r ON r.id = d.run
WHERE d.state = 'enqueued' AND d.at < :before ORDER BY d.at LIMIT :limit

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
