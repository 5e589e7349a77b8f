-- Pins and the archive, and what lists are filtered by and sorted along besides the last change: labels, ends, durations
-- and costs.

ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
ALTER TABLE runs ADD COLUMN archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1));
ALTER TABLE runs ADD COLUMN cost_picousd INTEGER;  -- of the subtree, as far as it is known; NULL: nothing of it is known

-- Lists leave the archive out, so the indexes of the widest ones do, too.
DROP INDEX runs_by_updated;
CREATE INDEX runs_by_updated ON runs (updated_at, id) WHERE archived = 0;
DROP INDEX runs_at_top;
CREATE INDEX runs_at_top ON runs (updated_at, id) WHERE depth = 0 AND archived = 0;
DROP INDEX runs_counted;
CREATE INDEX runs_counted ON runs (status, depth) WHERE superseded = 0 AND archived = 0;
CREATE INDEX runs_archived ON runs (updated_at, id) WHERE archived = 1;
CREATE INDEX runs_pinned ON runs (updated_at, id) WHERE pinned = 1;

-- A run that has not ended stands in the index of ends, too: those come last, in the order of their creation.
CREATE INDEX runs_by_ended ON runs (completed_at, id);
CREATE INDEX runs_by_duration ON runs (completed_at - coalesce(started_at, completed_at), id) WHERE completed_at IS NOT NULL;
CREATE INDEX runs_by_cost ON runs (cost_picousd, id);

-- The labels of `labels_json`, to be searched. As an index does, it follows the rows by itself; a reference to them would
-- need a second index here, for each run that is removed.
CREATE TABLE labels (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (name, value, run)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER labels_of_new AFTER INSERT ON runs WHEN NEW.labels_json <> '{}' BEGIN
  INSERT OR IGNORE INTO labels SELECT key, CAST(atom AS TEXT), NEW.id FROM json_each(NEW.labels_json) WHERE atom IS NOT NULL;
END;
CREATE TRIGGER labels_of_changed AFTER UPDATE OF labels_json ON runs WHEN NEW.labels_json <> OLD.labels_json BEGIN
  DELETE FROM labels WHERE (name, value, run) IN (SELECT key, CAST(atom AS TEXT), OLD.id FROM json_each(OLD.labels_json));
  INSERT OR IGNORE INTO labels SELECT key, CAST(atom AS TEXT), NEW.id FROM json_each(NEW.labels_json) WHERE atom IS NOT NULL;
END;
CREATE TRIGGER labels_of_removed AFTER DELETE ON runs WHEN OLD.labels_json <> '{}' BEGIN
  DELETE FROM labels WHERE (name, value, run) IN (SELECT key, CAST(atom AS TEXT), OLD.id FROM json_each(OLD.labels_json));
END;

-- The cost of a subtree in one number beside its sums by model, so that runs can be sorted by it.
CREATE TRIGGER cost_of_new_sum AFTER INSERT ON totals WHEN NEW.scope = 1 BEGIN
  UPDATE runs SET cost_picousd = (SELECT CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END
    FROM totals WHERE run = NEW.run AND scope = 1) WHERE id = NEW.run;
END;
CREATE TRIGGER cost_of_changed_sum AFTER UPDATE ON totals WHEN NEW.scope = 1 BEGIN
  UPDATE runs SET cost_picousd = (SELECT CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END
    FROM totals WHERE run = NEW.run AND scope = 1) WHERE id = NEW.run;
END;
CREATE TRIGGER cost_of_removed_sum AFTER DELETE ON totals WHEN OLD.scope = 1 BEGIN
  UPDATE runs SET cost_picousd = (SELECT CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END
    FROM totals WHERE run = OLD.run AND scope = 1) WHERE id = OLD.run;
END;

INSERT OR IGNORE INTO labels SELECT l.key, CAST(l.atom AS TEXT), r.id FROM runs r, json_each(r.labels_json) l WHERE l.atom IS NOT NULL;
UPDATE runs SET cost_picousd = t.cost FROM (
  SELECT run, CASE WHEN sum(requests) > sum(unknown_costs) THEN sum(cost_picousd) END AS cost FROM totals WHERE scope = 1 GROUP BY run) t
WHERE t.run = runs.id;
