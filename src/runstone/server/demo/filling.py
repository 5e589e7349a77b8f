"""Fills a workspace with the demo's runs: one that finished, one whose process ended midway twice, one that asks."""

import asyncio
import subprocess
import sys
from typing import Final

from runstone import execution
from runstone.errors import NotFound, RunOutcome, RunstoneError
from runstone.ledger import Ledger
from runstone.server.demo.crew import CHECK, NOTES, UPGRADE, registry

RUNS: Final = {CHECK: "demo-check-1", UPGRADE: "demo-upgrade-1", NOTES: "demo-notes-1"}
"""The run of each workflow: filling again makes no others."""

_TITLES: Final = {CHECK: "Check release 4.2", UPGRADE: "Upgrade dependencies", NOTES: "Release notes for 4.2"}
_INPUTS: Final = {CHECK: {"release": "4.2"}, UPGRADE: None, NOTES: {"release": "4.2"}}
_DONE_AT: Final = (2, 3)
"""The processes of the upgrades end when so many packages are done: the second has reused what the first had."""

_END_S: Final = 60


def fill(ledger: Ledger) -> None:
    """Makes the runs that are not there yet; takes a few seconds. Raises `RunstoneError`."""
    asyncio.run(_fill(ledger))
    ledger.supervisor.settle(RUNS[UPGRADE])


async def _fill(ledger: Ledger) -> None:
    upgrades = asyncio.to_thread(_interrupted, ledger)
    await asyncio.gather(_run(ledger, CHECK), _run(ledger, NOTES), upgrades)


async def _run(ledger: Ledger, name: str) -> None:
    """Runs a workflow until it ends or asks; one that is there already stays as it is."""
    if _exists(ledger, RUNS[name]):
        return
    try:
        await execution.run(
            name, _INPUTS[name], ledger=ledger, run_id=RUNS[name], title=_TITLES[name], labels={"demo": "true"},
            registry=registry(),
        )  # fmt: skip
    except RunOutcome:
        return  # its row says that it asks


def _interrupted(ledger: Ledger) -> None:
    """The upgrades: each process of theirs ends in the middle of its work, without a word."""
    if _exists(ledger, RUNS[UPGRADE]):
        return
    for done in _DONE_AT:
        command = [sys.executable, "-m", "runstone.server.demo", str(ledger.workspace.root), str(done)]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_END_S, check=False
        )
        if ended.returncode != ENDED:
            told = ended.stderr.decode(errors="replace").strip()[-500:]
            raise RunstoneError(f"the demo's upgrades were not to be interrupted: {told}")
        ledger.supervisor.settle(RUNS[UPGRADE])


def _exists(ledger: Ledger, run_id: str) -> bool:
    try:
        ledger.get_run(run_id)
    except NotFound:
        return False
    return True


# --- in a process of its own ------------------------------------------------------------------------------------------

ENDED: Final = 9
"""What the process of the upgrades ends with."""


async def upgrade_until(ledger: Ledger, done: int) -> None:
    """Runs the upgrades, or goes on with them, until so many packages are done."""
    enough = asyncio.Event()
    loop, run_id = asyncio.get_running_loop(), RUNS[UPGRADE]

    def look() -> None:
        found = ledger.list_runs(parent_id=run_id, status="completed", limit=10).items
        if len(found) >= done:
            loop.call_soon_threadsafe(enough.set)

    number = ledger.signals.subscribe(None, look)
    work = asyncio.create_task(
        execution.run(
            UPGRADE, _INPUTS[UPGRADE], ledger=ledger, run_id=run_id, title=_TITLES[UPGRADE], labels={"demo": "true"},
            registry=registry(),
        )
    )  # fmt: skip
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    ledger.signals.unsubscribe(number)
    if not enough.is_set():
        await work
