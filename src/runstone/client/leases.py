"""The leases of a client's runs: one heartbeat for all of them, which also brings the orders that they are given."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from runstone.client.http import Http, backoff
from runstone.domain.records import Command
from runstone.engine.ports import Held
from runstone.errors import RunstoneError
from runstone.store.base import Write
from runstone.store.writer import Receipt
from runstone.store.writes.lifecycle import YieldRun

PATH: Final = "/handles/beat"
HEARTBEAT_S: Final = 5.0
WAIT_S: Final = 4.0
"""So long the server keeps a heartbeat for an order that may come; a new run has its first one at once."""

_ANSWER_S: Final = 15.0
_REST_S: Final = 0.05
"""Between two heartbeats at least, whatever is answered at once."""
_SEEN: Final = 500

Submit = Callable[[Write, "list[Receipt]"], Receipt]


class RemoteLeases:
    """Keeps the leases of this process's runs on one server. A server that is away takes no run from it.

    What the server has judged lost meanwhile is taken up again with the next heartbeat, unless somebody else has it.
    """

    def __init__(self, http: Http, owner: dict[str, Any], submit: Submit) -> None:
        self.owner = owner
        self._http = http
        self._submit = submit
        self._held: dict[str, Held] = {}
        self._attempts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._abandoned: queue.SimpleQueue[Held] = queue.SimpleQueue()
        self._seen: list[str] = []
        self._steered: frozenset[str] = frozenset()
        self._known = False

    # --- holding -------------------------------------------------------------------------------------------------

    def hold(
        self,
        run_id: str,
        attempt: int,
        lost: Callable[[str], None] | None = None,
        stop: Callable[[Command], None] | None = None,
        pause: Callable[[Command], None] | None = None,
    ) -> Held:
        """Renews the run's lease from now on, until `release`, and tells of orders to stop or pause."""
        held = Held(run_id, attempt, lost, stop, pause)
        with self._lock:
            self._held[run_id] = held
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._beat, name="runstone-heartbeat", daemon=True)
                self._thread.start()
        self._wake.set()
        return held

    def release(self, held: Held) -> bool:
        """Stops renewing; the lease itself ends with the attempt. Whether it was held."""
        with self._lock:
            mine = self._held.get(held.run_id) is held
            if mine:
                del self._held[held.run_id]
        return mine

    def abandon(self, held: Held) -> None:
        """Called when a handle is collected that nobody ended. It may come at any place, so it takes no lock."""
        self._abandoned.put(held)

    def steered(self, run_id: str) -> bool:
        """Whether the last heartbeat knew of messages to the run."""
        return run_id in self._steered

    def close(self, reason: str = "the ledger was closed") -> None:
        """Leaves what is still held interrupted, with the reason, and ends the thread."""
        self._closing.set()
        self._wake.set()
        self._interrupt_abandoned()
        with self._lock:
            held, self._held = list(self._held.values()), {}
        for one in held:
            if one.lost is not None:
                one.lost(reason)
            self._submit(YieldRun(one.run_id, one.attempt, reason), [])

    def join(self) -> None:
        """Waits for the end of the thread; its last request may be under way."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_ANSWER_S)

    def forked(self) -> None:
        """Called in a forked child: it owns nothing."""
        self._lock, self._closing, self._wake = threading.Lock(), threading.Event(), threading.Event()
        self._closing.set()
        self._held, self._thread = {}, None

    # --- the heartbeat -------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        pauses = backoff()
        while not self._closing.is_set():
            self._wake.clear()
            self._interrupt_abandoned()
            with self._lock:
                held = list(self._held.values())
            if not held:
                self._wake.wait(HEARTBEAT_S)
                continue
            try:
                standing = self._ask(held)
            except RunstoneError:
                self._known = False
                self._closing.wait(next(pauses))  # the sooner the better once it is back: leases run
                continue
            pauses = backoff()
            self._known = True
            self._apply(held, standing)
            self._closing.wait(_REST_S)

    def _ask(self, held: list[Held]) -> dict[str, Any]:
        body = {
            "owner": self.owner,
            "held": [{"run_id": one.run_id, "attempt": one.attempt} for one in held],
            "wait_s": WAIT_S if self._known and not self._wake.is_set() else 0.0,
            "seen": self._seen,
        }
        answer: dict[str, Any] = self._http.post(PATH, body, timeout_s=_ANSWER_S)
        return answer

    def _apply(self, held: list[Held], standing: dict[str, Any]) -> None:
        for one, attempt in zip(held, standing["attempts"], strict=True):
            if attempt is None and self.release(one) and one.lost is not None:
                one.lost("another owner has the run, or it has ended")
        with self._lock:  # as it is now: a run may have been left, and gone on with, while the server waited
            by_run = dict(self._held)
        orders = msgspec.convert(standing["orders"], list[Command])
        self._steered = frozenset(order.run_id for order in orders if order.verb == "steer")
        for order in orders:
            if order.id not in self._seen and order.run_id in by_run:
                self._seen = [*self._seen[-_SEEN:], order.id]
                _tell(by_run[order.run_id], order)

    def _interrupt_abandoned(self) -> None:
        """Leaves runs interrupted whose handles were lost: nobody can end them any more."""
        for held in _all(self._abandoned):
            if self.release(held):
                self._submit(YieldRun(held.run_id, held.attempt, "its handle was lost"), [])


def _tell(one: Held, order: Command) -> None:
    tell = None
    if order.verb == "stop":
        tell, one.stop = one.stop, None
    elif order.verb == "pause":
        tell, one.pause = one.pause, None
    if tell is not None:
        tell(order)


def _all(waiting: "queue.SimpleQueue[Held]") -> Iterable[Held]:
    while not waiting.empty():
        yield waiting.get()
