-- Orders that many runs get, one after the other, and when each viewer's visit before this one ended.

CREATE TABLE bulks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bulk_id TEXT NOT NULL UNIQUE,
  verb TEXT NOT NULL,
  requested_by TEXT,
  requested_at INTEGER NOT NULL,
  is_cancelled INTEGER NOT NULL CHECK (is_cancelled IN (0, 1)),
  ended_at INTEGER                -- when the last of its runs had got the order, or it was cancelled
) STRICT;

CREATE TABLE bulk_runs (          -- a run may be removed while the order is on its way to it: no foreign key
  bulk INTEGER NOT NULL REFERENCES bulks (id) ON DELETE CASCADE,
  place INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('waiting', 'given', 'refused', 'left_out')),
  reason TEXT,                    -- why it was refused
  PRIMARY KEY (bulk, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX bulk_runs_waiting ON bulk_runs (bulk, place) WHERE status = 'waiting';

ALTER TABLE seen ADD COLUMN before_at INTEGER;
