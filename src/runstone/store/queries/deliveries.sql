-- Deliveries: ends of runs, and which of them a listener has acknowledged.

-- name: acknowledgement_of
SELECT attempt, held_attempt, held_until, holder_json, acknowledged_at FROM acknowledgements
WHERE run = :run AND listener = :listener

-- name: hold_end
INSERT INTO acknowledgements (run, listener, attempt, held_attempt, held_until, holder_json) VALUES (?, ?, -1, ?, ?, ?)
ON CONFLICT (run, listener) DO UPDATE SET held_attempt = excluded.held_attempt, held_until = excluded.held_until,
  holder_json = excluded.holder_json

-- name: acknowledge_end
INSERT INTO acknowledgements (run, listener, attempt, acknowledged_at) VALUES (?, ?, ?, ?)
ON CONFLICT (run, listener) DO UPDATE SET attempt = excluded.attempt, acknowledged_at = excluded.acknowledged_at,
  held_attempt = NULL, held_until = NULL, holder_json = NULL

-- name: exported_acknowledgement
SELECT listener, attempt, acknowledged_at FROM acknowledgements WHERE run = :run AND attempt >= 0 ORDER BY listener
