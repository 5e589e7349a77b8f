"""How long a phase took: the time in which attempts were in it, and not what lies between them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import Registry
from runstone.domain.records import PhaseState
from runstone.errors import RunFailed
from runstone.testing.clock import FakeClock

DAY_S = 86_400


def test_a_day_between_two_attempts_is_no_part_of_a_phase(tmp_path: Path) -> None:
    clock, names, breaks, seen = FakeClock(), Registry(), [True], list[PhaseState]()

    @names.workflow("book")
    async def book(ctx: Any, input: Any) -> None:
        async with ctx.phase("read"):
            clock.advance(5 if breaks else 0)
        async with ctx.phase("write"):
            clock.advance(7 if breaks else 3)
            if breaks:
                raise ValueError("no ink")
            seen.extend(ledger.phases("r"))

    with runstone.open(tmp_path, clock=clock) as ledger:
        with pytest.raises(RunFailed):
            asyncio.run(runstone.run("book", None, ledger=ledger, run_id="r", registry=names))
        read, write = ledger.phases("r")
        assert [(one.active_ms, one.active_since) for one in (read, write)] == [(5_000, None), (7_000, None)]
        clock.advance(DAY_S)
        breaks.clear()
        asyncio.run(runstone.resume("r", ledger=ledger, registry=names))
        at_work = seen[1]
        assert (at_work.status, at_work.active_ms) == ("running", 7_000)
        read, write = ledger.phases("r")
    assert at_work.active_since is not None
    assert write.started_at is not None
    assert write.completed_at is not None
    assert (at_work.active_since - write.started_at).days == 1
    assert (write.completed_at - at_work.active_since).seconds == 3
    assert [(one.active_ms, one.active_since) for one in (read, write)] == [(5_000, None), (10_000, None)]
