"""Carries dispatches from the ledger to the queues, and clears away what is over. What it does twice changes nothing.

Each step is idempotent and can be cut off anywhere: a dispatch is `ready` until it is known to be in line, and stays in
the ledger until its queue has forgotten it. One process does this for all, by a duty that runs out; any other may.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from runstone.domain.dispatches import name_of
from runstone.engine.core import Core
from runstone.engine.queues import Queued, Queues
from runstone.engine.supervisor import Supervisor
from runstone.errors import NotFound
from runstone.store.crashpoints import point
from runstone.store.writes.dispatching import MoveDispatches, ReturnDispatch, TakeDuty
from runstone.store.writes.lifecycle import ResumeRun

DUTY: Final = "dispatch"
_DUTY_S: Final = 3.0
"""So long nobody does it for all when the one on duty dies."""

AT_ONCE: Final = 200
"""Dispatches that one transaction enqueues, or forgets."""

_LATE_S: Final = 1.0
"""A dispatch that is ready for so long is relayed by whoever sees it: the one on duty is slow, or dead."""

_CLEAR_S: Final = 0.25
_OVER_S: Final = 10.0
"""What is over is left in line so long, as the worker that had it is about to end it there itself."""

_TIMERS_S: Final = 0.5
_LOST_S: Final = 2.0


class Relay:
    """One worker's share of it. `turn` is called in a thread, again and again."""

    def __init__(
        self, core: Core, supervisor: Supervisor, queues: Queues, *, unclaimed_s: float | None = None
    ) -> None:
        self._core = core
        self._supervisor = supervisor
        self._queues = queues
        self._duty_s = min(_DUTY_S, 3 * supervisor.heartbeat_s)
        self._unclaimed_s = supervisor.lease_s if unclaimed_s is None else unclaimed_s
        """So long a dispatch may be in line unseen, before the queue is asked for it."""
        self._held_until = float("-inf")
        self._asked_at = float("-inf")
        self._due: dict[Callable[[], None], float] = {}

    @property
    def on_duty(self) -> bool:
        """Whether this process does it for all."""
        return time.monotonic() < self._held_until

    def turn(self) -> bool:
        """Does what is to be done now. Whether more is left. Raises `StoreError`, and what the queues raise."""
        self._take_duty()
        if not self.on_duty:
            late = self._core.now() - int(_LATE_S * 1e6)
            if not self._core.reader.rows("any_ready_dispatch", before=late)[0][0]:
                return False
            return self._enqueue()
        more = self._enqueue()
        self._now_and_then(self._wake_timers, _TIMERS_S)
        self._now_and_then(self._clear, _CLEAR_S)
        self._now_and_then(self._find_lost, _LOST_S)
        self._now_and_then(self._reconcile, self._supervisor.heartbeat_s)
        return more

    def _now_and_then(self, step: Callable[[], None], every_s: float) -> None:
        if time.monotonic() >= self._due.get(step, 0.0):
            step()
            self._due[step] = time.monotonic() + every_s

    def _take_duty(self) -> None:
        """Takes the duty if it is free, and goes on with it well before it runs out."""
        now = time.monotonic()
        if now < self._held_until - self._duty_s / 2 or now < self._asked_at + self._duty_s / 4:
            return
        self._asked_at = now
        owner = self._supervisor.owner.owner
        known = self._core.reader.rows("duty", duty=DUTY)
        if known and known[0][0] != owner and known[0][1] > self._core.now():
            self._held_until = float("-inf")
            return
        write = TakeDuty(DUTY, owner, self._duty_s)
        mine: bool = self._core.submit(write, []).result()
        self._held_until = now + self._duty_s if mine else float("-inf")

    def _enqueue(self) -> bool:
        rows = self._core.reader.rows("ready_dispatches", now=self._core.now(), limit=AT_ONCE)
        if not rows:
            return False
        point("relay.before_enqueue")
        self._queues.enqueue(
            [Queued(name_of(run_id, run, n), run_id, queue, rank) for run_id, run, n, queue, rank in rows]
        )
        point("relay.after_enqueue")
        self._move("enqueue_dispatches", [(run, n) for _id, run, n, _queue, _rank in rows])
        return len(rows) == AT_ONCE

    def _clear(self) -> None:
        """Takes what is over out of line, so that nobody's place is held by it, and then out of the ledger."""
        before = self._core.now() - int(_OVER_S * 1e6)
        while rows := self._core.reader.rows("over_dispatches", before=before, limit=AT_ONCE):
            self._queues.forget([name_of(run_id, run, n) for run_id, run, n in rows])
            point("relay.after_forget")
            self._move("forget_dispatches", [(run, n) for _id, run, n in rows])

    def _find_lost(self) -> None:
        """What nobody has claimed for long, and is in line no more, was lost by its worker or by the queue.

        It is given anew under another number: a worker that was slow to claim it must not begin it beside others, now
        that its place in the queue is free.
        """
        before = self._core.now() - int(self._unclaimed_s * 1e6)
        rows = self._core.reader.rows("unclaimed_dispatches", before=before, limit=AT_ONCE)
        if not rows:
            return
        known = {name_of(run_id, run, n): (run_id, run, n) for run_id, run, n in rows}
        there = self._queues.in_line(list(known))
        if lost := known.keys() - there:
            for run_id, _run, n in map(known.__getitem__, lost):
                self._give_anew(run_id, n)
            point("relay.after_losing")
            self._queues.forget(sorted(lost))
        self._move("enqueue_dispatches", [known[name][1:] for name in there])

    def _give_anew(self, run_id: str, n: int) -> None:
        with suppress(NotFound):  # it was removed
            write = ReturnDispatch(run_id, n, "no worker had it any more", 0.0, at_once=True)
            self._core.submit(write, []).result()

    def _move(self, statement: str, numbers: list[tuple[int, int]]) -> None:
        if numbers:
            self._core.submit(MoveDispatches(statement, numbers), []).result()

    def _wake_timers(self) -> None:
        for run_id, retried in self._core.reader.rows("due_dispatched", now=self._core.now()):
            reason = "tried again" if retried else "the time has come"
            self._core.submit(ResumeRun(run_id, reason, expect=frozenset({"waiting"})), []).result()

    def _reconcile(self) -> None:
        self._supervisor.reconcile()
