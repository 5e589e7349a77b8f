"""Pages of trees and timelines: what is drawn of each run, level by level, in bounded time however large the tree."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain.records import TimelineRow
from runstone.domain.timeline import AttemptTimes, SpanTimes, shares, spans
from runstone.errors import InvalidCursor, InvalidInput, NotFound
from runstone.ledger import Ledger
from runstone.store import timelines
from runstone.testing.clock import FakeClock
from tests.lists import trees


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock, lease_s=1e6) as ledger:
        yield ledger


def parts(row: TimelineRow) -> list[tuple[Any, ...]]:
    """The spans of a row: kind, length in seconds, outcome."""
    return [(one.kind, one.end and (one.end - one.start).total_seconds(), one.outcome) for one in row.spans]


def test_a_later_look_is_told_what_changed_alone_and_all_that_the_end_waits_for(ledger: Ledger) -> None:
    with ledger.start_run(run_id="top", parent=None) as top, ledger.start_run(run_id="aside") as aside:
        middle = ledger.start_run(run_id="middle", parent=top)
        ended = ledger.start_run(run_id="ended", parent=middle)
        going = ledger.start_run(run_id="going", parent=middle)
        ended.complete().result()
        before = ledger.timeline("top")
        assert before.critical == ("top", "middle", "going")
        assert ledger.timeline("top", since=before.as_of).items == []
        aside.emit("work.done", {}).result()
        assert ledger.timeline("top", since=before.as_of).items == []
        going.complete().result()
        new = ledger.start_run(run_id="new", parent=middle)
        told = ledger.timeline("top", since=before.as_of)
        assert [row.run_id for row in told.items] == ["middle", "going", "new"]
        assert told.critical == ("top", "middle", "new")
        whole = {row.run_id: row for row in ledger.timeline("top").items}
        assert all(row == whole[row.run_id] for row in told.items)
        first = ledger.timeline("top", since=before.as_of, limit=2)
        rest = ledger.timeline("top", since=before.as_of, limit=2, cursor=first.next_cursor)
        assert [*first.items, *rest.items] == told.items
        assert rest.next_cursor is None
        assert [row.run_id for row in ledger.timeline("top", since=before.as_of, depth=1).items] == ["middle"]
        with pytest.raises(InvalidCursor):
            ledger.timeline("top", since=told.as_of, limit=2, cursor=first.next_cursor)
        new.complete().result()
        middle.complete().result()


def test_a_look_of_another_ledger_or_of_long_ago_is_told_all(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.start_run(run_id="top", parent=None) as top, ledger.start_run(run_id="below", parent=top):
        before = ledger.timeline("top").as_of
        epoch, _, position = before.rpartition("-")
        for old in ("other-1", f"{epoch}-{int(position) + 1}"):
            assert [row.run_id for row in ledger.timeline("top", since=old).items] == ["top", "below"]
        monkeypatch.setattr(timelines, "FRESH", 3)
        top.emit_many([("work.done", {})] * 4).result()
        assert len(ledger.timeline("top", since=before).items) == 2
        for bad in ("", "x", f"{epoch}-x", f"{epoch}-" + "9" * 19):
            with pytest.raises(InvalidCursor):
                ledger.timeline("top", since=bad)


def test_a_timeline_draws_attempts_what_lay_between_and_what_was_done(
    ledger: Ledger, clock: FakeClock
) -> None:
    with ledger.start_run(run_id="top", agent_id="lead", parent=None) as top:
        clock.advance(10)
        with ledger.start_run(run_id="short", parent=top) as short:
            clock.advance(5)
            short.emit("tool.started", {"tool": "grep", "call_id": "1"})
            short.emit("tool.completed", {"call_id": "1", "ok": False})
            clock.advance(5)
            short.emit("tool.completed", {"call_id": "2", "tool": "grep", "ok": True})
            clock.advance(10)
        run = ledger.start_run(run_id="long", parent=top)
        clock.advance(30)
        run.pause(state={"at": 1}, reason="lunch")
        clock.advance(60)
        run = ledger.continue_run("long")
        clock.advance(20)
        found = ledger.timeline("top", buckets=4)
        assert [row.run_id for row in found.items] == ["top", "short", "long"]
        rows = {row.run_id: row for row in found.items}
        assert parts(rows["top"]) == [("attempt", None, None)]
        assert parts(rows["short"]) == [("attempt", 20, "completed")]
        assert parts(rows["long"]) == [
            ("attempt", 30, "paused"),
            ("paused", 60, None),
            ("attempt", None, None),
        ]
        assert rows["long"].spans[1].reason == "lunch"
        assert [row.critical for row in found.items] == [True, False, True]
        busy = [
            ((a.start - rows["short"].start).total_seconds(), a.tool_calls, a.tool_failures)
            for a in rows["short"].activity
        ]
        assert busy == [(5, 1, 1), (10, 1, 0)]
        run.complete().result()
    assert found.end is None
    assert ledger.timeline("top").end is not None
    assert ledger.timeline("top", buckets=0).items[1].activity == ()


@pytest.mark.parametrize(
    ("attempts", "status", "ended", "told"),
    [
        ([], "pending", None, [("pending", 0, None)]),
        ([], "cancelled", 5, [("pending", 0, 5)]),
        ([(1, 2, None, None)], "running", None, [("pending", 0, 2), ("attempt", 2, None)]),
        ([(1, 0, 4, "waiting"), (2, 6, 9, "completed")], "completed", 9,
         [("attempt", 0, 4), ("waiting", 4, 6), ("attempt", 6, 9)]),
        ([(1, 0, 4, "failed"), (2, 6, 9, "completed")], "completed", 9,
         [("attempt", 0, 4), ("pending", 4, 6), ("attempt", 6, 9)]),
        ([(1, 0, 4, "interrupted")], "interrupted", None, [("attempt", 0, 4), ("interrupted", 4, None)]),
        ([(1, 0, 4, "awaiting_user")], "pending", None, [("attempt", 0, 4), ("pending", 4, None)]),
        ([(1, 0, 4, "paused")], "cancelled", 7, [("attempt", 0, 4), ("paused", 4, 7)]),
        ([(7, 9, 10, "completed")], "completed", 10, [("attempt", 9, 10)]),
    ],
)  # fmt: skip
def test_spans_follow_each_other_without_a_gap(
    attempts: list[tuple[int, int, int | None, str | None]], status: str, ended: int | None, told: list[Any]
) -> None:
    given = [AttemptTimes(number, begin, end, outcome, None) for number, begin, end, outcome in attempts]
    found: list[SpanTimes] = spans(0, given, status=status, reason=None, ended_at=ended)
    assert [(one.kind, one.start, one.end) for one in found] == told


def test_shares_leave_to_others_what_some_do_not_need() -> None:
    assert shares([1, 2, 3], 10) == [1, 2, 3]
    assert shares([1, 100, 100], 21) == [1, 10, 10]
    assert shares([5, 5], 0) == [0, 0]
    assert sum(shares([7, 90, 1, 33], 50)) <= 50


def test_of_very_many_attempts_and_events_the_newest_are_drawn_and_it_says_so(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timelines, "ATTEMPTS", 2)
    monkeypatch.setattr(timelines, "EVENTS", 4)
    with ledger.start_run(run_id="r", parent=None) as run:
        for n in range(9):
            run.emit("tool.completed", {"call_id": str(n), "tool": "grep", "ok": True})
    (row,) = ledger.timeline("r").items
    assert (row.partial, sum(one.tool_calls for one in row.activity)) == (True, 3)
    handle = ledger.start_run(run_id="s", parent=None)
    for _ in range(3):
        handle.pause(state={}, reason="again")
        handle = ledger.continue_run("s")
    (row,) = ledger.timeline("s").items
    assert (row.partial, [one.attempt for one in row.spans if one.attempt]) == (True, [3, 4])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder = tmp_path_factory.mktemp("large")
    trees.build(folder, 30_000)
    with runstone.open(folder, readonly=True) as ledger:
        yield ledger


def test_a_tree_of_thirty_thousand_runs_comes_in_pages_each_run_once_parents_first(large: Ledger) -> None:
    seen: list[str] = []
    page = large.tree_page("top", limit=1_000)
    while True:
        for row in page:
            assert row.run.parent_run_id in (None, *seen[:101]) or row.run.parent_run_id in set(seen)
            seen.append(row.run.id)
        if page.next_cursor is None:
            break
        page = large.tree_page("top", limit=1_000, cursor=page.next_cursor)
    assert len(seen) == len(set(seen)) == 30_001
    first = large.tree_page("top", depth=1).items
    assert [row.run.depth for row in first] == [0, *[1] * 100]
    assert (first[0].children, first[1].children) == (100, 299)
    below = large.tree_page(first[1].run.id, depth=1, limit=300)
    assert (len(below), below.next_cursor) == (300, None)
    with pytest.raises(InvalidCursor):
        large.tree_page("top", depth=1, cursor=large.tree_page("top", limit=5).next_cursor)


def test_a_timeline_of_thirty_thousand_runs_is_drawn_at_once(large: Ledger) -> None:
    large.timeline("top")
    began = time.perf_counter()
    first = large.timeline("top", limit=200)
    took = time.perf_counter() - began
    assert len(first.items) == 200
    assert [row.run_id for row in first.items if row.critical] == ["top", "run-00101"]
    assert first.items[1].activity
    assert took < 0.5


@pytest.mark.parametrize(
    "bad", [{"limit": 0}, {"limit": 1_001}, {"depth": -1}, {"depth": True}, {"cursor": "x"}, {"cursor": 5}]
)
def test_what_is_no_page_of_a_tree_is_refused(ledger: Ledger, bad: dict[str, Any]) -> None:
    with ledger.start_run(run_id="r", parent=None):
        pass
    for call in (ledger.tree_page, ledger.timeline):
        with pytest.raises((InvalidInput, InvalidCursor)):
            call("r", **bad)
        with pytest.raises(NotFound):
            call("gone")
    with pytest.raises(InvalidInput):
        ledger.timeline("r", buckets=101)
