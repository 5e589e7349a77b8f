"""A run that another process parked: who waits for it goes on with it if that process is gone and nothing else does."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import runstone
from runstone import Ledger, Registry
from runstone.domain import codec
from runstone.engine.local import LocalEngine
from runstone.engine.processes import identify
from runstone.store.writes.journal import Hint, StartChildren
from runstone.store.writes.lifecycle import ClaimRun, Owner, ParkRun
from runstone.testing.contract import new_run


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def elsewhere() -> "Iterator[subprocess.Popen[bytes]]":
    """A process that lives."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def registry() -> Registry:
    names = Registry()

    @names.agent("work")
    async def work(ctx: Any, input: Any) -> Any:
        return f"{input} is done"

    @names.workflow("flow")
    async def flow(ctx: Any, input: Any) -> Any:
        return await ctx.child("work", "it")

    return names


def owner_of(process: "subprocess.Popen[bytes]") -> Owner:
    identity = identify(process.pid)
    assert identity is not None
    worker = {**msgspec.to_builtins(identity), "worker_id": "elsewhere"}
    return Owner("elsewhere", codec.encode(worker).decode(), 60_000_000)


class Looks:
    """Counts how often somebody has looked at a run and waits for a change of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        until_changed = LocalEngine.until_changed

        async def counted(engine: LocalEngine, run_id: str | None, *rest: Any, **more: Any) -> None:
            self.count += 1
            await until_changed(engine, run_id, *rest, **more)

        monkeypatch.setattr(LocalEngine, "until_changed", counted)

    async def more(self, waits: "asyncio.Task[Any]", count: int) -> None:
        """Until there were so many more."""
        wanted = self.count + count
        while self.count < wanted:
            assert not waits.done(), waits
            await asyncio.sleep(0.01)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


async def parked_while_somebody_waits(
    ledger: Ledger, process: "subprocess.Popen[bytes]", looks: Looks
) -> "asyncio.Task[Any]":
    """The process has the run and parks it for a child that it has not begun yet; gives who waits for the run here."""
    ledger.create_run(kind="workflow", run_id="r", definition_id="flow")
    ledger.core.submit(ClaimRun("r", owner_of(process)), []).result()
    waits = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id="r", registry=registry()))
    await looks.more(waits, 1)
    child = new_run("c", kind="workflow_child", parent_run_id="r", agent_id="work")
    ledger.core.submit(StartChildren("r", 1, [(child, Hint("k" * 32, "work"))]), []).result()
    park = ParkRun("r", 1, "run.waiting", {"reason": "children"}, branches=[("all", ["c"])])
    assert ledger.core.submit(park, []).result() is True
    return waits


def test_who_waits_for_a_run_goes_on_with_it_when_its_process_dies_before_its_child_began(
    ledger: Ledger, elsewhere: "subprocess.Popen[bytes]", looks: Looks
) -> None:
    async def go() -> Any:
        waits = await parked_while_somebody_waits(ledger, elsewhere, looks)
        elsewhere.kill()
        elsewhere.wait()
        return await asyncio.wait_for(waits, 30)

    assert asyncio.run(go()) == "it is done"
    run = ledger.get_run("r")
    assert (run.status, run.attempt) == ("completed", 2)
    assert ledger.care.verify() == []


def test_a_run_whose_process_lives_is_left_to_it(
    ledger: Ledger, elsewhere: "subprocess.Popen[bytes]", looks: Looks
) -> None:
    """A child that is not begun waits for a place there, or for a larger budget."""

    async def go() -> Any:
        waits = await parked_while_somebody_waits(ledger, elsewhere, looks)
        await looks.more(waits, 3)
        seen = ledger.get_run("r")
        waits.cancel()
        await asyncio.wait([waits])
        return seen

    seen = asyncio.run(go())
    assert (seen.status, seen.attempt) == ("waiting", 1)
