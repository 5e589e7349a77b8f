"""A tree of very many runs, made by one statement: a top, a hundred below it, and the others below those."""

from pathlib import Path

import apsw

import runstone

_RUNS = """
WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= :count)
INSERT INTO runs (id, run_id, kind, status, parent, parent_run_id, root, root_run_id, depth, agent_id, title,
  options_json, labels_json, attempt, created_at, started_at, updated_at, completed_at, tries, active_ms,
  superseded, detached)
SELECT i, printf('run-%05d', i), 'subagent', 'completed', CASE WHEN i <= 101 THEN 1 ELSE 2 + i % 100 END,
  CASE WHEN i <= 101 THEN 'top' ELSE printf('run-%05d', 2 + i % 100) END, 1, 'top', 1 + (i > 101), 'a',
  't', '{}', '{}', 1,
  :at + i * 1000, :at + i * 1000 + 10, :at + i * 1000 + 500, :at + i * 1000 + 500, 0, 0, 0, 0
FROM n"""

_ATTEMPTS = """
INSERT INTO attempts (run, number, owner, started_at, ended_at, outcome, first_seq)
SELECT id, 1, (SELECT owner FROM owners LIMIT 1), started_at, completed_at, 'completed', 1 FROM runs WHERE id > 1"""

_EVENTS = """
INSERT INTO events (run, seq, attempt, at, type, version, importance, payload)
SELECT r.id, s.value, 1, r.created_at + s.value * 40,
  CASE s.value % 2 WHEN 0 THEN 'tool.started' ELSE 'tool.completed' END, 1, 1,
  '{"call_id":"c","tool":"grep","ok":true}'
FROM runs r, json_each('[1,2,3,4,5,6,7,8,9,10]') s WHERE r.id > 1"""


def build(folder: Path, count: int) -> None:
    """A workspace with that tree below the run `top`, ten events in each run."""
    with runstone.open(folder) as ledger, ledger.start_run(run_id="top", parent=None):
        pass
    grow(folder, count)


def grow(folder: Path, count: int) -> None:
    """Puts that tree below the run `top`, which is the only one there is."""
    db = apsw.Connection(str(folder / ".runstone" / "ledger.db"))
    db.execute("PRAGMA synchronous = OFF")
    db.set_busy_timeout(10_000)
    with db:
        ((at,),) = db.execute("SELECT created_at FROM runs")
        db.execute(_RUNS, {"count": count, "at": at})
        db.execute(_ATTEMPTS)
        db.execute(_EVENTS)
    db.close()
