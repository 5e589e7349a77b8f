"""`run` and `resume` by a worker of this process, so that tests of the engine hold for dispatched runs as they are.

Each call serves the queue until its run has ended or stands still, with the registry that it was given.
"""

import asyncio
import itertools
from typing import Any

import runstone
from runstone import execution
from runstone.domain.dispatches import DEFAULT_QUEUE, OPTION, Placement, QueueSettings
from runstone.domain.orders import how
from runstone.domain.runs import ENDED
from runstone.engine.asking import awaiting, waits_for_person
from runstone.engine.dbos import DbosQueues
from runstone.engine.dispatched import PARK_AFTER_S
from runstone.engine.outcome import outcome_of
from runstone.ledger import Ledger, new_run
from runstone.store.writes.lifecycle import CreateRun, ResumeRun
from runstone.store.writes.verbs import GiveOrder
from runstone.worker import Worker

SETTINGS = {DEFAULT_QUEUE: QueueSettings(poll_s=0.02)}
LONG_S = 60.0
"""A parent stays in memory, so that its code is called as often as by the local engine."""

_numbers = itertools.count(1)
_always: dict[str, Any] = {}


def stand_in(*, parking: bool = True) -> None:
    """From now on a program's `runstone.run` and `runstone.resume` are these; parents park, as workers have them do."""
    if parking:
        _always["park_after_s"] = PARK_AFTER_S
    runstone.run, runstone.resume = run, resume  # type: ignore[assignment]


async def run(
    name: str, input: Any = None, *, ledger: Ledger, run_id: str, registry: Any, **more: Any
) -> Any:
    """As `runstone.run`."""
    if not ledger.reader.rows("pk_of", run_id=run_id):
        identity, kind, options = execution.identity_of(
            execution.find_entry(registry, name), more.get("budget")
        )
        options = {**(options or {}), OPTION: Placement().option()}
        new = new_run(
            ledger.core, kind=kind, run_id=run_id, parent=None, input=input, options=options, **identity
        )
        await ledger.core.submit(CreateRun(new), [])
    return await resume(run_id, ledger=ledger, registry=registry, **more)


async def resume(
    run_id: str, *, ledger: Ledger, registry: Any, policy: Any = None, budget: Any = None, **more: Any
) -> Any:
    """As `runstone.resume`."""
    await asyncio.to_thread(ledger.supervisor.settle, run_id)
    existing = ledger.get_run(run_id)
    if existing.status in ("failed", "cancelled", "interrupted"):
        order = how("retry", policy, budget)
        await ledger.core.submit(GiveOrder(run_id, f"c{next(_numbers)}", "retry", order, by=None), [])
    elif existing.status == "paused":
        await ledger.core.submit(ResumeRun(run_id, "resumed"), [])
    return await _serve(ledger, run_id, registry, **{"park_after_s": LONG_S, "slots": 16} | _always | more)


async def _serve(
    ledger: Ledger, run_id: str, registry: Any, *, park_after_s: float, slots: int, **_: Any
) -> Any:
    dsn = ledger.workspace.dsn
    assert dsn is not None
    queues = DbosQueues(dsn, f"{ledger.supervisor.owner.owner}-{next(_numbers)}")
    worker = Worker(
        ledger, queues, SETTINGS, slots=slots, registry=registry, park_after_s=park_after_s, unclaimed_s=2.0
    )
    serving = asyncio.create_task(worker.run())
    try:
        while True:
            done = await asyncio.to_thread(ledger.wait, run_id, 0.5)
            if done.status in ENDED or done.status in ("paused", "awaiting_user"):
                break
            if done.status == "waiting" and waits_for_person(ledger.reader, run_id):
                break
            assert not serving.done(), serving.exception()
    finally:
        worker.stop()
        await asyncio.wait([serving])
    if done.status in ("awaiting_user", "waiting"):
        raise awaiting(ledger.reader, run_id)
    if done.status != "completed":
        raise outcome_of(done)
    return ledger.reader.values.json(done.result_ref)
