-- Runs that are for workers, each time that they are ready to be worked on; and who does what one process does for all.

CREATE TABLE dispatches (
  run bigint NOT NULL REFERENCES runs (id),
  n bigint NOT NULL,                -- the seq of the event that made the run ready
  state text COLLATE "C" NOT NULL CHECK (state IN ('held', 'ready', 'enqueued', 'taken', 'over')),
  queue text COLLATE "C" NOT NULL,
  rank bigint NOT NULL,             -- lower first
  not_before bigint NOT NULL,
  parent bigint,                    -- with `phase`: of a phase that runs so many children at most
  phase text COLLATE "C",
  at bigint NOT NULL,               -- when it came to its state, or was last found in its queue
  PRIMARY KEY (run, n)
);
CREATE INDEX dispatches_by_state ON dispatches (state, not_before);
CREATE INDEX dispatches_by_phase ON dispatches (parent, phase, state) WHERE phase IS NOT NULL;

CREATE TABLE duties (                -- what one process does for all: reconciling, relaying
  duty text COLLATE "C" PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  expires_at bigint NOT NULL
);
