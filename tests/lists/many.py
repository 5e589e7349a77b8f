"""Many runs in a ledger, made by one statement, and what may change while somebody turns their pages."""

import random
from pathlib import Path
from typing import Any

import apsw

import runstone
from runstone.ledger import Ledger

_RUNS = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count),
  m AS (SELECT i, (i * 2654435761 % 4294967296) AS h, 1790000000000000 + i * 1000 AS at FROM n)
INSERT INTO runs (run_id, kind, status, root, root_run_id, depth, agent_id, title, options_json, labels_json, attempt,
  created_at, started_at, updated_at, completed_at, tries, active_ms, superseded, detached, cost_picousd)
SELECT printf('run-%07d', i), 'subagent', CASE WHEN h % 10 < 8 THEN 'completed' ELSE 'interrupted' END, i,
  printf('run-%07d', i), 0, printf('agent-%d', i % 20), printf('Look at file %d', i), '{}',
  CASE WHEN i % 50 = 0 THEN '{"ticket":"50"}' ELSE '{}' END, 1, at, at + 10, at + 10 + h % 5000000,
  CASE WHEN h % 10 < 8 THEN at + 10 + h % 5000000 END, 0, 0, 0, 0, CASE WHEN h % 3 THEN h % 1000000 END
FROM m"""

_TOTALS = """
INSERT INTO totals (run, scope, provider, model, requests, input_tokens, cache_read_tokens, cache_write_tokens,
  output_tokens, reasoning_tokens, cost_picousd, unknown_costs)
SELECT id, 1, 'p', 'm', 1, 1, 0, 0, 0, 0, coalesce(cost_picousd, 0), cost_picousd IS NULL FROM runs WHERE id % 3 = 0"""


def build(folder: Path, count: int) -> None:
    """A workspace with so many runs, without events. A fifth was interrupted, a third has no known cost."""
    with runstone.open(folder):
        pass
    db = apsw.Connection(str(folder / ".runstone" / "ledger.db"))
    db.execute("PRAGMA synchronous = OFF")
    with db:
        db.execute(_RUNS, {"count": count})
        db.execute(_TOTALS)
    db.close()


class Changes:
    """Edits titles, spends, and ends interrupted runs, in an order that a seed gives."""

    def __init__(self, ledger: Ledger, count: int, seed: int) -> None:
        self.ledger = ledger
        self.count = count
        self.random = random.Random(seed)
        self.changed: set[str] = set()

    def make(self, how_many: int) -> None:
        """Changes so many runs, each write durable."""
        for number in self.random.sample(range(1, self.count + 1), how_many):
            run_id = f"run-{number:07}"
            self.changed.add(run_id)
            run = self.ledger.get_run(run_id)
            if run.status == "interrupted":
                with self.ledger.continue_run(run_id) as handle:
                    handle.usage(
                        provider="p",
                        model="m",
                        input_tokens=1,
                        cost_usd=number % 100_000 / 7,
                        request_id=run_id,
                    )
            else:
                self.ledger.update_run(run_id, title=f"changed {number}")


def pages(ledger: Ledger, changes: Changes, per_page: int, **asked: Any) -> tuple[list[str], str]:
    """All ids of a list with changes between its pages, and the first page's `as_of`."""
    seen: list[str] = []
    page = ledger.list_runs(limit=1_000, **asked)
    as_of = page.as_of
    assert as_of is not None
    while True:
        seen += [run.id for run in page]
        if page.next_cursor is None:
            return seen, as_of
        changes.make(per_page)
        page = ledger.list_runs(limit=1_000, cursor=page.next_cursor, **asked)


def prove(folder: Path, count: int, changed: int, sort: str, order: str) -> None:
    """Turns all pages of `count` runs while `changed` of them change, and looks at what was seen."""
    everyone = {f"run-{number:07}" for number in range(1, count + 1)}
    with runstone.open(folder) as ledger:
        changes = Changes(ledger, count, seed=changed)
        seen, as_of = pages(ledger, changes, changed * 1_000 // count, sort=sort, order=order)
        told = {event.run_id for event in ledger.tail(as_of, timeout=0)}
    assert len(changes.changed) > changed * 0.9
    if sort == "created":
        assert len(seen) == len(everyone)
        assert set(seen) == everyone
        return
    unchanged = [run_id for run_id in seen if run_id not in changes.changed]
    assert len(unchanged) == len(set(unchanged))
    assert set(unchanged) == everyone - changes.changed
    assert told == changes.changed
