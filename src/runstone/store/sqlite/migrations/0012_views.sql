-- Saved views of lists, how far each viewer has seen, and events by type and by importance.

CREATE TABLE views (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  view_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 200),
  filters_json TEXT NOT NULL CHECK (octet_length(filters_json) <= 4096),
  sort TEXT NOT NULL,
  sort_order TEXT NOT NULL CHECK (sort_order IN ('asc', 'desc')),
  grouping TEXT,                 -- what the list is grouped by; NULL: nothing
  is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
  revision INTEGER NOT NULL CHECK (revision >= 1),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX views_default ON views (is_default) WHERE is_default = 1;

CREATE TABLE seen (              -- the ledger's position up to which a viewer knows what happened
  viewer TEXT PRIMARY KEY CHECK (octet_length(viewer) BETWEEN 1 AND 200),
  cursor TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Types that a run has many of are left out: they are met soon enough along (run, seq), and cost nothing here.
CREATE INDEX events_by_type ON events (run, type, seq)
  WHERE type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported');
CREATE INDEX events_important ON events (run, seq) WHERE importance >= 2;
