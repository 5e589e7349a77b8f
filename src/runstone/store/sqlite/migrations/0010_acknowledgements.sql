-- Who was told of which ends: a listener acknowledges the end of a run's attempt, and is never told of it again.

CREATE TABLE acknowledgements (
  run INTEGER NOT NULL REFERENCES runs (id),
  listener TEXT NOT NULL CHECK (octet_length(listener) BETWEEN 1 AND 200),   -- '@parent': the run's parent
  attempt INTEGER NOT NULL CHECK (attempt >= -1),   -- the last one whose end was acknowledged; -1: none yet
  acknowledged_at INTEGER,
  held_attempt INTEGER,              -- whose end a process has in hand
  held_until INTEGER,
  holder_json TEXT,                  -- that process: what it held is free again once it is gone
  PRIMARY KEY (run, listener),
  CHECK ((attempt = -1) = (acknowledged_at IS NULL)),
  CHECK ((held_attempt IS NULL) = (held_until IS NULL) AND (held_attempt IS NULL) = (holder_json IS NULL))
) STRICT, WITHOUT ROWID;
