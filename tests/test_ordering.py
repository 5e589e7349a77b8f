"""Order: events by seq, runs by created and updated, and the tail in commit order, whoever writes."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain.records import AgentRun, RunEvent
from runstone.errors import InvalidCursor, InvalidInput, NotFound
from runstone.ledger import Ledger
from runstone.testing.clock import FakeClock

WRITER = """
import sys, threading, runstone
path, name = sys.argv[1:]
with runstone.open(path) as ledger:
    def work(thread):
        with ledger.start_run(run_id=f"{name}-{thread}", labels={"by": name}) as run:
            for n in range(25):
                run.emit("work.done", {"n": n})
                if n % 5 == 0:
                    seen = ledger.events(run.id, limit=1000)
                    assert [e.seq for e in seen] == list(range(1, len(seen) + 1))
                    ledger.list_runs(limit=5)
                    ledger.get_run(run.id)
    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
"""


ONE_RUN = """
import sys, runstone
with runstone.open(sys.argv[1]) as ledger, ledger.start_run(run_id="theirs") as run:
    run.emit("work.done")
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock) as ledger:
        yield ledger


def all_events(ledger: Ledger, run_id: str, limit: int) -> list[RunEvent]:
    """Every event, page by page."""
    events: list[RunEvent] = []
    after: int | None = 0
    while after is not None:
        page = ledger.events(run_id, after=after, limit=limit)
        events += page.items
        after = page.next_cursor
    return events


def all_runs(ledger: Ledger, **more: Any) -> list[str]:
    """Every run's id, page by page."""
    found: list[AgentRun] = []
    cursor = None
    while True:
        page = ledger.list_runs(cursor=cursor, **more)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return [run.id for run in found]


def test_four_threads_of_two_processes_append_list_and_get(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        tail = ledger.tail(after=f"{ledger.reader.events.epoch()}-0", timeout=1.0)
        processes = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in ("one", "two")
        ]
        assert [process.wait(60) for process in processes] == [0, 0]
        runs = all_runs(ledger, limit=3, sort="created", order="asc")
        assert sorted(runs) == sorted(f"{name}-{thread}" for name in ("one", "two") for thread in range(4))
        seen = list(tail)
        assert [e.position for e in seen] == sorted({e.position for e in seen})
        for run_id in runs:
            events = all_events(ledger, run_id, limit=7)
            assert [e.seq for e in events] == list(range(1, 29))
            assert [e.payload["n"] for e in events if e.type == "work.done"] == list(range(25))
            assert events == [e for e in seen if e.run_id == run_id]
        assert ledger.care.verify() == []


