-- Read by anyone, on connections that never write.

-- name: run_columns
-- What a run record is made of; `:now` decides whether a lease is live.
r.run_id, r.kind, r.parent_run_id, r.root_run_id, r.depth, r.forked_from, r.parent_thread_id, r.agent_id, r.agent_version,
r.title, CASE WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT json_array_elements_text(:dead::json))) THEN 'interrupted' ELSE r.status END,
r.status_reason, r.wake_at, r.phase, r.prompt_ref, r.input_ref, r.options_json, r.worker_thread_id, r.task_board_id,
r.task_card_id, r.child_key, r.labels_json, r.attempt, r.owner, r.created_at, r.started_at, r.updated_at, r.completed_at,
r.summary, r.result_ref, r.error_json, r.superseded, r.detached, l.expires_at, r.definition_id, r.definition_hash,
r.id, r.active_ms, r.attempt_started_at, r.model, r.provider, r.reused_json, r.forked_from_checkpoint, r.pinned, r.archived,
r.cost_picousd

-- name: shown_status
CASE WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT json_array_elements_text(:dead::json))) THEN 'interrupted' ELSE r.status END, count(*)

-- name: below_the_top
-- How many runs below each top-level one are shown with a status, and have an open question or not.
SELECT top.run_id,
  CASE WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT json_array_elements_text(:dead::json))) THEN 'interrupted' ELSE r.status END,
  r.status <> 'moved' AND r.id IN (SELECT q.run FROM inputs q WHERE q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now)),
  count(*)
FROM json_array_elements_text(:runs::json) k (run_id) JOIN runs top ON top.run_id = k.run_id JOIN runs r ON r.root = top.id
LEFT JOIN leases l ON l.run = r.id WHERE r.id <> top.id AND r.superseded = 0 GROUP BY 1, 2, 3

-- name: group_by_bucket
CASE WHEN r.status <> 'moved' AND r.id IN (SELECT q.run FROM inputs q WHERE q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now)) THEN 'awaiting_user'
  WHEN r.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT json_array_elements_text(:dead::json))) THEN 'interrupted' ELSE r.status END, count(*), max(r.updated_at)

-- name: group_by_day
-- The number of the day since 1970 in a place whose clock is ahead of UTC by :offset.
(r.updated_at + :offset::bigint) / :day::bigint, count(*), max(r.updated_at)

-- name: listed_runs
-- Runs of a JSON list of keys, each looked up by it.
unnest(translate(:keys, '[]', '{}')::bigint[]) AS k (run) JOIN runs r ON r.id = k.run LEFT JOIN leases l ON l.run = r.id

-- name: newest_text
-- The newest number ever given to a text.
SELECT last FROM numbers WHERE name = 'texts'

-- name: runs_with_words
-- Runs of the newest texts up to a number that hold all words, and how many of each hold them; NULL: texts of no run.
SELECT (SELECT run FROM texts WHERE id = s.id), count(*) FROM (
  WITH few AS MATERIALIZED (SELECT id FROM search WHERE body @@ words_query(:query) AND id <= :newest LIMIT 2001)
  (SELECT id FROM few WHERE (SELECT count(*) FROM few) < 2001 ORDER BY id DESC LIMIT :limit)
  UNION ALL
  (SELECT id FROM search WHERE (SELECT count(*) FROM few) = 2001 AND (body @@ words_query(:query)) IS TRUE AND id <= :newest
   ORDER BY id DESC LIMIT :limit)) s
GROUP BY 1

-- name: run_ids_with
-- Ids that hold the text that a person typed; looks at all ids, which an index holds.
SELECT run_id FROM runs WHERE strpos(run_id, :part) > 0 LIMIT 3

-- name: last_position
-- The newest position ever given, also where its event was removed.
SELECT last FROM numbers WHERE name = 'events'

-- name: totals_of_many
-- Sums for each run of a JSON list of keys, by scope.
SELECT run, scope, sum(requests), sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens),
  sum(reasoning_tokens), sum(cost_picousd), sum(unknown_costs), sum(priced_costs)
FROM totals WHERE run = ANY (translate(:runs, '[]', '{}')::bigint[]) GROUP BY run, scope

-- name: beside_runs
-- Of each run of a JSON list of keys: how many questions are open, and, of one that had a process, when it was last heard of.
SELECT r.id,
  (SELECT count(*) FROM inputs q WHERE q.run = r.id AND r.status <> 'moved' AND q.status = 'open' AND (q.expires_at IS NULL OR q.expires_at > :now)),
  CASE WHEN r.status IN ('running', 'interrupted') THEN
    (SELECT e.at FROM events e WHERE e.run = r.id AND e.type NOT IN ('run.interrupted', 'run.repaired', 'usage.repriced') ORDER BY e.seq DESC LIMIT 1) END
FROM runs r WHERE r.id = ANY (translate(:runs, '[]', '{}')::bigint[])

-- name: next_change_by_time
-- When a lease ends or a question expires next, by which a run is shown otherwise though nothing was written.
SELECT min(at) FROM (
  SELECT min(expires_at) AS at FROM leases WHERE expires_at >= :now
  UNION ALL SELECT min(expires_at) FROM inputs WHERE status = 'open' AND expires_at >= :now) AS ends

