-- Runs that are for workers, each time that they are ready to be worked on; and who does what one process does for all.

CREATE TABLE dispatches (
  run INTEGER NOT NULL REFERENCES runs (id),
  n INTEGER NOT NULL,                -- the seq of the event that made the run ready
  state TEXT NOT NULL CHECK (state IN ('held', 'ready', 'enqueued', 'taken', 'over')),
  queue TEXT NOT NULL,
  rank INTEGER NOT NULL,             -- lower first
  not_before INTEGER NOT NULL,
  parent INTEGER,                    -- with `phase`: of a phase that runs so many children at most
  phase TEXT,
  at INTEGER NOT NULL,               -- when it came to its state, or was last found in its queue
  PRIMARY KEY (run, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX dispatches_by_state ON dispatches (state, not_before);
CREATE INDEX dispatches_by_phase ON dispatches (parent, phase, state) WHERE phase IS NOT NULL;

CREATE TABLE duties (                -- what one process does for all: reconciling, relaying
  duty TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
