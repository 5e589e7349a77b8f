"""What a handle of a client works with: the counterpart of a ledger's core."""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone.client.addresses import segment
from runstone.client.decoding import telemetry_of
from runstone.client.http import Http
from runstone.client.leases import RemoteLeases
from runstone.client.queue import Queue
from runstone.client.receipts import RemoteReceipt
from runstone.domain import budgets
from runstone.domain.clock import Clock
from runstone.domain.inputs import InputRequest
from runstone.domain.redaction import Redactor
from runstone.domain.state import Change, Saved
from runstone.engine.core import Desk, State
from runstone.engine.wire import SendChange
from runstone.errors import BudgetReached, Misuse, RunstoneError
from runstone.store.base import Write
from runstone.store.batch import Outcome
from runstone.store.writer import Receipt
from runstone.store.writes.asking import AskAndPark
from runstone.store.writes.inputs import Asked
from runstone.store.writes.verbs import TakeSteering

if TYPE_CHECKING:
    from runstone.engine.deliveries import Delivery

_ANSWERED: Final = (AskAndPark, TakeSteering)
"""Writes whose answer the handle needs at once: they are sent, never kept."""


class RemoteSink:
    """Takes a handle's writes."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> Receipt:
        """Queues the write; one whose answer is needed is sent at once, after all before it."""
        if not isinstance(write, _ANSWERED):
            return self._queue.submit(write, unseen)
        receipt = RemoteReceipt(self._queue, [], 0)
        try:
            value = self._queue.ask(write)
        except RunstoneError as error:
            receipt.settle(Outcome(error=error))
        else:
            asked = isinstance(write, AskAndPark)
            receipt.settle(Outcome(msgspec.convert(value, Asked) if asked else value or []))
        return receipt


class RemoteParts(Desk):
    """The parts of one client: they clean, number and queue what a handle writes, and look things up."""

    def __init__(
        self, http: Http, queue: Queue, leases: RemoteLeases, clock: Clock, redactor: Redactor
    ) -> None:
        super().__init__(clock, redactor)
        self.writer = RemoteSink(queue)
        self.queue = queue
        self._http = http
        self._leases = leases

    def submit(self, write: Write, unseen: list[Receipt] | None = None) -> Receipt:
        """Queues a write."""
        return self.writer.submit(write, unseen)

    def worker_thread(self, run_id: str) -> str | None:
        """The thread of a run's own conversation, if it has one."""
        run: dict[str, Any] = self._http.get(f"/runs/{segment(run_id)}")
        return run.get("worker_thread_id")

    def saved(self, run_id: str) -> Saved:
        """What the run's last checkpoint holds."""
        found = self._http.get(f"/runs/{segment(run_id)}/checkpoints")["items"]
        if not found:
            return Saved()
        number = max(one["number"] for one in found)
        state = self._http.get(f"/runs/{segment(run_id)}/checkpoints/{number}")["state"]
        return saved_of(state, number)

    def checkpoint(
        self, run_id: str, attempt: int, before: Saved, new: State, label: str | None
    ) -> tuple[Write, Saved]:
        """The write that saves a state, and what is saved then."""
        if new.append is None:
            change, saved = before.change_to(new.state)
        else:
            change, saved = Change(append=new.append), before.appended(new.append)[1]
        return SendChange(run_id, attempt, change, label=label, after=before.number), saved

    def finished_children(self, run_id: str, attempt: int, limit: int) -> "list[Delivery]":
        """Not over a server: a delivery's acknowledgement belongs into a transaction of the ledger itself."""
        raise Misuse(
            "ends of children are not told over a server yet",
            hint="wait for the children (ledger.wait), or keep the ledger in this process",
        )

    def own_cap(self, run_id: str) -> BudgetReached | None:
        """That the run and all below it have spent its budget."""
        run: dict[str, Any] = self._http.get(f"/runs/{segment(run_id)}")
        budget = run["options"].get("budget") or {}
        spent = telemetry_of(self._http.get(f"/runs/{segment(run_id)}/telemetry")).subtree
        known = budgets.Spent(spent.cost_picousd, spent.tokens)
        if not budget or not (caps := budgets.reached(budget, known)):
            return None
        told = ", ".join(caps.values())
        return BudgetReached(f"run {run_id} is at its cap: {told}", run_id=run_id, budget=budget, caps=caps)

    def steered(self, run_id: str) -> bool:
        """Whether the run was sent messages that it has not had, as the last heartbeat knew."""
        return self._leases.steered(run_id)

    def question(self, input_id: str) -> InputRequest:
        """The input request."""
        return msgspec.convert(self._http.get(f"/inputs/{segment(input_id)}"), InputRequest)


def saved_of(state: Any, number: int) -> Saved:
    """What a checkpoint with that state holds."""
    if number == 0:
        return Saved()
    saved = Saved().changes(state)[1]
    saved.number = number
    return saved
