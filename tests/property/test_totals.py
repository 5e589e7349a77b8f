"""Telemetry: totals are the sums of their parts, each request counts once, and a report costs its depth."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstone
from runstone.domain.telemetry import Usage, to_picousd, to_usd
from runstone.errors import InvalidInput, RunFailed
from runstone.ledger import Ledger
from runstone.store.sqlite import open as sqlite
from runstone.store.writes.events import ReportUsage
from runstone.store.writes.lifecycle import CreateRun
from runstone.testing.clock import FakeClock
from runstone.testing.contract import Store, new_run, usage

COUNTS = (
    "requests",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_picousd",
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with runstone.open(tmp_path, clock=clock) as ledger:
        yield ledger


TREES = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=10)
REPORTS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 12), st.integers(0, 50), st.none() | st.integers(0, 10**15)),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(tree=TREES, reports=REPORTS, order=st.randoms(use_true_random=False))
def test_subtrees_are_the_sums_of_their_parts_whenever_parents_become_known(
    tmp_path: Path, tree: list[tuple[int, bool]], reports: list[tuple[int, int, int, int | None]], order: Any
) -> None:
    """Runs are created in any order, so that parents are known late; requests are repeated all over the trees."""
    with Opened(tmp_path) as store:
        parents = [None, *(f"r{pick % (n + 1)}" for n, (pick, _) in enumerate(tree))]
        created = list(range(len(parents)))
        order.shuffle(created)
        steps = [("run", n) for n in created] + [("usage", report) for report in reports]
        known: set[int] = set()
        for kind, what in sorted(steps, key=lambda step: order.random()) if order.random() < 0.5 else steps:
            if kind == "run":
                store.do(CreateRun(new_run(f"r{what}", parent_run_id=parents[what])))
                known.add(what)
            elif known:
                pick, request, tokens, cost = what
                run = sorted(known)[pick % len(known)]
                store.do(ReportUsage(f"r{run}", None, usage(f"q{request}", tokens, cost)))
        for n in sorted(set(range(len(parents))) - known):
            store.do(CreateRun(new_run(f"r{n}", parent_run_id=parents[n])))
        _check_sums(store, parents)


def _check_sums(store: Store, parents: list[str | None]) -> None:
    found = {f"r{n}": store.reader.usage.of(f"r{n}") for n in range(len(parents))}
    for n in range(len(parents)):
        below = [f"r{m}" for m, parent in enumerate(parents) if parent == f"r{n}"]
        for name in COUNTS:
            parts = [getattr(found[f"r{n}"].own, name), *(getattr(found[run].subtree, name) for run in below)]
            assert getattr(found[f"r{n}"].subtree, name) == sum(parts)
    requests = store.reader.db.query("SELECT request_id FROM usage")  # type: ignore[attr-defined]
    assert len(requests) == len(set(requests)) == found["r0"].subtree.requests


class Opened:
    """A store in a file of its own."""

    number = 0

    def __init__(self, folder: Path) -> None:
        Opened.number += 1
        path = folder / f"{Opened.number}.db"
        sqlite.prepare(path)
        self.store = Store(sqlite.writer(path))

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


class Counted:
    """A connection that counts what goes through it."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.asked: Counter[str] = Counter()
        self.rows_sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def rows(self, name: str, *params: Any, **more: Any) -> Any:
        self.asked[name] += 1
        return self.db.rows(name, *params, **more)

    def insert(self, name: str, rows: list[Any]) -> None:
        self.asked[name] += 1
        self.rows_sent += len(rows)
        self.db.insert(name, rows)


@pytest.mark.parametrize("runs", [10, 400])
@pytest.mark.parametrize("depth", [1, 4, 12])
def test_a_report_costs_its_depth_whatever_the_number_of_runs(tmp_path: Path, depth: int, runs: int) -> None:
    path = tmp_path / "ledger.db"
    sqlite.prepare(path)
    connections: list[Counted] = []

    def connect() -> Any:
        connections.append(Counted(sqlite.writer(path)()))
        return connections[-1]

    store = Store(connect)
    counted = connections[0]
    for n in range(depth):
        store.do(CreateRun(new_run(f"deep-{n}", parent_run_id=f"deep-{n - 1}" if n else None)))
    for n in range(runs):
        store.do(CreateRun(new_run(f"wide-{n}", parent_run_id="deep-0")))
    counted.asked.clear()
    counted.rows_sent = 0
    store.do(ReportUsage(f"deep-{depth - 1}", None, usage("q")))
    assert counted.rows_sent == 4 + depth, (
        counted.asked
    )  # its row, its event, the head, its own sums, and one for each level
    assert sum(counted.asked.values()) == 5, (
        counted.asked
    )  # the request is looked up; the rest goes out kind by kind
    store.close()


