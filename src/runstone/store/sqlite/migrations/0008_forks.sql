-- Forks from checkpoints: where a run was forked, what a run knew at a checkpoint, and what reused work had cost.

ALTER TABLE runs ADD COLUMN forked_from_checkpoint INTEGER;  -- of the run `forked_from`; NULL: from its start
CREATE INDEX runs_by_fork ON runs (forked_from, updated_at, id) WHERE forked_from IS NOT NULL;

ALTER TABLE checkpoints ADD COLUMN journal INTEGER;          -- the newest journal record of the ledger by then
UPDATE checkpoints SET journal = coalesce(
  (SELECT max(id) FROM journal WHERE journal.run = checkpoints.run AND journal.at <= checkpoints.created_at), 0);

ALTER TABLE journal ADD COLUMN past_tokens INTEGER;          -- a fork's: what the child had cost when it was forked
ALTER TABLE journal ADD COLUMN past_cost_picousd INTEGER;
