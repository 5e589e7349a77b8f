"""The engine of a server: it takes what is queued in its workspace, and leaves it interrupted when the server ends.

It has a thread and an event loop of its own, so that an agent that computes keeps no request waiting.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from runstone import config, execution
from runstone.domain.dispatches import OPTION, Placement
from runstone.domain.records import AgentRun, WorkflowRun
from runstone.engine.driving import Tree
from runstone.engine.local import SLOTS
from runstone.engine.registry import Registry
from runstone.errors import NotFound, RunOutcome, RunstoneError
from runstone.ledger import Ledger
from runstone.queueing import queued_roots

_LOOK_S: Final = 1.0
"""So often it looks by itself: a timer that runs out changes no row."""
_END_S: Final = 4.0
_log: Final = logging.getLogger("runstone.server")


class Engine:
    """Runs what is queued, in a thread of its own."""

    def __init__(
        self, ledger: Ledger, registry: Registry, *, slots: int | None = None, queue: str | None = None
    ) -> None:
        """With a `queue` what is started is left to its workers; it takes what is for no worker."""
        self.placement = None if queue is None else Placement(queue=queue)
        self._ledger = ledger
        self.registry = registry
        self._slots = slots or SLOTS
        self._secrets: dict[str, Mapping[str, str]] = {}
        self._left: dict[str, int] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="runstone-engine", daemon=True)

    def start(self) -> None:
        """Begins to take what is queued."""
        self._thread.start()

    def keep_secrets(self, run_id: str, secrets: Mapping[str, str]) -> None:
        """Values for a run that is about to be queued; in memory only, until it is taken."""
        self._secrets[run_id] = secrets

    def forget(self, run_id: str) -> None:
        """Takes `keep_secrets` back, where the run was not queued after all."""
        self._secrets.pop(run_id, None)

    def look(self) -> None:
        """Has it look for queued runs now; from any thread."""
        loop, changed = self._loop, self._changed
        if loop is not None and changed is not None:
            with suppress(RuntimeError):  # the loop was closed in this moment
                loop.call_soon_threadsafe(changed.set)

    def close(self) -> None:
        """Leaves its runs interrupted and ends, within seconds."""
        self._stopping = True
        self.look()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def knows(self, run: AgentRun) -> bool:
        """Whether what the run came from is registered here."""
        name = run.definition_id if isinstance(run, WorkflowRun) else run.agent_id
        try:
            execution.find_entry(self.registry, name or "")
        except NotFound:
            return False
        return True

    def leaves(self, run: AgentRun) -> bool:
        """Whether the run is for workers, who may have code that is not registered here."""
        return OPTION in run.options

    # --- in its thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            _log.exception("the engine ended")

    async def _main(self) -> None:
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        number = self._ledger.signals.subscribe(None, self.look)
        try:
            async with execution.engine_of(self._ledger, slots=self._slots) as engine:
                engine.timers.begin(Tree(registry=self.registry))
                while not self._stopping:
                    self._changed.clear()
                    self._take()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), _LOOK_S)
                await self._leave()
        finally:
            self._ledger.signals.unsubscribe(number)

    def _take(self) -> None:
        try:
            found = queued_roots(self._ledger)
        except RunstoneError:
            _log.exception("the queue could not be read")
            return
        for run_id in found:
            if run_id not in self._work:
                run = self._ledger.get_run(run_id)
                # One that could not be gone on with is left alone until somebody else has changed it.
                if self.knows(run) and self._left.get(run_id) != _mark(run):
                    self._begin(run)

    def _begin(self, run: AgentRun) -> None:
        task = asyncio.create_task(self._go_on(run))
        self._work[run.id] = task
        task.add_done_callback(lambda _: self._ended(run.id))

    def _ended(self, run_id: str) -> None:
        del self._work[run_id]
        self.look()

    async def _go_on(self, run: AgentRun) -> None:
        secrets = self._secrets.pop(run.id, None)
        try:
            await execution.resume(
                run.id, ledger=self._ledger, registry=self.registry, attempt=run.attempt, secrets=secrets,
                slots=self._slots,
            )  # fmt: skip
        except RunOutcome:
            return  # its row says how it ended
        except RunstoneError as error:
            self._left[run.id] = _mark(self._ledger.get_run(run.id))
            _log.warning("run %s was not gone on with: %s", run.id, error)
        except Exception:
            self._left[run.id] = _mark(self._ledger.get_run(run.id))
            _log.exception("run %s was not gone on with", run.id)

    async def _leave(self) -> None:
        tasks = list(self._work.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_S)


def _mark(run: AgentRun) -> int:
    """What changes when somebody does something with the run."""
    return int(run.updated_at.timestamp() * 1e6)


def registry_of(ledger: Ledger) -> tuple[Registry, config.Config]:
    """What the workspace registers, if its owner trusts it; else nothing."""
    registry = Registry()
    if not config.is_trusted(ledger.workspace.root):
        return registry, config.Config()
    return registry, config.load(ledger.workspace.root, registry)
