"""What a list is asked for: labels, times, words, marks and orders, against a plain look at all runs."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain.records import AgentRun
from runstone.errors import InvalidCursor, InvalidInput
from runstone.ledger import Ledger
from runstone.store.lists import candidates, counts
from runstone.testing.clock import FakeClock

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock, lease_s=1e6) as ledger:
        yield ledger


@pytest.fixture
def forty(ledger: Ledger, clock: FakeClock) -> Iterator[list[AgentRun]]:
    """Forty runs of all kinds of ends, labels and costs; some were put away."""
    chance = random.Random(7)
    handles = []  # kept: a lost one's run is interrupted at a moment that nobody chose
    for n in range(40):
        run = ledger.start_run(
            run_id=f"r{n:02}", agent_id=f"a{n % 3}", parent=None, title=f"Look at {'file' if n % 4 else 'page'} {n}",
            labels={"team": "search" if n % 2 else "web", "stage": f"s{n % 5}"},
        )  # fmt: skip
        handles.append(run)
        clock.advance(chance.choice([1, 2, 60]))
        if n % 3 == 0:
            run.usage(provider="p", model="m", input_tokens=5, cost_usd=chance.random(), request_id=f"q{n}")
        if n % 7 == 0:
            run.usage(provider="p", model="x", input_tokens=5, request_id=f"u{n}")
        if n % 5 == 0:
            run.pause(state=None, reason="later")
        elif n % 5 == 1:
            run.fail(ValueError(f"cannot find page {n}")).result()
        elif n % 5 != 2 or n < 20:
            run.complete(summary=f"found {n}").result()
        if n % 8 == 3:
            ledger.update_run(run.id, archived=True)
        if n % 11 == 4:
            ledger.update_run(run.id, pinned=True)
    yield [ledger.get_run(f"r{n:02}") for n in range(40)]
    del handles


def every(ledger: Ledger, **asked: Any) -> list[str]:
    """All ids of a list, by small pages."""
    seen: list[str] = []
    page = ledger.list_runs(limit=7, **asked)
    while True:
        seen += [run.id for run in page]
        if page.next_cursor is None:
            return seen
        page = ledger.list_runs(limit=7, cursor=page.next_cursor, **asked)


def value(ledger: Ledger, run: AgentRun, sort: str) -> Any:
    """What a run is sorted by, from its record and its telemetry; None comes last."""
    if sort == "cost":
        spent = ledger.telemetry(run.id).subtree
        return spent.cost_picousd if spent.requests > spent.unknown_costs else None
    if sort == "duration":
        return None if run.completed_at is None else run.completed_at - (run.started_at or run.completed_at)
    return {"updated": run.updated_at, "created": run.created_at, "ended": run.completed_at}[sort]


def ordered(ledger: Ledger, runs: list[AgentRun], sort: str, order: str) -> list[str]:
    place = {run.id: n for n, run in enumerate(sorted(runs, key=lambda run: run.created_at))}
    down = order == "desc"
    known = [run for run in runs if value(ledger, run, sort) is not None]
    known.sort(key=lambda run: (value(ledger, run, sort), place[run.id]), reverse=down)
    rest = sorted((run for run in runs if run not in known), key=lambda run: place[run.id], reverse=down)
    return [run.id for run in known + rest]


ASKED: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda run: not run.archived),
    ({"archived": True}, lambda run: run.archived),
    ({"archived": None}, lambda run: True),
    ({"pinned": True}, lambda run: run.pinned and not run.archived),
    ({"pinned": False, "archived": None}, lambda run: not run.pinned),
    ({"labels": {"team": "web"}}, lambda run: run.labels["team"] == "web" and not run.archived),
    ({"labels": {"team": "search", "stage": ["s1", "s4", "s4"]}},
     lambda run: run.labels["team"] == "search" and run.labels["stage"] in ("s1", "s4") and not run.archived),
    ({"agent_id": "a1", "status": ["failed", "running"]},
     lambda run: run.agent_id == "a1" and run.status in ("failed", "running") and not run.archived),
    ({"bucket": ["completed", "needs_input"], "labels": {"team": "web"}},
     lambda run: run.status == "completed" and run.labels["team"] == "web" and not run.archived),
    ({"q": "page"}, lambda run: ("page" in (run.title or "") or run.status == "failed") and not run.archived),
    ({"q": "FOUND", "agent_id": "a2"}, lambda run: run.summary and run.agent_id == "a2" and not run.archived),
]  # fmt: skip


@pytest.mark.parametrize("few", [0, 3, candidates.FEW])
@pytest.mark.parametrize("asked", range(len(ASKED)))
def test_a_list_has_what_fits_in_its_order_however_it_is_found(
    ledger: Ledger, forty: list[AgentRun], asked: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many candidates are found by a walk along the order, few by a look at each: the same runs in the same order."""
    monkeypatch.setattr(candidates, "FEW", few)
    filters, fits = ASKED[asked]
    wanted = [run for run in forty if fits(run)]
    assert len(wanted) > 0
    for sort, order in itertools.product(runstone.store.lists.SORTS, ("asc", "desc")):
        assert every(ledger, sort=sort, order=order, **filters) == ordered(ledger, wanted, sort, order), sort