-- name: journal_of
-- All that a run knows, with how its children stand, in one query. A fork knows, too, what a removed child had cost.
SELECT j.id, j.key, j.kind, j.name, j.phase, j.previous, j.attempt, j.handled, j.dropped, j.child, c.run_id,
  CASE WHEN c.status = 'running' AND (l.expires_at IS NULL OR l.expires_at < :now OR l.owner IN (SELECT json_array_elements_text(:dead::json))) THEN 'interrupted' ELSE c.status END,
  c.error_json,
  greatest(coalesce(j.past_tokens, 0), coalesce((SELECT sum(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens)
    FROM totals t WHERE t.run = c.id AND t.scope = 1), 0)),
  greatest(coalesce(j.past_cost_picousd, 0), coalesce((SELECT sum(cost_picousd) FROM totals t
    WHERE t.run = c.id AND t.scope = 1), 0)),
  coalesce(c.attempt, 0), coalesce(c.tries, 0), coalesce(c.status_reason IN ('parent stopped', 'the parent stopped waiting for it', 'its parent finished without it'), FALSE), coalesce(c.superseded, 0),
  coalesce(j.value, CASE WHEN b.codec = 0 AND b.size <= 4096 THEN convert_from(b.data, 'UTF8') END), coalesce(j.value_ref, c.result_ref),
  j.value IS NOT NULL OR j.value_ref IS NOT NULL
FROM journal j LEFT JOIN runs c ON c.id = j.child LEFT JOIN leases l ON l.run = c.id
  LEFT JOIN blobs b ON b.digest = coalesce(j.value_ref, c.result_ref)
WHERE j.run = :run ORDER BY j.id

