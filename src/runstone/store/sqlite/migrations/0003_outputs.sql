-- Commands in the background: how far each attempt's output has been taken over from its spool file.
-- The numbers move in the transaction that stores the lines, so that no line is lost or stored twice.

CREATE TABLE outputs (
  run INTEGER NOT NULL REFERENCES runs (id),
  attempt INTEGER NOT NULL,
  stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr', 'protocol')),
  offset INTEGER NOT NULL CHECK (offset >= 0),   -- bytes of the spool file
  lines INTEGER NOT NULL CHECK (lines >= 0),
  broken INTEGER NOT NULL CHECK (broken >= 0),   -- lines that looked like the protocol and were kept as text
  cut INTEGER NOT NULL CHECK (cut IN (0, 1)),    -- the command opened the file anew and cut it: offsets begin again
  PRIMARY KEY (run, attempt, stream)
) STRICT, WITHOUT ROWID;

ALTER TABLE processes ADD COLUMN usage_json TEXT CHECK (octet_length(usage_json) <= 4096);  -- what it used: times, memory
