-- What commands in the background printed: how far it was taken over.

-- name: output_of
SELECT "offset", lines, broken FROM outputs WHERE run = :run AND attempt = :attempt AND stream = :stream

-- name: outputs_of
SELECT attempt, stream, "offset", lines, broken, cut FROM outputs WHERE run = :run ORDER BY attempt, stream

-- name: commands_to_start
-- Runs that may be commands in the background which somebody has yet to start. Not by kind: ended ones are many.
SELECT run_id, attempt FROM runs WHERE status IN ('pending', 'waiting') AND kind = 'background_agent'

-- name: save_output
INSERT INTO outputs (run, attempt, stream, "offset", lines, broken, cut) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, attempt, stream) DO UPDATE SET
  "offset" = excluded."offset", lines = excluded.lines, broken = excluded.broken, cut = excluded.cut

-- name: delete_outputs
DELETE FROM outputs WHERE run IN (VALUES (?::bigint))
