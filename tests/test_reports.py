"""Usage reports: sums by what is asked for, that lose nothing; and costs that are computed anew."""

import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import reports
from runstone.domain.records import Totals, UsageRow
from runstone.engine import prices
from runstone.errors import InvalidInput, StoreReadOnly
from runstone.ledger import Ledger
from runstone.testing.clock import FakeClock

FIRST = datetime(2026, 10, 1, tzinfo=UTC)
KNOWN = {"provider": "anthropic", "model": "claude-haiku-4-5"}  # 1 USD and 5 USD per million tokens
OTHER = {"provider": "openai", "model": "gpt-4o"}
NOBODY = {"provider": "nobody", "model": "knows"}


DAILY = [one for one in reports.GROUPS if one != "hour"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(int(FIRST.timestamp()) * 10**6)


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock, lease_s=10**7) as ledger:
        yield ledger


def team(ledger: Ledger, clock: FakeClock, name: str, thread: str) -> None:
    """A lead with a helper, over three days; of each day's three requests one is told, one priced, one unknown."""
    lead = ledger.start_run(
        run_id=name, agent_id="lead", thread_id=thread, labels={"team": name, "env": "prod"}
    )
    helper = ledger.start_run(run_id=f"{name}-helper", agent_id="helper", parent=lead, labels={"env": "test"})
    for _ in range(3):
        lead.usage(**OTHER, input_tokens=100, output_tokens=10, cost_usd="0.25")
        helper.usage(
            **KNOWN, input_tokens=1_000, cache_read_tokens=500, output_tokens=200, reasoning_tokens=50
        )
        helper.usage(**NOBODY, input_tokens=7).result()
        clock.advance(86_400)
    helper.complete()
    lead.complete().result()


PRICED = 1_000 * 10**6 + 500 * 10**5 + 200 * 5 * 10**6
ALL = Totals(
    requests=18, input_tokens=6 * 1_107, cache_read_tokens=3_000, output_tokens=6 * 210, reasoning_tokens=300,
    cost_picousd=6 * (25 * 10**10 + PRICED), unknown_costs=6, priced_costs=6,
)  # fmt: skip


@pytest.fixture
def spent(ledger: Ledger, clock: FakeClock) -> Ledger:
    team(ledger, clock, "red", "talk")
    team(ledger, clock, "blue", "chat")
    return ledger


def names(rows: list[UsageRow], by: str) -> list[str | None]:
    return [row.by[by] for row in rows]


def total(rows: list[UsageRow]) -> Totals:
    return sum((row.totals for row in rows), Totals())


EVERY = [[], ["day"], ["model"], ["provider"], ["agent"], ["workflow"], ["thread"], ["run"], ["label:team"],
         ["day", "model"], ["agent", "label:env", "label:team"], ["label:none"], DAILY]  # fmt: skip


@pytest.mark.parametrize("by", EVERY, ids="+".join)
def test_whatever_is_summed_by_nothing_is_lost(spent: Ledger, by: list[str]) -> None:
    rows = spent.usage(by)
    assert total(rows) == ALL
    assert all(list(row.by) == by for row in rows)
    assert len({tuple(row.by.values()) for row in rows}) == len(rows)


@pytest.mark.parametrize("by", EVERY, ids="+".join)
def test_what_removed_runs_had_spent_stays(spent: Ledger, by: list[str]) -> None:
    without = [name for name in by if name != "run"]
    before = spent.usage(without)
    spent.care.remove("red")
    assert total(spent.usage(by)) == ALL
    assert spent.usage(without) == before
    assert spent.usage("model", agent="helper", labels={"team": "red"}, thread=[]) == []
    spent.care.remove("blue")
    assert spent.usage(without) == before
    assert spent.care.verify() == []


def test_groups_are_those_of_the_runs(spent: Ledger) -> None:
    days = [(FIRST + timedelta(days=number)).date().isoformat() for number in range(6)]
    assert names(spent.usage("day"), "day") == days
    assert names(spent.usage(), "model") == ["gpt-4o", "claude-haiku-4-5", "knows"]
    assert names(spent.usage("agent"), "agent") == ["lead", "helper"]
    assert sorted(name or "" for name in names(spent.usage("thread"), "thread")) == ["", "chat", "talk"]
    # A run has the labels of its tree, but for those that it says itself.
    assert sorted(name or "" for name in names(spent.usage("label:team"), "label:team")) == ["blue", "red"]
    assert {(row.by["agent"], row.by["label:env"]) for row in spent.usage(["agent", "label:env"])} == {
        ("lead", "prod"), ("helper", "test"),
    }  # fmt: skip