@pytest.mark.parametrize(
    ("after", "limit", "seqs", "cursor"),
    [
        (0, 1, [1], 1), (0, 4, [1, 2, 3, 4], 4), (0, 5, [1, 2, 3, 4, 5], None), (0, 100, [1, 2, 3, 4, 5], None),
        (1, 1, [2], 2), (3, 2, [4, 5], None), (4, 1, [5], None), (4, 10_000, [5], None), (5, 1, [], None),
        (6, 3, [], None), (2**63, 1, [], None), (10**30, 1, [], None),
    ],
)  # fmt: skip
def test_the_edges_of_after_and_limit(
    ledger: Ledger, after: int, limit: int, seqs: list[int], cursor: int | None
) -> None:
    run = ledger.start_run()
    run.emit_many([("work.done", {})] * 3).result()
    page = ledger.events(run.id, after=after, limit=limit)
    assert ([e.seq for e in page], page.next_cursor) == (seqs, cursor)


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 10_001},
        {"limit": True},
        {"after": -1},
        {"after": "1"},
        {"after": 1.0},
    ],
)
def test_what_is_no_page_of_events_is_refused(ledger: Ledger, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.events(ledger.start_run().id, **bad)


def test_events_of_nobody_are_not_an_empty_list(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        ledger.events("nobody")


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["created", "updated"])
def test_equal_times_are_in_a_stable_order(ledger: Ledger, clock: FakeClock, sort: str, order: str) -> None:
    ids, keep = [], []
    for step in range(4):
        held = [ledger.start_run(run_id=f"{step}-{n}") for n in range(5)]
        keep += held
        ids += [run.id for run in held]
        clock.advance(2)
    expected = ids if order == "asc" else ids[::-1]
    for limit in (1, 3, 20, 1_000):
        assert all_runs(ledger, sort=sort, order=order, limit=limit) == expected


def test_runs_by_updated_follow_their_events(ledger: Ledger, clock: FakeClock) -> None:
    runs = [ledger.start_run(run_id=str(n)) for n in range(3)]
    clock.advance(5)
    runs[1].emit("work.done").result()
    assert [run.id for run in ledger.list_runs()] == ["1", "2", "0"]
    clock.advance(5)
    runs[0].emit("work.done").result()
    assert [run.id for run in ledger.list_runs()] == ["0", "1", "2"]
    assert [run.id for run in ledger.list_runs(sort="created")] == ["2", "1", "0"]


def test_pages_neither_skip_nor_repeat_a_run_that_does_not_change(ledger: Ledger, clock: FakeClock) -> None:
    """An offset would: rows move up while others are updated."""
    runs = []
    for n in range(20):
        runs.append(ledger.start_run(run_id=f"{n:02}"))
        clock.advance(2)
    page = ledger.list_runs(limit=5)
    seen = [run.id for run in page]
    moving = {"03", "11", "19"}
    while page.next_cursor is not None:
        for run_id in moving:
            runs[int(run_id)].emit("work.done").result()
        runs.append(ledger.start_run(run_id=f"new-{len(seen)}"))
        clock.advance(2)
        page = ledger.list_runs(limit=5, cursor=page.next_cursor)
        seen += [run.id for run in page]
    still = [run_id for run_id in seen if run_id not in moving]
    assert still == [f"{n:02}" for n in reversed(range(20)) if f"{n:02}" not in moving]
    assert len(seen) == len(set(seen))


def test_a_cursor_belongs_to_its_filters_and_order(ledger: Ledger) -> None:
    held = [ledger.start_run(run_id=str(n), agent_id="a") for n in range(4)]
    cursor = ledger.list_runs(agent_id="a", limit=2).next_cursor
    assert [r.id for r in ledger.list_runs(agent_id=["a"], limit=2, cursor=cursor)] == ["1", "0"]
    assert [r.id for r in ledger.list_runs(agent_id=(name for name in "a"), limit=2, cursor=cursor)] == [
        "1",
        "0",
    ]
    for other in ({}, {"agent_id": "b"}, {"agent_id": "a", "order": "asc"}, {"agent_id": "a", "sort": "created"},
                  {"agent_id": "a", "kind": "subagent"}, {"agent_id": "a", "superseded": False}):  # fmt: skip
        with pytest.raises(InvalidCursor):
            ledger.list_runs(cursor=cursor, **other)
    assert len(held) == 4


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!", "YQ", "YS5iLmM", "ä", 5, b"x", "YS45OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4x"]
)
def test_what_is_no_cursor_is_refused(ledger: Ledger, cursor: Any) -> None:
    with pytest.raises(InvalidCursor):
        ledger.list_runs(cursor=cursor)