-- name: tree_of
-- The run and all below it, parents before children.
WITH RECURSIVE below (id) AS (
  SELECT :run::bigint
  UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT id FROM below ORDER BY id

-- name: level_order
-- The run and those below it, level by level, from behind a place on. Of a whole tree an index has them in this order;
-- below a run inside of one they are found and sorted for each page.
WITH RECURSIVE below (id, level) AS (
  SELECT id, 0 FROM runs WHERE id = :run AND parent IS NOT NULL
  UNION ALL SELECT r.id, b.level + 1 FROM below b JOIN runs r ON r.parent = b.id WHERE b.level < :depth)
SELECT id, level FROM (
  (SELECT r.id, r.depth AS level FROM runs r
    WHERE r.root = :run AND r.depth <= :depth AND (r.depth, r.id) > (:level, :pk) ORDER BY r.depth, r.id LIMIT :limit)
  UNION ALL SELECT id, level FROM below WHERE (level, id) > (:level, :pk)) AS found
ORDER BY level, id LIMIT :limit

-- name: children_by_key
-- How many children each run of a JSON list of keys has, superseded ones among them.
SELECT parent, count(*) FROM runs WHERE parent = ANY (translate(:runs, '[]', '{}')::bigint[]) GROUP BY parent

-- name: newest_attempts
SELECT a.run, a.number, a.started_at, a.ended_at, a.outcome, a.reason
FROM runs r JOIN attempts a ON a.run = r.id AND a.number > r.attempt - :most
WHERE r.id = ANY (translate(:runs, '[]', '{}')::bigint[]) ORDER BY a.run, a.number

-- name: newest_seqs
SELECT k.run, (SELECT max(seq) FROM events WHERE run = k.run)
FROM unnest(translate(:runs, '[]', '{}')::bigint[]) AS k (run)

-- name: activity
-- Tool calls and steps of runs by parts of their time: a JSON list of key, seq to begin behind, begin and length of a part.
SELECT k.run, least(greatest(0, (e.at - k.start) / k.part), :last::bigint), count(*) FILTER (WHERE e.type = 'tool.completed'),
  count(*) FILTER (WHERE e.type = 'tool.completed' AND object_of(e.payload) ->> 'ok' = 'false'),
  count(*) FILTER (WHERE e.type = 'step.completed')
FROM (SELECT CAST(value ->> 0 AS bigint) AS run, CAST(value ->> 1 AS bigint) AS after, CAST(value ->> 2 AS bigint) AS start,
    CAST(value ->> 3 AS bigint) AS part
  FROM json_array_elements(:asked::json)) k
JOIN events e ON e.run = k.run AND e.seq > k.after
WHERE e.type IN ('tool.completed', 'step.completed') GROUP BY 1, 2 ORDER BY 1, 2

-- name: reused_by
-- Children whose stored result the run's current try used: its last attempt, with those that it was parked in.
SELECT object_of(payload) ->> 'child_run_id' FROM events WHERE run = :run AND type = 'child.reused'
  AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')
  AND attempt >= (SELECT coalesce(max(attempt), 0) FROM events WHERE run = :run AND type = 'run.started'
    AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported') AND object_of(payload) ->> 'continues' IS NULL)

-- name: ever_reused
-- Children whose stored result any attempt used.
SELECT DISTINCT object_of(payload) ->> 'child_run_id' FROM events WHERE run = :run AND type = 'child.reused'
  AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')

-- name: heard_in_try
-- Children that ended, or whose result was used again, since the run's current try began.
SELECT object_of(payload) ->> 'child_run_id' FROM events WHERE run = :run AND type IN ('child.reused', 'child.completed')
  AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')
  AND attempt >= (SELECT coalesce(max(attempt), 0) FROM events WHERE run = :run AND type = 'run.started'
    AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported') AND object_of(payload) ->> 'continues' IS NULL)

-- name: phase_events
-- What is found by its type is few: it is sorted, and the run's other events are not looked at.
SELECT type, payload, at, attempt FROM events WHERE run = :run
  AND type IN ('phase.started', 'phase.completed', 'phase.failed', 'phase.skipped')
  AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported') ORDER BY seq

-- name: definitions_of
-- Events that carry a definition, the newest first. A tombstone stands for the first.
SELECT payload, payload_ref FROM events WHERE run = :run AND type IN ('run.created', 'definition.changed', 'run.pruned')
  AND type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported') ORDER BY seq DESC

-- name: state_at
-- For each place the newest row not after the checkpoint, with the blob that it refers to. Which rows these are is found
-- first, so that no older value is read.
SELECT p.path, p.item, p.codec, p.value, p.value_ref, b.codec, b.data
FROM (SELECT path, item, max(since) AS since FROM places WHERE run = :run AND since <= :number GROUP BY path, item) n
JOIN places p ON p.run = :run AND p.path = n.path AND p.item = n.item AND p.since = n.since
LEFT JOIN blobs b ON b.digest = p.value_ref

-- name: messages_last
SELECT * FROM (
  SELECT m.seq, m.role, m.text, m.text_ref, r.run_id, m.attempt, m.at, m.extra_json, m.extra_ref
  FROM messages m JOIN threads t ON t.id = m.thread LEFT JOIN runs r ON r.id = m.run
  WHERE t.thread_id = :thread_id ORDER BY m.seq DESC LIMIT :limit) AS newest ORDER BY seq

-- name: boards_list
SELECT board_id, thread_id, title, revision, created_at, updated_at FROM boards
WHERE :thread_id::text IS NULL OR thread_id = :thread_id ORDER BY id LIMIT :limit

-- name: cards_of_board
SELECT c.card_id, b.board_id, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, r.run_id,
  (SELECT coalesce(CAST(json_agg(run_id ORDER BY id) AS text), '[]') FROM runs WHERE task_card_id = c.card_id), c.revision,
  c.created_at, c.updated_at
FROM cards c JOIN boards b ON b.id = c.board LEFT JOIN runs r ON r.id = c.claimed_by
WHERE b.board_id = :board_id ORDER BY c.position, c.id LIMIT :limit

-- name: one_card
SELECT c.card_id, b.board_id, c.title, c.status, c.position, c.body, c.body_ref, c.assignee, c.labels_json, r.run_id,
  (SELECT coalesce(CAST(json_agg(run_id ORDER BY id) AS text), '[]') FROM runs WHERE task_card_id = c.card_id), c.revision,
  c.created_at, c.updated_at
FROM cards c JOIN boards b ON b.id = c.board LEFT JOIN runs r ON r.id = c.claimed_by WHERE c.card_id = :card_id

-- name: search_texts
-- Newest first: the index finds a rare word, and a word of every second text is met soon along the numbers. Left to
-- itself the planner walks along the numbers for a rare one, too.
SELECT t.source, r.run_id, th.thread_id, m.seq, m.text, m.text_ref, r.title, r.summary, r.error_json, r.prompt_ref
FROM (
  WITH few AS MATERIALIZED (SELECT id FROM search WHERE body @@ words_query(:query) LIMIT 2001)
  (SELECT id FROM few WHERE (SELECT count(*) FROM few) < 2001 ORDER BY id DESC LIMIT :limit)
  UNION ALL
  (SELECT id FROM search WHERE (SELECT count(*) FROM few) = 2001 AND (body @@ words_query(:query)) IS TRUE
   ORDER BY id DESC LIMIT :limit)) s
JOIN texts t ON t.id = s.id LEFT JOIN runs r ON r.id = t.run LEFT JOIN messages m ON m.id = t.message
LEFT JOIN threads th ON th.id = m.thread ORDER BY s.id DESC

-- name: progressed_since
-- Whether the run or anything below it recorded what a later try can build on.
WITH RECURSIVE below (id) AS (
  SELECT :run::bigint
  UNION ALL SELECT r.id FROM runs r JOIN below b ON r.parent = b.id)
SELECT EXISTS (SELECT 1 FROM below b JOIN journal j ON j.run = b.id WHERE j.at >= :since AND j.kind <> 'timer')
  OR EXISTS (SELECT 1 FROM below b JOIN checkpoints c ON c.run = b.id WHERE c.created_at >= :since)
  OR EXISTS (SELECT 1 FROM below b JOIN runs r ON r.id = b.id WHERE r.status = 'completed' AND r.completed_at >= :since)
