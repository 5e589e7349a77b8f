-- Read by the writer inside its transaction, where a write decides.

-- name: events_by_keys
SELECT event_key, seq, position FROM events
WHERE run = :run AND event_key IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- name: repeated_requests
-- Requests that trees about to be attached have in common with the tree above, or with each other.
SELECT u.id, u.run, u.provider, u.model, u.request_id, u.input_tokens, u.cache_read_tokens, u.cache_write_tokens, u.output_tokens,
  u.reasoning_tokens, u.cost_picousd, u.cost_source
FROM usage u WHERE u.root IN (SELECT jsonb_array_elements_text(:roots::jsonb)::bigint) AND EXISTS (
  SELECT 1 FROM usage o WHERE o.request_id = u.request_id AND (
    o.root = :root OR (o.id < u.id AND o.root IN (SELECT jsonb_array_elements_text(:roots::jsonb)::bigint))))

-- name: forget_request
DELETE FROM usage WHERE id IN (VALUES (?::bigint))

-- name: move_usage
-- A request that the other tree has accounted for stays where it is, and of several alike that come all but the first.
UPDATE usage SET root = moved.root FROM (
  SELECT DISTINCT ON (given.column2, u.request_id) u.id, given.column2 AS root
  FROM (VALUES (?::bigint, ?::bigint)) AS given JOIN usage u ON u.run = given.column1
  WHERE NOT EXISTS (SELECT 1 FROM usage o WHERE o.root = given.column2 AND o.request_id = u.request_id)
  ORDER BY given.column2, u.request_id, u.id) AS moved
WHERE usage.id = moved.id

-- name: live_siblings
-- Running children of a run in a phase, with a live lease, this one left out. Few runs have a lease, a parent may have
-- thousands of children: the order of the join is said.
SELECT count(*) FROM leases l JOIN runs r ON r.id = l.run
WHERE r.parent = :parent AND r.phase IS NOT DISTINCT FROM :phase::text AND r.status = 'running' AND l.expires_at >= :now AND r.id <> :self

-- name: continued_since_saved
-- Messages that continuations came with, from the oldest, and that the run has neither saved a state nor completed since.
SELECT m.role, m.text, m.text_ref FROM events e
JOIN threads t ON t.thread_id = e.payload::json ->> 'thread_id' JOIN messages m ON m.thread = t.id AND m.seq = (e.payload::json ->> 'seq')::bigint
WHERE e.run = :run AND e.type = 'run.continued'
  AND e.type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')
  AND e.seq > coalesce((SELECT max(seq) FROM events WHERE run = :run AND type IN ('checkpoint.saved', 'run.completed')
    AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')), 0)
ORDER BY e.seq

-- name: unclaimed_children
-- Children that the journal of the run knows, that did not end, and that this attempt did not ask for.
SELECT r.id FROM journal j JOIN runs r ON r.id = j.child
WHERE j.run = :run AND r.parent = j.run AND r.detached = 0 AND r.superseded = 0 AND r.id NOT IN (SELECT jsonb_array_elements_text(:claimed::jsonb)::bigint)
