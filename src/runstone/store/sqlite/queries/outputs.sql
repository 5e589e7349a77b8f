-- What commands in the background printed: how far it was taken over.

-- name: output_of
SELECT offset, lines, broken FROM outputs WHERE run = :run AND attempt = :attempt AND stream = :stream

-- name: outputs_of
SELECT attempt, stream, offset, lines, broken FROM outputs WHERE run = :run ORDER BY attempt, stream

-- name: save_output
INSERT INTO outputs (run, attempt, stream, offset, lines, broken) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (run, attempt, stream) DO UPDATE SET
  offset = excluded.offset, lines = excluded.lines, broken = excluded.broken

-- name: delete_outputs
DELETE FROM outputs WHERE run IN (VALUES (?))
