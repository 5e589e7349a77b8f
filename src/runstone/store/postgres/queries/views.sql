-- Saved views of lists, and how far each viewer has seen.

-- name: no_default_view
UPDATE views SET is_default = 0 WHERE id IN (VALUES (?::bigint))

-- name: delete_view
DELETE FROM views WHERE id IN (VALUES (?::bigint))
