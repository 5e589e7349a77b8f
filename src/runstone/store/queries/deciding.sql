-- Read by the writer inside its transaction, where a write decides.

-- name: event_by_key
SELECT seq, position FROM events WHERE run = :run AND event_key = :event_key

-- name: unattached_children
-- Runs that named this parent before it was known.
SELECT id FROM runs WHERE parent IS NULL AND parent_run_id = :run_id

-- name: children_pks
SELECT id FROM runs WHERE parent = :run ORDER BY id

-- name: subtree_totals
SELECT provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
  cost_picousd, unknown_costs, priced_costs
FROM totals WHERE run = :run AND scope = 1

-- name: subtree_tools
SELECT tool, calls, failed FROM tools WHERE run = :run AND scope = 1

-- name: waited_children
SELECT DISTINCT child FROM waits LIMIT :few

-- name: is_waited
SELECT 1 FROM waits WHERE child = :run LIMIT 1

-- name: waits_of_child
-- Who waits for this child, and whether another one of the same branch has not ended. Those that were started last are
-- looked at first, as they mostly end last.
SELECT w.run, w.branch, w.mode, (
  SELECT 1 FROM waits o JOIN runs r ON r.id = o.child
  WHERE o.run = w.run AND o.branch = w.branch AND o.child <> w.child AND r.status NOT IN ('completed', 'failed', 'cancelled')
  ORDER BY o.child DESC LIMIT 1)
FROM waits w WHERE w.child = :child

-- name: awaited_by
SELECT child FROM waits WHERE run = :run

-- name: unended_processes
SELECT pgid, identity_json, attempt FROM processes WHERE run = :run AND ended_at IS NULL

-- name: request_known
SELECT run FROM usage WHERE root = :root AND request_id = :request_id

-- name: owner_identity
SELECT identity_json FROM owners WHERE owner = :owner

-- name: live_in_tree
-- Whether somebody works in the tree, this run left out.
SELECT EXISTS (
  SELECT 1 FROM leases l JOIN runs r ON r.id = l.run WHERE r.root = :root AND r.id <> :self AND l.expires_at >= :now)

-- name: started_below
-- How many runs below this one have begun, each once, whatever its attempts.
WITH RECURSIVE below (id) AS (
  SELECT id FROM runs WHERE parent = :run
  UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT count(*) FROM runs JOIN below USING (id) WHERE attempt > 0

-- name: spent
SELECT coalesce(sum(cost_picousd), 0),
  coalesce(sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens), 0), coalesce(sum(unknown_costs), 0)
FROM totals WHERE run = :run AND scope = 1

-- name: thread_by_id
SELECT id, last_seq FROM threads WHERE thread_id = :thread_id

-- name: last_checkpoint
SELECT coalesce(max(number), 0) FROM checkpoints WHERE run = :run

-- name: board_by_id
SELECT id, board_id, thread_id, title, revision, created_at, updated_at FROM boards WHERE board_id = :board_id

-- name: board_of_card
SELECT board_id FROM boards WHERE id = :board

-- name: card_by_id
SELECT c.id, c.card_id, c.board, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, c.claimed_by,
  c.revision, c.created_at, c.updated_at
FROM cards c WHERE c.card_id = :card_id

-- name: cards_claimed_by
SELECT c.id, c.card_id, c.board, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, c.claimed_by,
  c.revision, c.created_at, c.updated_at
FROM cards c WHERE c.claimed_by = :run

-- name: command_by_id
SELECT id, command_id, run, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at, acknowledged_at,
  ended_at
FROM commands WHERE command_id = :command_id

-- name: command_by_key
SELECT id, command_id, run, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at, acknowledged_at,
  ended_at
FROM commands WHERE run = :run AND idempotency_key = :idempotency_key

-- name: half_removed
-- Whether there are places that no checkpoint leads to: the removal of very many was cut off.
SELECT EXISTS (SELECT 1 FROM places WHERE run = :run) AND NOT EXISTS (SELECT 1 FROM checkpoints WHERE run = :run)

-- name: ordered_runs
SELECT DISTINCT run FROM commands WHERE status IN ('requested', 'acknowledged') LIMIT :few

-- name: is_ordered
SELECT 1 FROM commands WHERE run = :run AND status IN ('requested', 'acknowledged') LIMIT 1

-- name: open_orders_of
SELECT id, command_id, run, verb, payload_json, idempotency_key, status, requested_by, reason, requested_at, acknowledged_at,
  ended_at
FROM commands WHERE run = :run AND status IN ('requested', 'acknowledged') ORDER BY id

-- name: attempt_times
SELECT started_at, ended_at FROM attempts WHERE run = :run AND number = :number

-- name: lease_of
SELECT attempt, owner, expires_at FROM leases WHERE run = :run

-- name: texts_of_run
SELECT id FROM texts WHERE run = :run AND source = :source AND message IS NULL

-- name: taken_over_up_to
SELECT last FROM spools WHERE spool = :spool

-- name: attempt_owners_from
-- Who held the attempts of a run from one on, the first one first.
SELECT owner FROM attempts WHERE run = :run AND number >= :attempt ORDER BY number
