"""The engine of a worker, without queues: it is handed dispatches as they stand in the ledger."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Ledger, Registry
from runstone.domain.dispatches import DEFAULT_QUEUE, QueueSettings
from runstone.engine.dispatched import DispatchedEngine
from runstone.store.writes.lifecycle import ClaimRun, InterruptRun, ResumeRun
from runstone.testing.clock import FakeClock
from runstone.testing.contract import OTHER

DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    # No heartbeat of the machine's time: who is silent is judged when the test says so.
    with runstone.open(tmp_path, clock=clock, lease_s=90 * DAY_S, heartbeat_s=80 * DAY_S) as opened:
        yield opened


def ready(ledger: Ledger) -> dict[str, int]:
    """The dispatches that are ready, by run."""
    rows = ledger.reader.rows("ready_dispatches", now=2**62, limit=10)
    return {run_id: n for run_id, _run, n, _queue, _rank in rows}


def test_a_child_whose_silent_owner_is_not_judged_yet_has_not_failed(
    ledger: Ledger, clock: FakeClock
) -> None:
    names = Registry()

    @names.agent("leaf")
    async def leaf(ctx: Any, input: Any) -> Any:
        return "done"

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("leaf")

    async def main() -> None:
        settings = {DEFAULT_QUEUE: QueueSettings()}
        engine = DispatchedEngine(
            ledger.core, ledger.supervisor, ledger.workspace.root, names, slots=2, queues=settings, park_after_s=0.05
        )  # fmt: skip
        try:
            await engine.take("r", ready(ledger)["r"])
            (child,) = ledger.list_runs(parent_id="r").items
            await ledger.core.submit(ClaimRun(child.id, OTHER), [])
            await ledger.core.submit(ResumeRun("r", "looked at", expect=frozenset({"waiting"})), [])
            clock.advance(31)
            assert (ledger.get_run(child.id).status, ledger.lease(child.id) is None) == ("interrupted", False)
            await engine.take("r", ready(ledger)["r"])
            assert ledger.get_run("r").status == "waiting"
            await ledger.core.submit(InterruptRun(child.id, 1, "its owner is gone"), [])
            await engine.take(child.id, ready(ledger)[child.id])
            await engine.take("r", ready(ledger)["r"])
        finally:
            await engine.close("the test is over")

    runstone.enqueue("flow", ledger=ledger, run_id="r", registry=names)
    asyncio.run(main())
    assert ledger.get_run("r").status == "completed"
    assert ledger.result("r") == "done"
    assert ledger.care.verify() == []
