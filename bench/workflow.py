"""A workflow of 1,000 trivial children: started and finished; then one that failed in one child, resumed.

The raw side inserts the rows that the ledger holds after it, with the same indexes but the full text's, in as many
transactions as there are rounds of 32 children (the engine's slots), times two: for their begin and for their end.
"""

import asyncio
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

import runstone
from bench.table import Pace, Result, alternate, comparison, markdown, raw_connection, workspace

CHILDREN = 1_000
SLOTS = 32
REGISTRY = runstone.Registry()
calls: list[int] = []
"""The inputs of all executions of children, by `broken` as the failing one."""
broken: set[int] = set()


@REGISTRY.agent("double")
async def double(ctx: Any, number: int) -> int:
    calls.append(number)
    if number in broken:
        raise ValueError(f"{number} is broken")
    return 2 * number


@REGISTRY.workflow("thousand")
async def thousand(ctx: Any, input: Any) -> int:
    return sum(await ctx.map("double", range(CHILDREN)))


class Ours:
    """Workflows in one ledger after the other, so that each starts with an empty file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def fresh(self) -> runstone.Ledger:
        """A new ledger."""
        self.count += 1
        return runstone.open(self.folder / f"ledger-{self.count}", create=True)

    @property
    def latest(self) -> Path:
        """The file of the last ledger."""
        return self.folder / f"ledger-{self.count}" / ".runstone" / "ledger.db"

    def rate(self) -> float:
        """Children per second, from the call to the result."""
        with self.fresh() as ledger:
            started = time.perf_counter()
            result = asyncio.run(runstone.run("thousand", ledger=ledger, registry=REGISTRY, slots=SLOTS))
            elapsed = time.perf_counter() - started
        assert result == CHILDREN * (CHILDREN - 1)
        return CHILDREN / elapsed

    def resumed(self) -> tuple[int, float, float]:
        """Executions of a resume with 999 children done, its seconds, and the seconds of a `plan` before it."""
        with self.fresh() as ledger:
            broken.add(CHILDREN // 2)
            try:
                asyncio.run(
                    runstone.run("thousand", ledger=ledger, registry=REGISTRY, run_id="w", slots=SLOTS)
                )
            except runstone.RunFailed:
                broken.clear()
            calls.clear()
            started = time.perf_counter()
            plan = runstone.plan("w", ledger=ledger, registry=REGISTRY)
            planned = time.perf_counter()
            asyncio.run(runstone.resume("w", ledger=ledger, registry=REGISTRY, slots=SLOTS))
            ended = time.perf_counter()
            assert len(plan.reuse) == CHILDREN - 1
        return len(calls), ended - planned, planned - started


class Raw:
    """The rows of a ledger, table by table, inserted into an empty file of the same schema."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        db = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
        schema = (
            "SELECT name, sql, type FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'search%'"
        )
        objects = [row for row in db.execute(schema) if not row[0].startswith("sqlite_")]
        self.schema = [sql for _, sql, _ in objects]
        names = [name for name, _, kind in objects if kind == "table"]
        self.rows = {name: rows for name in names if (rows := list(db.execute(f"SELECT * FROM {name}")))}
        db.close()

    def total(self) -> int:
        """Rows of all tables."""
        return sum(map(len, self.rows.values()))

    def rate(self) -> float:
        """Children per second whose rows are durable."""
        self.count += 1
        db = raw_connection(self.folder / f"raw-{self.count}.db")
        for sql in self.schema:
            db.execute(sql)
        started, transactions = time.perf_counter(), 2 * math.ceil(CHILDREN / SLOTS)
        for number in range(transactions):
            with db:
                for name, rows in self.rows.items():
                    part = rows[len(rows) * number // transactions : len(rows) * (number + 1) // transactions]
                    db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", part)
        elapsed = time.perf_counter() - started
        db.close()
        return CHILDREN / elapsed


def bench(pace: Pace) -> str:
    """The rate with its raw limit, and the resume."""
    few = pace.fewer(3)
    with workspace() as folder:
        ours = Ours(folder)
        ours.rate()
        raw = Raw(ours.latest, folder)
        pairs = alternate(ours.rate, raw.rate, few)
        other = f"raw, the same {raw.total():,} rows"
        started = comparison(
            [Result(f"{CHILDREN:,} children started and finished", pairs, "children/s", other=other)]
        )
        return f"{started}\n\n{markdown(('resume', 'executions', 'time', '`plan` before it'), _resumes(ours, few))}"


def _resumes(ours: Ours, pace: Pace) -> Iterator[tuple[str, ...]]:
    seen = sorted((ours.resumed() for _ in range(pace.rounds)), key=lambda one: one[1])
    executions = "/".join(str(count) for count in sorted({one[0] for one in seen}))
    _, resume_s, plan_s = seen[len(seen) // 2]
    yield (
        f"{CHILDREN - 1} of {CHILDREN:,} done, one failed",
        executions,
        f"{resume_s:.2f} s",
        f"{plan_s:.2f} s",
    )
