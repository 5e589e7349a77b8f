-- Parts of conditions that shared code puts together, where each backend has words of its own. They stand there as {name}.

-- name: given_keys
-- Those of a JSON list.
(SELECT unnest(translate(:keys, '[]', '{}')::bigint[]))

-- name: given_ids
(SELECT json_array_elements_text(:ids::json))

-- name: given_types
(SELECT json_array_elements_text(:types::json))

-- name: dead_owners
(SELECT json_array_elements_text(:dead::json))

-- name: asking_keys
-- Runs with an open question. They are few, and an index holds them.
(SELECT q.run FROM inputs q WHERE q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now)
  AND q.run NOT IN (SELECT m.id FROM runs m WHERE m.status = 'moved'))

-- name: label_of
-- A label's name or value as it is searched: of a long one its beginning and a hash.
label_of
