-- How far each client's spool was taken over: what is sent again is known, and written once.

CREATE TABLE spools (
  spool TEXT PRIMARY KEY,            -- the client's process; the next one that delivers for it says the same
  last INTEGER NOT NULL,             -- the number of the last operation that was written
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spools_by_time ON spools (at);
