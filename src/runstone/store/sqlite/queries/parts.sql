-- Parts of conditions that shared code puts together, where each backend has words of its own. They stand there as {name}.

-- name: given_keys
-- Those of a JSON list.
(SELECT value FROM json_each(:keys))

-- name: given_ids
(SELECT value FROM json_each(:ids))

-- name: given_types
(SELECT value FROM json_each(:types))

-- name: dead_owners
(SELECT value FROM json_each(:dead))

-- name: asking_keys
-- Runs with an open question. They are few, and an index holds them.
(SELECT q.run FROM inputs q INDEXED BY inputs_open WHERE q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now)
  AND q.run NOT IN (SELECT m.id FROM runs m WHERE m.status = 'moved'))

-- name: label_of
-- A label's name or value as it is searched: this index takes texts of any length, and the function leaves them alone.
likely