@pytest.mark.parametrize(
    "bad",
    [{"limit": 0}, {"limit": 1_001}, {"limit": True}, {"sort": "title"}, {"order": "up"}, {"status": "dead"},
     {"bucket": "x"}, {"colour": "red"}, {"kind": 5}, {"kind": [5]}, {"kind": ["x"] * 201}],
)  # fmt: skip
def test_what_is_no_list_of_runs_is_refused(ledger: Ledger, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.list_runs(**bad)


# --- the tail -------------------------------------------------------------------------------------------------


def test_the_tail_gives_each_event_once_and_goes_on_from_any_cursor(ledger: Ledger) -> None:
    start = ledger.cursor()
    run = ledger.start_run()
    run.emit_many([("work.done", {"n": n}) for n in range(600)]).result()  # more than a page
    whole = list(ledger.tail(after=start, timeout=0))
    assert [e.seq for e in whole] == list(range(1, 603))
    assert all(a.position < b.position for a, b in pairwise(whole))
    for stop in (1, 250, 499, 500, 501, 602):
        tail = ledger.tail(after=start, timeout=0)
        first = [event for event, _ in zip(tail, range(stop), strict=False)]
        assert first == whole[:stop]
        assert (
            list(ledger.tail(after=f"{ledger.reader.events.epoch()}-{first[-1].position}", timeout=0))
            == whole[stop:]
        )


def test_the_cursor_is_that_of_the_event_that_was_given_out(ledger: Ledger) -> None:
    tail = ledger.tail(timeout=0)
    run = ledger.start_run()
    run.emit_many([("work.done", {})] * 5).result()
    for event in tail:
        assert tail.cursor == f"{ledger.reader.events.epoch()}-{event.position}"
        if event.seq == 3:
            break
    assert [e.seq for e in ledger.tail(after=tail.cursor, timeout=0)] == [4, 5, 6, 7]
    assert [e.seq for e in tail] == [4, 5, 6, 7]
    assert not run.stopping


def test_without_a_cursor_the_tail_begins_now_and_a_filter_shows_one_run(ledger: Ledger) -> None:
    run, other = ledger.start_run(), ledger.start_run()
    tail, one = ledger.tail(timeout=0), ledger.tail(timeout=0, run_id=run.id)
    other.emit_many([("work.done", {})] * 600).result()
    run.emit("work.done").result()
    assert len(list(tail)) == 601
    assert [(e.run_id, e.seq) for e in one] == [(run.id, 3)]


def test_a_foreign_cursor_gives_a_reset_and_then_all(ledger: Ledger) -> None:
    run = ledger.start_run()
    epoch = ledger.reader.events.epoch()
    for cursor in ("00000000-1", f"{epoch}-999999"):
        events = list(ledger.tail(after=cursor, timeout=0))
        assert [e.type for e in events] == ["ledger.reset", "run.created", "run.started"]
        assert events[0].payload["cursor"] == cursor
    assert not run.stopping
    for bad in ("", "x", "-", f"{epoch}-", f"{epoch}-x", f"{epoch}-{10**30}", None if False else 5):
        with pytest.raises(InvalidCursor):
            ledger.tail(after=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("care", ["prune", "remove"])
def test_events_that_were_removed_are_a_gap_and_never_silence(ledger: Ledger, care: str) -> None:
    start = ledger.cursor()
    with ledger.start_run(run_id="old") as run:
        run.emit("work.done")
    between = ledger.cursor()
    new = ledger.start_run(run_id="new")
    getattr(ledger.care, care)("old")
    assert not new.stopping
    events = list(ledger.tail(after=start, timeout=0))
    removed = ledger.reader.events.removed_up_to()
    assert events[0].type == "ledger.gap"
    assert events[0].payload == {"after": 0, "removed_up_to": removed}
    tombstone = [("old", "run.pruned")] if care == "prune" else []
    assert [(e.run_id, e.type) for e in events[1:]] == [
        ("new", "run.created"),
        ("new", "run.started"),
        *tombstone,
    ]
    # After this cursor came nothing but the tombstone, and one write took the run away without any.
    assert [e.type for e in ledger.tail(after=between, timeout=0)][:1] == ["run.created"]
    assert [e.type for e in ledger.tail(after=ledger.cursor(), timeout=0)] == []


def test_others_writes_arrive(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        tail = ledger.tail(timeout=30)
        process = subprocess.Popen([sys.executable, "-c", ONE_RUN, str(tmp_path)])
        seen = []
        for event in tail:
            seen.append(event.type)
            if event.type == "run.completed":
                break
        assert process.wait(30) == 0
        assert seen == ["run.created", "run.started", "work.done", "run.completed"]


def test_an_async_tail_gives_the_same_and_ends_in_time(ledger: Ledger) -> None:
    async def follow() -> list[int]:
        tail = ledger.tail(after=f"{ledger.reader.events.epoch()}-0", timeout=5)
        writing = asyncio.create_task(write())
        seen = []
        async for event in tail:
            seen.append(event.seq)
            if event.type == "run.completed":
                break
        await writing
        assert [e async for e in ledger.tail(after=tail.cursor, timeout=0)] == []
        return seen

    async def write() -> None:
        async with ledger.start_run() as run:
            for _ in range(10):
                await run.emit("work.done")

    assert asyncio.run(follow()) == list(range(1, 14))


def test_leaving_a_tail_early_leaves_nothing_behind(ledger: Ledger) -> None:
    run = ledger.start_run()
    run.emit_many([("work.done", {})] * 10).result()
    before = len(ledger.signals._waiters)
    for _ in range(20):
        for _event in ledger.tail(after=f"{ledger.reader.events.epoch()}-0"):
            break
    assert len(ledger.signals._waiters) == before

    async def leave() -> None:
        async for _event in ledger.tail(after=f"{ledger.reader.events.epoch()}-0"):
            break

    asyncio.run(leave())
    assert len(ledger.signals._waiters) == before
    assert not run.stopping


def test_a_timeout_counts_from_the_last_event_that_was_shown(ledger: Ledger) -> None:
    """Other runs' events must not keep a filtered tail waiting for ever."""
    run, other = ledger.start_run(), ledger.start_run()
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            other.update(title="x").result()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert list(ledger.tail(timeout=0.3, run_id=run.id)) == []
    finally:
        stop.set()
        thread.join()
