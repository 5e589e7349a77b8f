-- What commands in the background printed: how far it was taken over.

-- name: last_event
-- The last event of a type since an attempt began.
SELECT payload, payload_ref FROM events WHERE run = :run AND type = :type AND attempt >= :attempt ORDER BY seq DESC LIMIT 1
