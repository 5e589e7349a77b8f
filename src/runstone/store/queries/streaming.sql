-- What followers of the whole ledger read: range queries along the positions.

-- name: told_since
-- Long payloads are told by their digest and size; the reader fetches those that are not too long.
SELECT e.run, e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, b.size, e.importance, e.at, e.attempt, e.event_key, r.run_id
FROM events e JOIN runs r ON r.id = e.run LEFT JOIN blobs b ON b.digest = e.payload_ref
WHERE e.position > :after ORDER BY e.position LIMIT :limit
