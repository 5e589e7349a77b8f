-- Read by `export`, each in the order in which its lines come.

-- name: exported_below
-- A run and all below it, parents first.
WITH RECURSIVE below (id) AS (
  SELECT :run UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT id FROM runs JOIN below USING (id) ORDER BY depth, id

-- name: exported_output
SELECT attempt, stream, offset, lines, broken, cut FROM outputs WHERE run = :run ORDER BY attempt, stream
