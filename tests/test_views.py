"""Saved views and what viewers have seen: kept in the ledger, changed at a revision only, checked before."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.errors import (
    InvalidCursor,
    InvalidExport,
    InvalidInput,
    NotFound,
    RevisionConflict,
    ValueTooLarge,
)
from runstone.ledger import Ledger
from runstone.store.writes import views
from runstone.testing.clock import FakeClock


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path / "here") as ledger:
        yield ledger


def test_a_view_lists_what_its_filters_list(ledger: Ledger, tmp_path: Path) -> None:
    for n in range(4):
        with ledger.start_run(run_id=str(n), agent_id=f"a{n % 2}", labels={"team": "web"}, parent=None):
            pass
    filters = {
        "agent_id": ["a1"], "labels": {"team": ["web", "x"]}, "archived": None, "pinned": False, "q": None,
        "created_from": datetime(2020, 1, 1, tzinfo=UTC), "ended_to": "2100-01-01T00:00:00Z",
    }  # fmt: skip
    made = ledger.views.put(
        " Mine ", filters, sort="cost", order="asc", grouping="label:team", default=True, view_id="v"
    )
    assert (made.id, made.name, made.revision, made.default) == ("v", "Mine", 1, True)
    assert made.filters["created_from"] == "2020-01-01T00:00:00+00:00"
    assert "q" not in made.filters
    ledger.close()
    with runstone.open(tmp_path / "here", readonly=True) as again:
        assert again.views.list() == [made]
        page = again.list_runs(sort=made.sort, order=made.order, **again.views.get("v").filters)
        assert {run.id for run in page} == {"1", "3"}


def test_of_two_who_change_a_view_the_second_is_told(ledger: Ledger) -> None:
    first = ledger.views.put("Failed", {"status": "failed"})
    second = ledger.views.put("Failed", {"status": ["failed"]}, view_id=first.id, revision=1)
    assert (second.revision, second.created_at) == (2, first.created_at)
    for revision in (1, 3, None):
        with pytest.raises(RevisionConflict):
            ledger.views.put("Other", {}, view_id=first.id, revision=revision)
    with pytest.raises(RevisionConflict):
        ledger.views.delete(first.id, revision=1)
    assert ledger.views.get(first.id) == second
    ledger.views.delete(first.id, revision=2)
    for call in (lambda: ledger.views.get(first.id), lambda: ledger.views.delete(first.id),
                 lambda: ledger.views.put("X", {}, view_id=first.id, revision=2)):  # fmt: skip
        with pytest.raises(NotFound):
            call()


def test_one_view_is_the_default(ledger: Ledger) -> None:
    first = ledger.views.put("One", {}, default=True)
    second = ledger.views.put("Two", {}, default=True)
    assert [view.default for view in ledger.views.list()] == [False, True]
    ledger.views.put("One", {}, default=True, view_id=first.id, revision=1)
    ledger.views.put("One", {}, default=False, view_id=first.id, revision=2)
    assert [view.default for view in ledger.views.list()] == [False, False]
    ledger.views.delete(second.id)
    assert ledger.care.verify() == []


def test_there_are_so_many_views_and_no_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "VIEWS_MAX", 3)
    made = [ledger.views.put(str(n), {}) for n in range(3)]
    with pytest.raises(InvalidInput, match="there are 3 views"):
        ledger.views.put("4", {})
    ledger.views.put("new name", {}, view_id=made[0].id, revision=1)
    ledger.views.delete(made[1].id)
    ledger.views.put("4", {})
    with pytest.raises(InvalidInput, match="there is a view 4"):
        ledger.views.put("4", {}, view_id=made[0].id, revision=2)


@pytest.mark.parametrize(
    "bad",
    [{"name": ""}, {"name": " "}, {"name": "a\nb"}, {"name": 5}, {"name": "n" * 201}, {"filters": []},
     {"filters": {"x": "y"}},
     {"filters": {"status": "dead"}}, {"filters": {"created_from": "soon"}}, {"filters": {"q": 5}}, {"sort": "title"},
     {"order": "up"}, {"grouping": "colour"}, {"grouping": "label:"}, {"grouping": 5}, {"default": 1},
     {"view_id": "a/b"},
     {"revision": 1}, {"view_id": "v", "revision": True}],
)  # fmt: skip
def test_what_is_no_view_is_refused(ledger: Ledger, bad: dict[str, Any]) -> None:
    asked = {"name": "Mine", "filters": {}, **bad}
    with pytest.raises(InvalidInput):
        ledger.views.put(asked.pop("name"), asked.pop("filters"), **asked)
    assert ledger.views.list() == []


def test_a_viewer_has_seen_up_to_a_position_and_never_less(ledger: Ledger) -> None:
    assert ledger.views.seen("ana") is None
    start = ledger.cursor()
    with ledger.start_run(run_id="r", parent=None):
        pass
    seen = ledger.views.mark_seen("ana")
    assert seen.cursor == ledger.cursor()
    assert ledger.views.mark_seen("ana", start).cursor == seen.cursor
    assert ledger.views.seen("ben") is None
    with ledger.start_run(run_id="after", parent=None):
        pass
    assert {event.run_id for event in ledger.tail(seen.cursor, timeout=0)} == {"after"}
    epoch = seen.cursor.rpartition("-")[0]
    for cursor in ("x-1", f"{epoch}-999999", f"{epoch}--1", "", "1", 5):
        with pytest.raises(InvalidCursor):
            ledger.views.mark_seen("ana", cursor)  # type: ignore[arg-type]
    for viewer in ("no spaces please", "", "\N{PILE OF POO}" * 51):
        with pytest.raises((InvalidInput, ValueTooLarge)):
            ledger.views.mark_seen(viewer)


def test_views_go_with_an_export_of_everything_and_what_is_here_stays(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.start_run(run_id="r", parent=None):
        pass
    for name in ("One", "Two", "Three"):
        ledger.views.put(name, {"status": "failed"}, view_id=name.lower(), default=name == "One")
    ledger.care.export(tmp_path / "all.jsonl")
    ledger.care.export(tmp_path / "one.jsonl", ["r"])
    assert b'"view"' not in (tmp_path / "one.jsonl").read_bytes()
    with runstone.open(tmp_path / "there") as there:
        mine = there.views.put("Two", {}, default=True)
        there.views.put("another name", {}, view_id="three")
        for _ in range(2):
            there.care.import_(tmp_path / "all.jsonl")
            found = {view.id: (view.name, view.filters, view.default) for view in there.views.list()}
            assert found == {
                mine.id: ("Two", {}, True), "three": ("another name", {}, False),
                "one": ("One", {"status": "failed"}, False),
            }  # fmt: skip


def test_an_export_with_a_view_that_nobody_can_have_saved_changes_nothing(
    ledger: Ledger, tmp_path: Path
) -> None:
    import hashlib

    ledger.views.put("One", {"status": "failed"})
    ledger.care.export(tmp_path / "all.jsonl")
    head, *rest, end = (tmp_path / "all.jsonl").read_bytes().splitlines(keepends=True)
    rest = [line.replace(b'"status":"failed"', b'"status":"undead"') for line in rest]
    digest = hashlib.sha256(b"".join(rest)).hexdigest().encode()
    known = hashlib.sha256(
        b"".join((tmp_path / "all.jsonl").read_bytes().splitlines(keepends=True)[1:-1])
    ).hexdigest()
    (tmp_path / "bad.jsonl").write_bytes(b"".join([head, *rest, end.replace(known.encode(), digest)]))
    with runstone.open(tmp_path / "there") as there:
        with pytest.raises(InvalidExport, match="filters"):
            there.care.import_(tmp_path / "bad.jsonl")
        assert there.views.list() == []


def test_a_visit_begins_after_a_pause_and_keeps_when_the_one_before_ended(tmp_path: Path) -> None:
    clock = FakeClock()
    with runstone.open(tmp_path / "there", clock=clock) as ledger:
        first = ledger.views.mark_seen("ana")
        assert first.before_at is None
        clock.advance(60)
        with ledger.start_run(run_id="one", parent=None):
            pass
        second = ledger.views.mark_seen("ana")
        assert (second.at - first.at, second.before_at) == (timedelta(seconds=60), None)
        clock.advance(3600)  # nothing happens meanwhile: that they come back is noted all the same
        third = ledger.views.mark_seen("ana")
        assert (third.cursor, third.before_at) == (second.cursor, second.at)
        clock.advance(60)
        with ledger.start_run(run_id="two", parent=None):
            pass
        fourth = ledger.views.mark_seen("ana")
        assert (fourth.at > third.at, fourth.before_at) == (True, second.at)