def test_many_reports_in_a_batch_go_out_together(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    sqlite.prepare(path)
    counted = Counted(sqlite.writer(path)())
    from runstone.store.batch import Batch, Cache

    counted.begin()
    batch = Batch(counted, Cache(), 1)  # type: ignore[arg-type]
    assert batch.decide(CreateRun(new_run("r"))).error is None
    outcomes = [
        batch.decide(ReportUsage("r", None, usage(f"q{n % 50}"), new_id=False)).value for n in range(100)
    ]
    assert sum(outcomes) == 50
    assert [
        batch.decide(ReportUsage("r", None, usage(f"new-{n}"), new_id=True)).value for n in range(50)
    ] == [True] * 50
    batch.flush()
    counted.commit()
    assert counted.asked["insert_usage"] == counted.asked["insert_event"] == counted.asked["add_totals"] == 1
    assert counted.asked["request_known"] == 50
    counted.close()


def test_a_failed_attempts_tokens_stay_and_late_ones_count(ledger: Ledger) -> None:
    first = ledger.start_run(run_id="r")
    first.usage(provider="p", model="m", input_tokens=100, request_id="1")
    first.fail("no").result()
    assert ledger.get_run("r").status == "failed"
    second = ledger.start_run(run_id="s")
    second.usage(provider="p", model="m", output_tokens=7, request_id="2").result()
    second.interrupt("gone")
    third = ledger.continue_run("s")
    assert second.usage(provider="p", model="m", output_tokens=5, request_id="late").result() is True
    assert second.usage(provider="p", model="m", output_tokens=5, request_id="late").result() is False
    third.usage(provider="p", model="m", output_tokens=1, request_id="3").result()
    assert ledger.telemetry("r").own.input_tokens == 100
    assert ledger.telemetry("s").own.output_tokens == 13
    assert ledger.care.verify() == []


def test_what_is_shown_follows_from_the_events(ledger: Ledger, clock: FakeClock) -> None:
    run = ledger.start_run(run_id="r")
    for number, ok in enumerate([True, False, True]):
        run.emit("tool.started", {"tool": "grep", "call_id": str(number)})
        run.emit("tool.completed", {"call_id": str(number), "ok": ok})
    run.emit("tool.completed", {"call_id": "unheard of"})
    run.usage(provider="anthropic", model="small", input_tokens=1, cost_usd="0.1")
    run.usage(
        provider="openai",
        model="big",
        cache_read_tokens=2,
        cache_write_tokens=3,
        output_tokens=9,
        reasoning_tokens=4,
    )
    clock.advance(3)
    run.pause(state={"a": 1})
    clock.advance(100)
    shown = ledger.telemetry("r")
    assert (shown.elapsed_ms, shown.active_ms) == (3_000, 3_000)
    run = ledger.continue_run("r")
    clock.advance(2)
    shown = ledger.telemetry("r")
    assert (shown.elapsed_ms, shown.active_ms) == (105_000, 5_000)
    run.fail("broken").result()
    clock.advance(50)
    shown = ledger.telemetry("r")
    assert (shown.elapsed_ms, shown.active_ms) == (105_000, 5_000)
    assert shown.tool_counts == {"grep": 3, "unknown": 1}
    assert shown.tool_failures == {"grep": 1}
    assert (shown.model, shown.provider) == ("big", "openai")
    assert shown.error is not None
    assert shown.error["message"] == "broken"
    assert [(m.provider, m.model, m.own.requests) for m in shown.models] == [
        ("anthropic", "small", 1),
        ("openai", "big", 1),
    ]
    own = shown.own
    assert (
        own.input_tokens,
        own.cache_read_tokens,
        own.cache_write_tokens,
        own.output_tokens,
        own.reasoning_tokens,
    ) == (1, 2, 3, 9, 4)
    assert (
        own.tokens == 15
    )  # reasoning is a part of the output, and cache reads and writes stand apart from the input
    assert (own.cost_usd, own.complete) == (0.1, False)


def test_reused_children_add_nothing_and_are_shown_apart(ledger: Ledger) -> None:
    import asyncio

    registry = runstone.Registry()
    broken = [True]

    @runstone.agent("costly", version="1", registry=registry)
    async def costly(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=100, cost_usd="0.5", request_id=f"q{input}")
        if input == 2 and broken[0]:
            raise ValueError("broken")
        return input

    @runstone.workflow("job", version="1", registry=registry)
    async def job(ctx: Any, input: Any) -> Any:
        return await ctx.map("costly", [0, 1, 2])

    with pytest.raises(RunFailed):
        asyncio.run(runstone.run("job", ledger=ledger, run_id="j", registry=registry))
    before = ledger.telemetry("j")
    assert (before.subtree.requests, before.reused["children"]) == (3, 0)
    broken[0] = False
    assert asyncio.run(runstone.resume("j", ledger=ledger, registry=registry)) == [0, 1, 2]
    after = ledger.telemetry("j")
    assert (after.subtree.requests, after.subtree.input_tokens, after.own.requests) == (3, 300, 0)
    assert after.reused == {"children": 2, "tokens": 200, "cost_usd": 1.0}
    assert ledger.care.verify() == []


@given(st.lists(st.decimals(0, 1000, places=12), max_size=20))
def test_sums_of_money_are_exact(amounts: list[Any]) -> None:
    total = sum(to_picousd(amount) for amount in amounts)
    assert to_usd(total) == float(sum(amounts))


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "x", "", True, None, [], 10**6, "1e400"])
def test_what_is_no_amount_is_refused(cost: Any) -> None:
    with pytest.raises(InvalidInput):
        to_picousd(cost)


@pytest.mark.parametrize(
    "fields",
    [{"input_tokens": -1}, {"input_tokens": 1.0}, {"input_tokens": True}, {"output_tokens": 2**53},
     {"reasoning_tokens": 1}, {"provider": ""},
     {"model": "x" * 501}, {"request_id": ""}, {"cost_picousd": 1}, {"cost_source": "reported"},
     {"cost_picousd": 1, "cost_source": "guessed"}],
)  # fmt: skip
def test_what_is_no_report_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Usage(**{"request_id": "q", "provider": "p", "model": "m", "at": 0, **fields})