def test_a_workflows_spending_is_that_of_its_whole_tree(ledger: Ledger) -> None:
    import asyncio

    registry = runstone.Registry()

    @runstone.agent("worker", version="1", registry=registry)
    async def worker(ctx: Any, input: Any) -> Any:
        await ctx.usage(**KNOWN, input_tokens=input, request_id=str(input))

    @runstone.workflow("job", version="1", registry=registry)
    async def job(ctx: Any, input: Any) -> Any:
        await ctx.map("worker", [1, 2, 3])

    asyncio.run(runstone.run("job", ledger=ledger, registry=registry, thread_id="talk"))
    (row,) = ledger.usage(["workflow", "agent", "thread"])
    assert row.by == {"workflow": "job", "agent": "worker", "thread": "talk"}
    assert (row.totals.input_tokens, row.totals.cost_source) == (6, "priced")


def test_filters_and_times_leave_out_what_does_not_fit(spent: Ledger) -> None:
    def requests(**filters: Any) -> int:
        return total(spent.usage([], **filters)).requests

    assert requests(agent="lead") == 6
    assert requests(agent=["lead", "helper"], model="knows") == 6
    assert requests(provider="openai", thread="talk") == 3
    assert requests(thread="talk") == 3, "the thread of a run is the one that it was started from"
    assert requests(labels={"team": "red"}) == 9
    assert requests(labels={"team": "red", "env": "prod"}) == 3
    assert requests(run_id="blue") == 9
    assert requests(run_id="blue-helper") == 6
    assert requests(workflow="job") == 0
    assert requests(since=date(2026, 10, 3)) == 12
    assert requests(since=date(2026, 10, 3), until=date(2026, 10, 4)) == 3
    assert requests(until=FIRST + timedelta(microseconds=1)) == 3
    assert requests(until=datetime(2026, 10, 1)) == 0  # noqa: DTZ001 - a naive time is UTC
    spent.care.remove("red")
    assert requests(since=date(2026, 10, 3)) == 12
    assert requests(run_id="blue") == 9


