-- Read by the writer inside its transaction, where a write decides.

-- name: events_by_keys
SELECT event_key, seq, position FROM events
WHERE run = :run AND event_key IN (SELECT value FROM json_each(:keys))

-- name: repeated_requests
-- Requests that trees about to be attached have in common with the tree above, or with each other.
SELECT u.id, u.run, u.provider, u.model, u.request_id, u.input_tokens, u.cache_read_tokens, u.cache_write_tokens, u.output_tokens,
  u.reasoning_tokens, u.cost_picousd, u.cost_source
FROM usage u WHERE u.root IN (SELECT value FROM json_each(:roots)) AND EXISTS (
  SELECT 1 FROM usage o WHERE o.request_id = u.request_id AND (
    o.root = :root OR (o.id < u.id AND o.root IN (SELECT value FROM json_each(:roots)))))

-- name: forget_request
DELETE FROM usage WHERE id IN (VALUES (?))

-- name: move_usage
UPDATE OR IGNORE usage SET root = given.column2 FROM (VALUES (?, ?)) AS given WHERE usage.run = given.column1

-- name: live_siblings
-- Running children of a run in a phase, with a live lease, this one left out. Few runs have a lease, a parent may have
-- thousands of children: the order of the join is said.
SELECT count(*) FROM leases l CROSS JOIN runs r ON r.id = l.run
WHERE r.parent = :parent AND r.phase IS :phase AND r.status = 'running' AND l.expires_at >= :now AND r.id <> :self

-- name: continued_since_saved
-- Messages that continuations came with, from the oldest, and that the run has neither saved a state nor completed since.
SELECT m.role, m.text, m.text_ref FROM events e
JOIN threads t ON t.thread_id = e.payload ->> 'thread_id' JOIN messages m ON m.thread = t.id AND m.seq = e.payload ->> 'seq'
WHERE e.run = :run AND e.type = 'run.continued'
  AND e.type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')
  AND e.seq > coalesce((SELECT max(seq) FROM events WHERE run = :run AND type IN ('checkpoint.saved', 'run.completed')
    AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')), 0)
ORDER BY e.seq

-- name: unclaimed_children
-- Children that the journal of the run knows, that did not end, and that this attempt did not ask for.
SELECT r.id FROM journal j JOIN runs r ON r.id = j.child
WHERE j.run = :run AND r.parent = j.run AND r.detached = 0 AND r.superseded = 0 AND r.id NOT IN (SELECT value FROM json_each(:claimed))