@pytest.mark.parametrize("asked", range(len(ASKED)))
def test_counts_honour_the_filters_of_lists(ledger: Ledger, forty: list[AgentRun], asked: int) -> None:
    filters, _ = ASKED[asked]
    rest = {name: one for name, one in filters.items() if name not in ("status", "bucket")}
    counted = ledger.counts(**filters)
    assert counted.complete
    assert counted == {bucket: len(every(ledger, bucket=bucket, **rest)) for bucket in counted}


def test_times_are_from_and_up_to_but_not_with(ledger: Ledger, forty: list[AgentRun]) -> None:
    shown = [run for run in forty if not run.archived]
    for about, column in (("created", "created_at"), ("updated", "updated_at"), ("ended", "completed_at")):
        times = sorted(one for run in shown if (one := getattr(run, column)))
        begin, end = times[5], times[-4]
        wanted = [run for run in shown if begin <= (getattr(run, column) or _NEVER) < end]
        asked: dict[str, Any] = {f"{about}_from": begin, f"{about}_to": end}
        for sort in runstone.store.lists.SORTS:
            assert every(ledger, sort=sort, **asked) == ordered(ledger, wanted, sort, "desc"), (about, sort)
        assert sum(ledger.counts(**asked).values()) == len(wanted)
    day = forty[0].created_at.date()
    assert every(ledger, created_to=day) == []
    assert len(every(ledger, created_from=day, created_to=day + timedelta(days=2))) == len(shown)


def test_a_run_that_has_not_ended_has_no_duration_and_an_unknown_cost_is_never_nought(
    ledger: Ledger, clock: FakeClock
) -> None:
    for n, cost in enumerate([0.5, 0.0, None]):
        with ledger.start_run(run_id=str(n), parent=None) as run:
            run.usage(provider="p", model="m", input_tokens=5, cost_usd=cost, request_id=f"q{n}")
            clock.advance(n)
    working = ledger.start_run(run_id="working", parent=None)
    clock.advance(100)
    assert every(ledger, sort="cost") == ["0", "1", "working", "2"]
    assert every(ledger, sort="cost", order="asc") == ["1", "0", "2", "working"]
    assert every(ledger, sort="duration") == ["2", "1", "0", "working"]
    assert every(ledger, sort="ended", order="asc") == ["0", "1", "2", "working"]
    with ledger.start_run(run_id="below", parent=working) as child:
        child.usage(provider="p", model="m", input_tokens=5, cost_usd=2, request_id="b")
    assert every(ledger, sort="cost", depth="0") == ["working", "0", "1", "2"]
    assert ledger.care.verify() == []


