-- Copies of the ledger: what is in one, and what a restored one leaves to the original.

-- name: snapshot_facts
SELECT (SELECT count(*) FROM runs), (SELECT last FROM numbers WHERE name = 'events'),
  (SELECT value FROM meta WHERE name = 'epoch'), (SELECT max(number) FROM migrations)

-- name: disown_process
UPDATE processes SET ended_at = given.column4 FROM (VALUES (?::bigint, ?::bigint, ?::bigint, ?::bigint)) AS given
WHERE processes.run = given.column1 AND processes.attempt = given.column2 AND processes.pgid = given.column3
  AND processes.ended_at IS NULL
