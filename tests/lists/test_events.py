"""Events of a run in both directions, by type and importance: the pages of what a plain look at all gives."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain.records import RunEvent
from runstone.errors import InvalidInput, NotFound
from runstone.ledger import Ledger
from runstone.store import event_pages
from runstone.store.reads import Reader
from runstone.store.sqlite import open as sqlite
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.testing.clock import FakeClock
from tests.store.test_plans import Explained


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        chance = random.Random(3)
        with ledger.start_run(run_id="r", parent=None) as run:
            for n in range(120):
                kind = chance.choice(["work.done", "work.begun", "worker.seen", "log.written", "tool"])
                if kind == "tool":
                    run.emit("tool.started", {"tool": "search", "call_id": str(n)})
                    run.emit("tool.completed", {"call_id": str(n)})
                else:
                    run.emit(kind, {"n": n}, importance=chance.choice([0, 1, 2]))
            run.usage(provider="p", model="m", input_tokens=1)
        with ledger.start_run(run_id="other", parent=None) as run:
            run.emit("work.done", {})
        yield ledger


def every(ledger: Ledger, order: str, **asked: Any) -> list[RunEvent]:
    """All events that are asked for, by small pages."""
    name = "after" if order == "asc" else "before"
    page = ledger.events("r", order=order, limit=7, **asked)
    seen = list(page)
    while page.next_cursor is not None:
        page = ledger.events("r", order=order, limit=7, **{**asked, name: page.next_cursor})
        seen += page
    return seen


TYPES: list[tuple[Any, Any]] = [
    (None, lambda kind: True),
    ("work.done", lambda kind: kind == "work.done"),
    ("work.", lambda kind: kind.startswith("work.")),
    (["tool.", "run.started"], lambda kind: kind.startswith("tool.") or kind == "run.started"),
    (["work.done", "work.done", "worker.seen"], lambda kind: kind in ("work.done", "worker.seen")),
    ("log.written", lambda kind: kind == "log.written"),
    (["usage.", "run."], lambda kind: kind.startswith(("usage.", "run."))),
    ("nothing.ever", lambda kind: False),
    ("nothing.", lambda kind: False),
]


@pytest.mark.parametrize("types", range(len(TYPES)))
@pytest.mark.parametrize("least", [None, 0, 1, 2])
def test_pages_are_those_of_all_that_fits(ledger: Ledger, types: int, least: int | None) -> None:
    everything = list(ledger.events("r", limit=1_000))
    asked, fits = TYPES[types]
    for after, before in itertools.product([0, 40], [None, 90]):
        wanted = [
            event
            for event in everything
            if fits(event.type) and event.importance >= (least or 0) and after < event.seq < (before or 10**6)
        ]
        more = {"types": asked, "min_importance": least, "after": after, "before": before}
        assert every(ledger, "asc", **more) == wanted
        assert every(ledger, "desc", **more) == wanted[::-1]


def test_more_types_than_are_read_one_by_one_are_looked_for_along_the_run(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = every(ledger, "desc", types="work.")
    monkeypatch.setattr(event_pages, "_ARMS", 1)
    assert every(ledger, "desc", types="work.") == wanted


@pytest.mark.parametrize(
    "bad",
    [{"after": -1}, {"after": True}, {"before": -1}, {"before": "5"}, {"order": "up"}, {"types": 5}, {"types": ["A"]},
     {"types": "*"}, {"types": "'"}, {"types": ["a.b"] * 51}, {"min_importance": 3}, {"limit": 0}, {"limit": 10_001}],
)  # fmt: skip
def test_what_is_no_page_of_events_is_refused(ledger: Ledger, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.events("r", **bad)
    with pytest.raises(NotFound):
        ledger.events("gone")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    ("asked", "index"),
    [({}, "(run=? AND seq>? AND seq<?)"), ({"types": "work.done"}, "events_by_type"),
     ({"types": "run."}, "events_by_type"), ({"types": "tool."}, "(run=? AND seq>? AND seq<?)"),
     ({"min_importance": 2}, "events_important"),
     ({"types": "work.done", "min_importance": 1}, "events_by_type")],
)  # fmt: skip
def test_a_page_of_events_goes_along_an_index(
    tmp_path: Path, asked: dict[str, Any], index: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.prepare(tmp_path / "ledger.db")
    explained = Explained(SQLiteDatabase(tmp_path / "ledger.db"))
    reader = Reader(lambda: explained, FakeClock())  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(reader.runs, "pk", lambda run_id: 1)
    monkeypatch.setattr(reader, "rows", lambda name, **params: [("run.created",), ("run.started",)])
    event_pages.page(reader, "r", order=order, after=3, before=900, **asked)
    assert all(
        index in step and "seq>? AND seq<?" in step for step in explained.plan if step.startswith("SEARCH e")
    ), explained.plan
    assert not [step for step in explained.plan if "TEMP B-TREE" in step or step.startswith("SCAN e")]
