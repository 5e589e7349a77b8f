-- Checkpoints that are removed one by one, while their run goes on.

-- name: checkpoint_labels
SELECT number, label FROM checkpoints WHERE run = :run ORDER BY number

-- name: known_at
-- The newest journal record of a run by a checkpoint; one of an import may know its time only.
SELECT coalesce(c.journal, (SELECT max(j.id) FROM journal j WHERE j.run = c.run AND j.at <= c.created_at), 0)
FROM checkpoints c WHERE c.run = :run AND c.number = :number

-- name: kept_numbers
SELECT number FROM checkpoints WHERE run = :run ORDER BY number

-- name: place_page
-- Places of a run in order, a page at a time, with what each row takes up.
SELECT p.path, p.item, p.since, p.value IS NULL AND p.value_ref IS NULL, p.value_ref,
  coalesce(octet_length(p.value), octet_length(b.data), 0)
FROM places p LEFT JOIN blobs b ON b.digest = p.value_ref
WHERE p.run = :run AND (p.path, p.item, p.since) > (:path, :item, :since) ORDER BY p.path, p.item, p.since LIMIT :limit

-- name: checkpoint_sizes
-- What the rows of each checkpoint take up, with their values; a value that others refer to, too, counts for each.
SELECT p.since, sum(coalesce(octet_length(p.value), octet_length(b.data), 0))
FROM places p LEFT JOIN blobs b ON b.digest = p.value_ref WHERE p.run = :run AND p.item >= -2 GROUP BY p.since

-- name: group_sizes
-- What the groups of lists take up.
SELECT p.path, p.item, p.since, coalesce(octet_length(p.value), octet_length(b.data), 0)
FROM places p LEFT JOIN blobs b ON b.digest = p.value_ref WHERE p.run = :run AND p.item < -2 ORDER BY p.path

-- name: rows_of_items
-- Rows that a list's items have, and the group of them, if there is one.
SELECT item, since, value_ref FROM places
WHERE run = :run AND path = :path AND (item = :group OR (item >= :first AND item < :end)) ORDER BY item, since
