-- Read by anyone, on connections that never write.

-- name: meta
SELECT value FROM meta WHERE name = :name

-- name: run_tables
runs r LEFT JOIN leases l ON l.run = r.id

-- name: stored_status
-- As it was written, whoever lives: an index gives it without the rows.
r.status, count(*)

-- name: runs_alone
runs r

-- name: group_by_agent_id
r.agent_id, count(*), max(r.updated_at)

-- name: group_by_definition_id
r.definition_id, count(*), max(r.updated_at)

-- name: group_by_thread_id
r.parent_thread_id, count(*), max(r.updated_at)

-- name: run_key
r.id

-- name: label_key
k.run

-- name: label_keys
labels k

-- name: event_columns
e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key

-- name: events_alone
events e

-- name: rare_types
-- The types of a run's events that the index by type holds, each found by one step.
WITH RECURSIVE kinds (type) AS (
  SELECT (SELECT min(type) FROM events WHERE run = :run
    AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported'))
  UNION ALL
  SELECT (SELECT min(type) FROM events WHERE run = :run AND type > k.type
    AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported'))
  FROM kinds k WHERE k.type IS NOT NULL)
SELECT type FROM kinds WHERE type IS NOT NULL

-- name: events_after
SELECT e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key
FROM events e WHERE e.run = :run AND e.seq > :after ORDER BY e.seq LIMIT :limit

-- name: events_before
SELECT e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key
FROM events e WHERE e.run = :run AND e.seq < :before ORDER BY e.seq DESC LIMIT :limit

-- name: events_from_position
SELECT e.seq, e.position, e.type, e.version, e.payload, e.payload_ref, e.importance, e.at, e.attempt, e.event_key, r.run_id
FROM events e JOIN runs r ON r.id = e.run WHERE e.position > :after ORDER BY e.position LIMIT :limit

-- name: pk_of
SELECT id FROM runs WHERE run_id = :run_id

-- name: blob
SELECT codec, data, size FROM blobs WHERE digest = :digest

-- name: blob_size
SELECT size FROM blobs WHERE digest = :digest

-- name: attempts_of
SELECT a.number, a.owner, o.identity_json, a.started_at, a.ended_at, a.outcome, a.reason
FROM attempts a JOIN owners o USING (owner) WHERE a.run = :run ORDER BY a.number

-- name: lease_of_run
SELECT l.attempt, l.owner, o.identity_json, l.expires_at FROM leases l JOIN owners o USING (owner) WHERE l.run = :run

-- name: lease_owners
SELECT DISTINCT l.owner, o.identity_json FROM leases l JOIN owners o USING (owner)

-- name: all_leases
SELECT r.run_id, l.attempt, l.owner, o.identity_json, l.expires_at, r.id
FROM leases l JOIN owners o USING (owner) JOIN runs r ON r.id = l.run

-- name: running_without_lease
SELECT r.run_id, r.attempt FROM runs r LEFT JOIN leases l ON l.run = r.id WHERE r.status = 'running' AND l.run IS NULL

-- name: processes_of
SELECT attempt, pgid, identity_json, command_json, started_at, ended_at, exit_code, signal, usage_json
FROM processes WHERE run = :run ORDER BY started_at, pgid

-- name: all_unended_processes
SELECT r.run_id, p.attempt, p.pgid, p.identity_json, p.command_json, p.started_at, p.ended_at, p.exit_code, p.signal, p.usage_json, r.status
FROM processes p JOIN runs r ON r.id = p.run WHERE p.ended_at IS NULL

-- name: totals_of
SELECT provider, model, scope, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs, priced_costs
FROM totals WHERE run = :run ORDER BY provider, model, scope

-- name: tools_of
SELECT tool, scope, calls, failed FROM tools WHERE run = :run ORDER BY tool

-- name: last_sign
-- When the run was last heard of: what others noted about its end is no sign of it.
SELECT at FROM events WHERE run = :run AND type NOT IN ('run.interrupted', 'run.repaired', 'usage.repriced') ORDER BY seq DESC LIMIT 1

-- name: changed_below
-- The run and those below it that have events behind a position, level by level, from behind a place on.
WITH RECURSIVE up (id, at, level) AS (
  SELECT DISTINCT run, run, 0 FROM events WHERE position > :since
  UNION ALL SELECT u.id, r.parent, u.level + 1 FROM up u JOIN runs r ON r.id = u.at WHERE u.at <> :run AND r.parent IS NOT NULL)
SELECT id, level FROM up WHERE at = :run AND level <= :depth AND (level, id) > (:level, :pk) ORDER BY level, id LIMIT :limit

-- name: last_child
-- The child that ended last; one that still goes on ends later than all.
SELECT id FROM runs WHERE parent = :run AND superseded = 0 ORDER BY completed_at IS NULL DESC, completed_at DESC, id DESC LIMIT 1

-- name: any_pruned
SELECT EXISTS (SELECT 1 FROM events WHERE run = :run AND type = 'run.pruned'
  AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported'))

-- name: checkpoints_of
SELECT number, attempt, label, definition_hash, parent, created_at FROM checkpoints WHERE run = :run ORDER BY number

-- name: threads_list
SELECT t.thread_id, t.title, r.run_id, (SELECT count(*) FROM messages WHERE thread = t.id), t.created_at, t.updated_at, t.id
FROM threads t LEFT JOIN runs r ON r.id = t.run WHERE t.id < :before ORDER BY t.id DESC LIMIT :limit

-- name: one_thread
SELECT t.thread_id, t.title, r.run_id, (SELECT count(*) FROM messages WHERE thread = t.id), t.created_at, t.updated_at, t.id
FROM threads t LEFT JOIN runs r ON r.id = t.run WHERE t.thread_id = :thread_id

-- name: messages_after
SELECT m.seq, m.role, m.text, m.text_ref, r.run_id, m.attempt, m.at, m.extra_json, m.extra_ref
FROM messages m JOIN threads t ON t.id = m.thread LEFT JOIN runs r ON r.id = m.run
WHERE t.thread_id = :thread_id AND m.seq > :after ORDER BY m.seq LIMIT :limit

-- name: commands_of
SELECT c.command_id, r.run_id, c.verb, c.payload_json, c.idempotency_key, c.status, c.requested_by, c.reason, c.requested_at,
  c.acknowledged_at, c.ended_at
FROM commands c JOIN runs r ON r.id = c.run WHERE c.run = :run ORDER BY c.id

-- name: open_commands
SELECT c.command_id, r.run_id, c.verb, c.payload_json, c.idempotency_key, c.status, c.requested_by, c.reason, c.requested_at,
  c.acknowledged_at, c.ended_at
FROM commands c JOIN runs r ON r.id = c.run WHERE c.status IN ('requested', 'acknowledged') ORDER BY c.id

-- name: any_steering
SELECT EXISTS (SELECT 1 FROM commands WHERE status IN ('requested', 'acknowledged') AND run = :run AND verb = 'steer')

-- name: ordered_and_unheld
-- Runs with an open order to stop that nobody holds: it came as they parked, or their owner died before he had obeyed.
SELECT DISTINCT r.run_id FROM commands c JOIN runs r ON r.id = c.run
WHERE c.status IN ('requested', 'acknowledged') AND c.verb = 'stop'
  AND r.status NOT IN ('running', 'completed', 'failed', 'cancelled')
