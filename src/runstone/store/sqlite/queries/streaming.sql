-- What followers of the whole ledger read: range queries along the positions.

-- name: lines_of
-- The ids of each of these runs and of all above it.
WITH RECURSIVE above (run, id) AS (
  SELECT value, value FROM json_each(:runs)
  UNION ALL SELECT a.run, r.parent FROM above a JOIN runs r ON r.id = a.id WHERE r.parent IS NOT NULL)
SELECT a.run, r.run_id FROM above a JOIN runs r ON r.id = a.id

-- name: statuses_of
-- How these runs are shown, and whether one has an open question.
SELECT r.id, CASE WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT value FROM json_each(:dead))) THEN 'interrupted' ELSE r.status END,
  EXISTS (SELECT 1 FROM inputs q WHERE q.run = r.id AND r.status <> 'moved' AND q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now))
FROM runs r LEFT JOIN leases l ON l.run = r.id WHERE r.id IN (SELECT value FROM json_each(:runs))
