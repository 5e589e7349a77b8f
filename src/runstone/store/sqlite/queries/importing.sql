-- Rows as an export brings them, and what the ledger has of them already.

-- name: import_output
INSERT INTO outputs (run, attempt, stream, offset, lines, broken, cut) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: present_ids
-- Ids that only one run can have: of questions and of orders.
SELECT i.input_id, r.run_id FROM inputs i JOIN runs r ON r.id = i.run WHERE i.input_id IN (SELECT value FROM json_each(:ids))
UNION ALL
SELECT c.command_id, r.run_id FROM commands c JOIN runs r ON r.id = c.run WHERE c.command_id IN (SELECT value FROM json_each(:ids))
