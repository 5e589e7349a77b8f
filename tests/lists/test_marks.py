"""Pins and the archive: set by people, kept as events, and no sign of life of the run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import runstone
from runstone.care.repair import repair
from runstone.errors import InvalidInput, NotFound
from runstone.ledger import Ledger
from runstone.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path / "here", clock=clock) as ledger:
        yield ledger


def test_a_mark_is_an_event_that_leaves_the_last_change_as_it_was(ledger: Ledger, clock: FakeClock) -> None:
    with ledger.start_run(run_id="r", parent=None):
        pass
    before = ledger.get_run("r")
    clock.advance(1_000)
    marked = ledger.update_run("r", pinned=True, archived=True)
    assert (marked.pinned, marked.archived, marked.updated_at) == (True, True, before.updated_at)
    last = ledger.events("r").items[-1]
    assert (last.type, last.payload) == ("run.marked", {"pinned": True, "archived": True})
    back = ledger.update_run("r", archived=False)
    assert (back.pinned, back.archived) == (True, False)
    assert ledger.care.verify() == []


def test_a_mark_that_is_set_already_writes_nothing(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r", parent=None):
        pass
    ledger.update_run("r", pinned=True)
    count = len(ledger.events("r"))
    assert ledger.update_run("r", pinned=True, archived=False).pinned
    assert len(ledger.events("r")) == count
    ledger.update_run("r", pinned=True, title="Another")
    assert [event.type for event in ledger.events("r")][count:] == ["run.updated"]


def test_what_was_put_away_is_out_of_lists_and_counts_and_can_be_reached(ledger: Ledger) -> None:
    for name in ("kept", "away"):
        with ledger.start_run(run_id=name, parent=None):
            pass
    ledger.update_run("away", archived=True)
    assert [run.id for run in ledger.list_runs()] == ["kept"]
    assert ledger.counts()["completed"] == 1
    assert [run.id for run in ledger.list_runs(archived=True)] == ["away"]
    assert [run.id for run in ledger.list_runs(archived=None)] == ["away", "kept"]
    assert ledger.get_run("away").archived
    ledger.update_run("away", archived=False)
    assert ledger.counts()["completed"] == 2


def test_marks_go_with_an_export_and_older_exports_have_none(ledger: Ledger, tmp_path: Path) -> None:
    for name in ("plain", "marked"):
        with ledger.start_run(run_id=name, parent=None):
            pass
    ledger.update_run("marked", pinned=True, archived=True)
    ledger.care.export(tmp_path / "all.jsonl")
    with runstone.open(tmp_path / "there") as there:
        there.care.import_(tmp_path / "all.jsonl")
        found = there.list_runs(archived=None, sort="created", order="asc")
        marks = [(run.id, run.pinned, run.archived) for run in found]
        assert marks == [("plain", False, False), ("marked", True, True)]
        assert there.care.verify() == []


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ("UPDATE runs SET archived = 1", "archived is 1"),
        ("UPDATE runs SET pinned = 0", "pinned is 0"),
        ("DELETE FROM labels WHERE value = 'web'", "label team of run r is not found"),
        ("INSERT INTO labels SELECT 'team', 'other', id FROM runs", "label team of run r is not found"),
        ("UPDATE runs SET cost_picousd = 5", "the cost that run r is sorted by"),
    ],
)
def test_verify_sees_marks_labels_and_costs_that_the_events_do_not_bear_out(
    ledger: Ledger, lie: str, told: str
) -> None:
    with ledger.start_run(run_id="r", parent=None, labels={"team": "web"}) as run:
        run.usage(provider="p", model="m", input_tokens=5, cost_usd=0.5, request_id="q")
    ledger.update_run("r", pinned=True)
    assert ledger.care.verify() == []
    db = apsw.Connection(str(ledger.workspace.database))
    db.execute(lie)
    db.close()
    found = ledger.care.verify()
    assert [finding for finding in found if told in finding.text]
    ledger.close()
    mended = repair(ledger.workspace, backup=False)
    assert mended.left == []
    assert [one.repaired for one in mended.findings] == [True] * len(found)


def test_labels_are_found_as_they_are_now(ledger: Ledger) -> None:
    with ledger.start_run(run_id="r", parent=None, labels={"team": "web", "stage": "1"}):
        pass
    ledger.update_run("r", labels={"team": "search"})
    assert not ledger.list_runs(labels={"team": "web"}).items
    assert not ledger.list_runs(labels={"stage": "1"}).items
    assert [run.id for run in ledger.list_runs(labels={"team": "search"})] == ["r"]
    ledger.care.remove("r")
    assert not ledger.reader.runs.keys("label_keys", "TRUE")
    assert ledger.care.verify() == []


@pytest.mark.parametrize("bad", [1, "yes", []])
def test_what_is_no_mark_is_refused(ledger: Ledger, bad: Any) -> None:
    with pytest.raises(InvalidInput):
        ledger.update_run("r", pinned=bad)
    with pytest.raises(NotFound):
        ledger.update_run("r", pinned=True)
