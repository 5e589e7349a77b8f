"""A worker: a process that executes runs of queues, over a shared ledger. Any number of them, on any machines.

Its event loop executes; the queues hand runs over in threads of their own, and leases are kept by one more thread, so
that an agent that computes in Python keeps nobody from renewing them.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Final

from runstone.domain.dispatches import DEFAULT_QUEUE, OPTION, QueueSettings
from runstone.engine.dispatched import PARK_AFTER_S, DispatchedEngine
from runstone.engine.driving import Tree
from runstone.engine.places import Places
from runstone.engine.queues import Queues
from runstone.engine.registry import Registry, default_registry
from runstone.engine.relay import Relay
from runstone.errors import NotFound, RunstoneError
from runstone.ledger import Ledger
from runstone.store.writes.dispatching import ReturnDispatch

_LOOK_S: Final = 0.25
"""So often it looks for what is to be relayed even if nothing was signalled."""

_REST_S: Final = 0.01
"""So long the relay rests between two looks, so that what comes meanwhile goes together."""

_FIT_S: Final = 5.0
"""So often it looks how many each worker of its queues is handed."""

_log: Final = logging.getLogger("runstone.worker")


class Worker:
    """Serves queues until `stop`. One in a process."""

    def __init__(
        self,
        ledger: Ledger,
        queues: Queues,
        served: Mapping[str, QueueSettings],
        *,
        slots: int,
        registry: Registry | None = None,
        settings: Mapping[str, QueueSettings] | None = None,
        park_after_s: float = PARK_AFTER_S,
        unclaimed_s: float | None = None,
    ) -> None:
        """`served` are the queues that it takes runs from; `settings` are those of all, for its runs' children."""
        self._ledger = ledger
        self._queues = queues
        self._served = served
        self._settings = served if settings is None else settings
        self._slots = slots
        self._places = Places({name: queue.places(slots) for name, queue in served.items()})
        self._fitted_at = float("-inf")
        self._registry = registry or default_registry()
        self._park_after_s = park_after_s
        self._relay = Relay(ledger.core, ledger.supervisor, queues, unclaimed_s=unclaimed_s)
        ledger.supervisor.judges = lambda: self._relay.on_duty
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = threading.Event()
        self._stopping = asyncio.Event()
        self._stopped = threading.Event()
        self._engine: DispatchedEngine | None = None

    async def run(self) -> None:
        """Serves until `stop` is called; what it still executes then is left to other workers."""
        self._loop = asyncio.get_running_loop()
        ledger = self._ledger
        engine = self._engine = DispatchedEngine(
            ledger.core, ledger.supervisor, ledger.workspace.root, self._registry, slots=self._slots,
            queues=self._settings, park_after_s=self._park_after_s,
        )  # fmt: skip
        engine.timers.begin(Tree(registry=self._registry))
        relaying = threading.Thread(target=self._keep_relaying, name="runstone-relay", daemon=True)
        number = ledger.signals.subscribe(None, self._changed.set)
        try:
            await asyncio.to_thread(self._queues.serve, self._served, self._slots, self._work)
            relaying.start()
            await self._stopping.wait()
        finally:
            ledger.signals.unsubscribe(number)
            self._stopped.set()
            self._places.close()
            self._changed.set()
            await engine.close("its worker was stopped")
            await asyncio.to_thread(self._end, relaying)

    def stop(self) -> None:
        """Ends it, from any thread or signal handler."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stopping.set)

    def _work(self, run_id: str, n: int) -> None:
        """Called in a thread of the queues; comes back when the attempt is over."""
        if self._stopped.is_set() or self._engine is None or self._loop is None:
            return  # it stays unclaimed, and goes to another worker
        queue = self._queue_of(run_id)
        if not self._places.take(queue):
            self._give_back(run_id, n)
            self._places.keep(queue)
            return
        try:
            with suppress(CancelledError):  # the worker was stopped: the ledger says so
                asyncio.run_coroutine_threadsafe(self._engine.take(run_id, n), self._loop).result()
        finally:
            self._places.give(queue)

    def _queue_of(self, run_id: str) -> str:
        """The queue in which the run stood; any for one that was removed."""
        found = next(iter(self._served))
        if len(self._served) > 1:
            with suppress(NotFound):
                placed = self._ledger.get_run(run_id).options.get(OPTION, {})
                found = placed.get("queue", DEFAULT_QUEUE)
        return found if found in self._served else next(iter(self._served))

    def _give_back(self, run_id: str, n: int) -> None:
        write = ReturnDispatch(run_id, n, "its worker has as many as it takes", 0.0, at_once=True)
        with suppress(
            RunstoneError
        ):  # it was removed; or the ledger is away, and the relay finds it unclaimed
            self._ledger.core.submit(write, []).result()

    def _fit(self) -> None:
        """Looks now and then how wide the queues are, as another worker may have set them up."""
        if time.monotonic() < self._fitted_at + _FIT_S:
            return
        self._fitted_at = time.monotonic()
        for name, settings in self._served.items():
            self._places.fit(name, self._queues.width(name, settings, self._slots))

    def _keep_relaying(self) -> None:
        while not self._stopped.is_set():
            self._changed.clear()
            more = False
            try:
                more = self._relay.turn()
                self._fit()
            except RunstoneError as error:
                _log.warning("dispatches could not be relayed, and will be: %s", error)
                self._stopped.wait(_LOOK_S)
            except Exception:
                _log.exception("dispatches could not be relayed, and will be")
                self._stopped.wait(_LOOK_S)
            if not more:
                self._changed.wait(_LOOK_S)
                self._stopped.wait(_REST_S)

    def _end(self, relaying: threading.Thread) -> None:
        if relaying.ident is not None:
            relaying.join(5)
        self._queues.close()
