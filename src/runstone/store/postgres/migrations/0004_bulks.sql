-- Orders that many runs get, one after the other, and when each viewer's visit before this one ended.

CREATE TABLE bulks (
  id bigint PRIMARY KEY,
  bulk_id text COLLATE "C" NOT NULL UNIQUE,
  verb text COLLATE "C" NOT NULL,
  requested_by text COLLATE "C",
  requested_at bigint NOT NULL,
  is_cancelled bigint NOT NULL CHECK (is_cancelled IN (0, 1)),
  ended_at bigint                  -- when the last of its runs had got the order, or it was cancelled
);
INSERT INTO numbers (name, last) VALUES ('bulks', 0);

CREATE TABLE bulk_runs (           -- a run may be removed while the order is on its way to it: no foreign key
  bulk bigint NOT NULL REFERENCES bulks (id) ON DELETE CASCADE,
  place bigint NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL CHECK (status IN ('waiting', 'given', 'refused', 'left_out')),
  reason text COLLATE "C",         -- why it was refused
  PRIMARY KEY (bulk, place)
);
CREATE INDEX bulk_runs_waiting ON bulk_runs (bulk, place) WHERE status = 'waiting';

ALTER TABLE seen ADD COLUMN before_at bigint;