def test_a_search_turns_the_pages_of_what_it_had_found_first(ledger: Ledger) -> None:
    """A text that comes later moves no run in or out between two pages."""
    for n in range(9):
        ledger.start_run(run_id=f"r{n}", title=f"look {n}", parent=None).complete().result()
    first = ledger.list_runs(q="look", sort="created", limit=4)
    ledger.start_run(run_id="later", title="look again", parent=None).complete().result()
    ledger.update_run("r0", title="something else")
    rest = ledger.list_runs(q="look", sort="created", limit=9, cursor=first.next_cursor)
    assert [run.id for run in [*first, *rest]] == [f"r{n}" for n in reversed(range(1, 9))]
    assert [run.id for run in ledger.list_runs(q="look", limit=1, sort="created")] == ["later"]


def test_a_word_of_very_many_texts_finds_the_newest_and_says_so(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(9):
        ledger.start_run(run_id=f"r{n}", title=f"look {n}", parent=None).complete().result()
    monkeypatch.setattr(candidates, "TEXTS", 5)
    assert every(ledger, q="look", sort="created", order="asc") == [f"r{n}" for n in range(4, 9)]
    counted = ledger.counts(q="look")
    assert (counted["completed"], counted.complete) == (5, False)
    assert ledger.counts(q="3").complete


def test_a_count_that_stops_says_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(9):
        ledger.start_run(run_id=f"r{n}", agent_id="a", parent=None).complete().result()
    assert ledger.counts(agent_id="a").complete
    monkeypatch.setattr(counts, "MOST", 5)
    counted = ledger.counts(agent_id="a")
    assert (counted["completed"], counted.complete) == (5, False)
    counted = ledger.counts()  # an index holds it
    assert (counted["completed"], counted.complete) == (9, True)


def test_a_page_tells_the_moment_that_it_shows(ledger: Ledger) -> None:
    ledger.start_run(run_id="before", parent=None).complete().result()
    page = ledger.list_runs()
    counted = ledger.counts()
    with ledger.start_run(run_id="after", parent=None):
        pass
    assert page.as_of == counted.as_of
    assert {event.run_id for event in ledger.tail(page.as_of, timeout=0)} == {"after"}


def test_a_cursor_is_bound_to_labels_times_words_and_marks(ledger: Ledger) -> None:
    for n in range(4):
        ledger.start_run(run_id=str(n), labels={"a": "b"}, title="look", parent=None).complete().result()
    asked: list[dict[str, Any]] = [
        {}, {"labels": {"a": "b"}}, {"labels": {"a": ["b", "c"]}}, {"q": "look"}, {"q": "loo"}, {"archived": None},
        {"pinned": False}, {"created_from": date(2000, 1, 1)}, {"created_from": date(2001, 1, 1)},
        {"ended_from": date(2000, 1, 1)}, {"sort": "cost"}, {"sort": "duration"},
    ]  # fmt: skip
    cursors = [ledger.list_runs(limit=2, **one).next_cursor for one in asked]
    for (n, one), (m, cursor) in itertools.product(enumerate(asked), enumerate(cursors)):
        if n == m and cursor is not None:
            assert len(ledger.list_runs(limit=2, cursor=cursor, **one)) == 2
        elif cursor is not None:
            with pytest.raises(InvalidCursor):
                ledger.list_runs(cursor=cursor, **one)


@pytest.mark.parametrize(
    "bad",
    [{"labels": "team=web"}, {"labels": {"team": 5}}, {"labels": {5: "x"}}, {"labels": {"team": None}},
     {"labels": {str(n): "x" for n in range(11)}}, {"labels": {"\ud800": "x"}}, {"labels": {"x": "\ud800"}}, {"q": 5},
     {"created_from": "yesterday"}, {"ended_to": 5}, {"pinned": "yes"}, {"archived": 0},
     {"created_since": date(2000, 1, 1)}],
)  # fmt: skip
def test_what_is_no_filter_is_refused(ledger: Ledger, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.list_runs(**bad)
    with pytest.raises(InvalidInput):
        ledger.counts(**bad)


def test_a_search_without_a_word_finds_nothing(ledger: Ledger) -> None:
    ledger.start_run(title="a -- b", parent=None).complete().result()
    for nothing in ("", "--", '"', "\x00"):
        assert every(ledger, q=nothing) == []
