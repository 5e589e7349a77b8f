"""Builds a ledger of a given size by bulk statements: what a ledger would hold, without the hours of making it."""

import shutil
import time
from pathlib import Path

import apsw

import runstone
from runstone.store.sqlite.migrate import migrations

BIG_PARENT = "run-parent"
BIG_THREAD = "thread-big"
BIG_RUN = "run-eventful"
_START = 1_790_000_000_000_000
_TOP = 2
"""Runs made through the ledger before the bulk: the big parent and the run with many events."""

_SERIES = "WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last) "

_RUNS = (
    _SERIES
    + """
INSERT INTO runs (id, run_id, kind, status, parent, parent_run_id, root, root_run_id, depth, parent_thread_id,
  agent_id, agent_version, title, status_reason, options_json, labels_json, attempt, created_at, started_at, updated_at,
  completed_at, summary, tries, active_ms, superseded, detached, archived, cost_picousd)
SELECT i, printf('0199%08x-bulk', i),
  CASE i % 5 WHEN 0 THEN 'subagent' WHEN 1 THEN 'workflow_child' WHEN 2 THEN 'background_agent'
    WHEN 3 THEN 'team_member' ELSE 'worker_thread' END,
  CASE WHEN h < 800 THEN 'completed' WHEN h < 880 THEN 'failed' WHEN h < 930 THEN 'cancelled'
    WHEN h < 980 THEN 'interrupted' WHEN h < 990 THEN 'paused' WHEN h < 998 THEN 'waiting' ELSE 'awaiting_user' END,
  CASE WHEN i % 10 = 3 THEN 1 END, CASE WHEN i % 10 = 3 THEN 'run-parent' END,
  CASE WHEN i % 10 = 3 THEN 1 ELSE i END, CASE WHEN i % 10 = 3 THEN 'run-parent' ELSE printf('0199%08x-bulk', i) END,
  i % 10 = 3,
  CASE WHEN i % 10 = 7 THEN 'thread-big' WHEN i % 10 = 8 THEN printf('thread-%d', i % 1000) END,
  printf('agent-%d', i % 50), '1', printf('Look at file %d of package %d', i, i % 977), NULL, '{}',
  printf('{"team":"search","ticket":"%d"}', i % 1000), 1, :start + i * 1000, :start + i * 1000 + 10,
  :start + (i * 7919 % :count) * 1000, CASE WHEN h < 930 THEN :start + (i * 7919 % :count) * 1000 END,
  CASE WHEN h < 800 THEN printf('Read %d lines and found nothing to mend', i % 5000) END,
  h BETWEEN 800 AND 879, 1500, 0, 0, h < 50, CASE WHEN i % 2 THEN (i * 7919 % :count) * 1000 END
FROM (SELECT i, (i * 2654435761 % 4294967296) % 1000 AS h FROM n)"""
)

_EVENTS = (
    _SERIES
    + """
INSERT INTO events (run, seq, attempt, at, type, version, importance, payload)
SELECT :run, i, 1, :start + i * 1000, CASE i % 2 WHEN 0 THEN 'tool.started' ELSE 'tool.completed' END, 1, 1,
  printf('{"call_id":"call_%010d","tool":"search","arguments":"%s","n":%d}', i, :filling, i)
FROM n"""
)

_EVENTS_OF_MANY = (
    _SERIES
    + """
INSERT INTO events (run, seq, attempt, at, type, version, importance, payload)
SELECT i, s.value, 1, :start + i * 1000 + s.value, CASE s.value WHEN 1 THEN 'run.created' WHEN 2 THEN 'run.started'
    WHEN 3 THEN 'tool.started' ELSE 'tool.completed' END, 1, 1,
  printf('{"call_id":"call_%010d","tool":"search","arguments":"%s","n":%d}', i, :filling, s.value)
FROM n, json_each(:seqs) s"""
)

_TEXTS = _SERIES + "INSERT INTO texts (id, source, run) SELECT i, 'title', i FROM n"
_SEARCH = (
    _SERIES
    + "INSERT INTO search (rowid, body) SELECT i, printf('Look at file %d of package %d', i, i % 977) FROM n"
)


def build(folder: Path, runs: int, events_per_run: int) -> tuple[Path, float]:
    """The workspace, and how many seconds building took (0: it was there, in the present schema)."""
    mark = folder / f"built-{migrations()[-1].number}"
    if mark.exists():
        return folder, 0.0
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.perf_counter()
    with runstone.open(folder) as ledger:
        for run_id in (BIG_PARENT, BIG_RUN):
            with ledger.start_run(run_id=run_id, title="built for a measurement", kind="subagent"):
                pass
    _fill(folder / ".runstone" / "ledger.db", runs, events_per_run)
    mark.touch()
    return folder, time.perf_counter() - started


def _fill(path: Path, runs: int, events_per_run: int) -> None:
    db = apsw.Connection(str(path))
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
        db.execute(f"PRAGMA {pragma}")
    indexes = list(
        db.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'runs' AND sql IS NOT NULL"
        )
    )
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    of_one = runs * events_per_run // 10
    seqs = str(list(range(1, (runs * events_per_run - of_one) // runs + 1)))
    common = {"first": _TOP + 1, "last": runs, "start": _START}
    filling = "x" * 300
    with db:
        db.execute(_RUNS, {**common, "count": runs})
        db.execute(_EVENTS_OF_MANY, {**common, "seqs": seqs, "filling": filling})
        ((pk, seq),) = db.execute(
            "SELECT r.id, max(e.seq) FROM runs r JOIN events e ON e.run = r.id WHERE run_id = ?", (BIG_RUN,)
        )
        db.execute(
            _EVENTS, {"run": pk, "first": seq + 1, "last": of_one, "start": _START, "filling": filling}
        )
        # The ledger's own three texts have the first numbers.
        db.execute("DELETE FROM texts")
        db.execute("DELETE FROM search")
        db.execute(_TEXTS, {"first": 1, "last": runs})
        db.execute(_SEARCH, {"first": 1, "last": runs})
    for _, sql in indexes:
        db.execute(sql)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
