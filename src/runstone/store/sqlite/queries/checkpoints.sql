-- Checkpoints that are removed one by one, while their run goes on.

-- name: places_at
-- For each place the newest row not after the checkpoint, as it is stored.
SELECT p.path, p.item, p.codec, p.value, p.value_ref
FROM (SELECT path, item, max(since) AS since FROM places WHERE run = :run AND since <= :number GROUP BY path, item) n
CROSS JOIN places p ON p.run = :run AND p.path = n.path AND p.item = n.item AND p.since = n.since

-- name: existing_checkpoints
SELECT number FROM checkpoints WHERE run = :run AND number IN (SELECT value FROM json_each(:numbers)) ORDER BY number

-- name: delete_checkpoint
DELETE FROM checkpoints WHERE (run, number) IN (VALUES (?, ?))

-- name: lengths_of
-- The lengths that a list had; the text of a number, as every value is JSON.
SELECT since, CAST(value AS TEXT) FROM places WHERE run = :run AND path = :path AND item = -2 ORDER BY since