@pytest.mark.parametrize(
    "wrong",
    [{"by": "colour"}, {"by": ["label:"]}, {"by": [7]}, {"by": ["label:a", "label:b", "label:c"]}, {"by": 'label:a"b'},
     {"since": "yesterday"}, {"until": 5}, {"colour": "red"}, {"labels": {'a"b': "c"}}, {"model": "\ud800"},
     {"by": 5}, {"by": None}, {"by": [["day"]]}, {"labels": 5}, {"labels": {5: "x"}},
     {"labels": {"a": 5}}, {"agent": 5}],
)  # fmt: skip
def test_what_makes_no_report_is_refused(ledger: Ledger, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.usage(**wrong)


@pytest.mark.parametrize("label", ["a.b", "$", "$.team", "a b", "[0]", "ä", "'", "--", "*"])
def test_any_label_can_be_asked_for(ledger: Ledger, label: str) -> None:
    with ledger.start_run(labels={label: "value", "other": "x"}) as run:
        run.usage(**OTHER, input_tokens=1)
    assert names(ledger.usage(f"label:{label}"), f"label:{label}") == ["value"]
    assert len(ledger.usage([], labels={label: "value"})) == 1
    assert ledger.usage([], labels={label: "x"}) == []


def test_a_page_of_runs_has_its_sums_in_one_query(spent: Ledger) -> None:
    ids = [run.id for run in spent.list_runs()]
    found = reports.totals(spent.reader, ids)
    for run_id in ids:
        telemetry = spent.telemetry(run_id)
        assert found[run_id] == (telemetry.own, telemetry.subtree)
    assert reports.totals(spent.reader, ["nobody"]) == {}
    assert reports.children(spent.reader, ids) == {"red": 1, "blue": 1}


@pytest.mark.parametrize(
    ("counts", "source", "cost"),
    [((0, 0, 0), None, 0.0), ((2, 0, 0), "reported", 0.0), ((2, 2, 0), "unknown", None), ((2, 0, 2), "priced", 0.0),
     ((2, 1, 0), "mixed", 0.0), ((2, 1, 1), "mixed", 0.0)],
)  # fmt: skip
def test_a_sum_says_where_its_cost_is_from_and_an_unknown_one_is_not_zero(
    counts: tuple[int, int, int], source: str | None, cost: float | None
) -> None:
    requests, unknown, priced = counts
    totals = Totals(requests=requests, unknown_costs=unknown, priced_costs=priced)
    assert (totals.cost_source, totals.to_dict()["cost_usd"], totals.complete) == (source, cost, not unknown)


# --- repricing ---------------------------------------------------------------------------------------------------


def unpriced_teams(ledger: Ledger, clock: FakeClock) -> None:
    """The two teams, as they are recorded where the extra is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prices._State, "prices", None)
        patch.setattr(prices._State, "why", "it is not installed")
        team(ledger, clock, "red", "talk")
        team(ledger, clock, "blue", "chat")


@pytest.fixture
def unpriced(ledger: Ledger, clock: FakeClock) -> Ledger:
    unpriced_teams(ledger, clock)
    return ledger


def everything(ledger: Ledger) -> list[Any]:
    """All that a repricing could touch."""
    runs = ledger.list_runs().items
    return [
        [(run, ledger.events(run.id, limit=1_000).items, ledger.telemetry(run.id)) for run in runs],
        ledger.usage(),
    ]


def test_a_dry_run_changes_nothing_and_says_what_would(unpriced: Ledger, tmp_path: Path) -> None:
    before = everything(unpriced)
    with runstone.open(tmp_path, readonly=True) as reading:
        assert reading.reprice(dry_run=True) == unpriced.reprice(dry_run=True)
        with pytest.raises(StoreReadOnly):
            reading.reprice()
    haiku, nobody = unpriced.reprice(dry_run=True)
    assert (haiku.changed, haiku.before.cost_source, haiku.after.cost_picousd) == (6, "unknown", 6 * PRICED)
    assert (nobody.changed, nobody.after.cost_source) == (0, "unknown")
    assert everything(unpriced) == before


def test_a_repricing_moves_the_sums_of_all_levels_and_again_nothing(unpriced: Ledger) -> None:
    runs = {run.id: run for run in unpriced.list_runs()}
    assert [one.changed for one in unpriced.reprice()] == [6, 0]
    assert total(unpriced.usage()) == ALL
    for name in ("red", "blue"):
        below, top = unpriced.telemetry(f"{name}-helper"), unpriced.telemetry(name)
        assert (below.own.cost_picousd, below.own.priced_costs, below.own.unknown_costs) == (3 * PRICED, 3, 3)
        assert top.subtree.cost_picousd == top.own.cost_picousd + below.subtree.cost_picousd
        assert (top.own.complete, top.subtree.complete, below.own.complete) == (True, False, False)
        events = [event for event in unpriced.events(f"{name}-helper") if event.type == "usage.repriced"]
        assert [event.payload["cost_picousd"] for event in events] == [PRICED] * 3
        assert {event.payload["prices"] for event in events} == {prices.load().basis}
    assert unpriced.care.verify() == []
    after = everything(unpriced)
    assert [one.changed for one in unpriced.reprice()] == [0, 0]
    assert everything(unpriced) == after
    for run in unpriced.list_runs():
        assert run.updated_at == runs[run.id].updated_at, "a new price makes no run the latest"


def test_only_what_is_asked_for_is_repriced(unpriced: Ledger) -> None:
    assert [one.changed for one in unpriced.reprice(model="gpt-4o")] == []
    assert [one.changed for one in unpriced.reprice(provider="anthropic", until=FIRST)] == []
    assert [one.changed for one in unpriced.reprice(until=FIRST + timedelta(days=1))] == [1, 0]
    assert [
        one.changed for one in unpriced.reprice(since=FIRST + timedelta(days=4), provider="anthropic")
    ] == [2]
    assert total(unpriced.usage()).priced_costs == 3
    assert unpriced.care.verify() == []


def test_a_price_that_changed_is_taken_and_one_that_is_gone_is_kept(
    spent: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dearer(prices.Prices):
        def __init__(self) -> None:
            super().__init__()
            self.basis = "dearer 1"

        def cost(self, usage: Any) -> int | None:
            return None if usage.at < FIRST.timestamp() * 10**6 + 86_400 * 10**6 else 2 * PRICED

    monkeypatch.setattr(prices._State, "prices", Dearer())
    changed = spent.reprice(provider="anthropic")
    assert [(one.changed, one.before.cost_picousd, one.after.cost_picousd) for one in changed] == [
        (5, 6 * PRICED, 11 * PRICED)
    ]
    assert spent.telemetry("red").subtree.cost_picousd == 3 * 25 * 10**10 + 5 * PRICED
    told = [event.payload for event in spent.events("red-helper") if event.type == "usage.repriced"]
    assert [(one["before_picousd"], one["cost_picousd"], one["prices"]) for one in told] == [
        (PRICED, 2 * PRICED, "dearer 1")
    ] * 2
    assert spent.care.verify() == []


def test_a_pruned_run_is_repriced_too(unpriced: Ledger) -> None:
    unpriced.care.prune("red")
    assert [one.changed for one in unpriced.reprice()] == [6, 0]
    assert total(unpriced.usage()) == ALL
    assert unpriced.care.verify() == []
    unpriced.care.remove("red")
    assert total(unpriced.usage()) == ALL
    assert unpriced.care.verify() == []


REPRICE = """
    import sys
    import runstone
    import runstone.repricing
    runstone.repricing.CHUNK = 2
    with runstone.open(sys.argv[1]) as ledger:
        ledger.reprice()
"""


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_repricing_that_was_killed_is_gone_on_with(
    tmp_path: Path, clock: FakeClock, side: str, count: int
) -> None:
    with runstone.open(tmp_path, clock=clock, lease_s=10**7) as ledger:
        unpriced_teams(ledger, clock)
    point = {"RUNSTONE_CRASH_AT": f"RepriceRequests.{side}_commit:{count}"}
    command = [sys.executable, "-c", textwrap.dedent(REPRICE), str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, **point}, timeout=60, check=False)
    assert done.returncode == -9
    with runstone.open(tmp_path) as ledger:
        assert ledger.care.verify() == []
        done_before = total(ledger.usage()).priced_costs
        assert done_before == count - (side == "before")  # each write had one request with a price
        assert sum(one.changed for one in ledger.reprice()) == 6 - done_before
        assert total(ledger.usage()) == ALL
        events = [
            e
            for name in ("red", "blue")
            for e in ledger.events(f"{name}-helper")
            if e.type == "usage.repriced"
        ]
        assert len(events) == 6
        assert ledger.care.verify() == []


def test_a_live_run_reports_while_it_is_repriced(unpriced: Ledger, tmp_path: Path) -> None:
    chance = random.Random(5)
    with runstone.open(tmp_path) as other, unpriced.start_run(run_id="live") as run:
        for number in range(60):
            run.usage(**chance.choice([KNOWN, OTHER, NOBODY]), input_tokens=number + 1)
            if number % 20 == 10:
                other.reprice()
    assert unpriced.telemetry("live").own.requests == 60
    assert total(unpriced.usage()).priced_costs > 6
    assert unpriced.care.verify() == []


def test_hours_are_those_of_the_requests_and_of_removed_runs_unknown(tmp_path: Path) -> None:
    clock = FakeClock()
    with runstone.open(tmp_path, clock=clock) as ledger:
        began = clock.now() // 1_000_000
        for n, cost in enumerate([1, 2, 4]):
            with ledger.start_run(run_id=f"r{n}", parent=None) as run:
                run.usage(provider="p", model="m", input_tokens=1, cost_usd=cost, request_id=f"q{n}").result()
            clock.advance(1_800)
        found = {line.by["hour"]: line.totals.cost_usd for line in ledger.usage("hour")}
        hours = [datetime.fromtimestamp((began + n * 1_800) // 3_600 * 3_600, UTC) for n in range(3)]
        wanted: dict[str, float] = {}
        for hour, cost in zip(hours, [1, 2, 4], strict=True):
            name = f"{hour:%Y-%m-%dT%H:%M:%SZ}"
            wanted[name] = wanted.get(name, 0) + cost
        assert found == wanted
        assert len(found) == 2
        ledger.care.remove("r0")
        after = {line.by["hour"]: line.totals.cost_usd for line in ledger.usage(["hour"])}
        assert after[None] == 1
        assert sum(after.values()) == 7
        with pytest.raises(InvalidInput, match="day or by hour"):
            ledger.usage(["day", "hour"])
