"""Orders to runs: stop, pause, resume, retry and steer, from any process."""

import builtins
from typing import TYPE_CHECKING, Any

from runstone.domain import codec, orders
from runstone.domain.bounds import asked_id, bounded
from runstone.domain.records import AgentRun, Command
from runstone.domain.resume import ResumePolicy
from runstone.domain.runs import ENDED
from runstone.engine.ambient import COMMAND
from runstone.errors import IllegalTransition, InvalidInput, ValueTooLarge
from runstone.store.writes.boards import MoveCommand, RequestStop
from runstone.store.writes.verbs import GiveOrder, GiveOrders

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_AT_ONCE = 256
"""So many runs are told in one transaction, which others wait for."""


class Commands:
    """`ledger.commands`: orders to runs; each is requested, then acknowledged, and at last applied or rejected."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def give(
        self,
        run_id: str,
        verb: str,
        message: str | None = None,
        *,
        scope: str,
        by: str | None,
        reason: str | None,
        idempotency_key: str | None,
        policy: ResumePolicy | None = None,
        budget: dict[str, Any] | None = None,
    ) -> Command:
        """Orders a run; stop, pause and resume reach all below it, too, where `scope` is subtree.

        `policy` and `budget` are for resume and retry: whoever takes the run goes on with it so, in any process.
        """
        if verb not in orders.VERBS or scope not in ("run", "subtree"):
            known = ", ".join(orders.VERBS)
            raise InvalidInput(
                f"a command is one of {known}, for run or subtree, not {verb!r:.80} {scope!r:.80}"
            )
        by = None if by is None else bounded("by", by, 200)
        if idempotency_key is not None:
            idempotency_key = bounded("idempotency_key", idempotency_key, 200)
        ledger = self._ledger
        payload = self._payload(verb, scope, reason, message) | orders.how(verb, policy, budget)
        if len(codec.encode(payload)) > codec.ROW_TEXT_BYTES:
            raise ValueTooLarge(
                f"an order to a run has at most {codec.ROW_TEXT_BYTES} bytes of JSON",
                hint="put the long text into a file or a thread, and send where it is",
            )
        by = None if by is None else ledger.core.redactor.text(by)
        run = ledger.get_run(asked_id("a run's id", run_id))
        if verb != "stop":
            _check_background(run, verb)
        ledger.reconcile()
        if verb == "stop" and scope == "subtree":  # it must not be said to have stopped while they live
            for child in self._below(run_id, verb):
                ledger.end_orphans(child.id)
        below = self._below(run_id, verb) if scope == "subtree" and verb in orders.CASCADE else []
        new_id = ledger.core.new_id()
        order = self._order(run_id, new_id, verb, payload, by=by, key=idempotency_key)
        if verb == "stop":
            ledger.end_orphans(run_id)
        first = self._hand_down(order, below, verb, by)
        if first != new_id:
            self.carry_down(run_id, first)
        return next(c for c in ledger.reader.commands.of(run_id) if c.id == first)

    def _payload(self, verb: str, scope: str, reason: str | None, message: str | None) -> dict[str, Any]:
        """What the order's row says, cleaned. Raises `InvalidInput`."""
        core = self._ledger.core
        payload: dict[str, Any] = {"scope": scope} if verb in orders.CASCADE else {}
        if reason:
            payload["reason"] = core.clean("reason", reason, 600)
        if (verb == "steer") != (message is not None):
            raise InvalidInput("steer takes a message" if message is None else f"{verb} takes no message")
        if message is not None:
            codec.utf8(message, "message")
            if not message.strip():
                raise InvalidInput("there is nothing in the message")
            payload["message"] = core.redactor.message(message)
        return payload

    def carry_down(self, run_id: str, command_id: str) -> None:
        """Hands an order to all below the run again, as whoever gave it may have died before he had.

        An order of the past is left alone: another one was given since, or something was begun since it was done.
        """
        given = [order for order in self.list(run_id) if order.verb != "steer"]
        order = given[-1] if given else None
        if order is None or order.id != command_id or order.payload.get("scope") != "subtree":
            return
        if self._has_begun_since(run_id, order):
            return
        for below in self._below(run_id, order.verb):
            if not self._has_begun_since(below.id, order):
                self._cascade(below, order.verb, order.requested_by)

    def _has_begun_since(self, run_id: str, order: Command) -> bool:
        attempts = self._ledger.attempts(run_id)
        done_at = order.ended_at
        return done_at is not None and any(attempt.started_at > done_at for attempt in attempts)

    def _order(
        self,
        run_id: str,
        command_id: str,
        verb: str,
        payload: dict[str, Any],
        *,
        by: str | None,
        key: str | None = None,
    ) -> RequestStop | GiveOrder:
        if verb == "stop":
            return RequestStop(run_id, command_id, payload, by=by, idempotency_key=key)
        return GiveOrder(run_id, command_id, verb, payload, by=by, idempotency_key=key)

    def _hand_down(
        self,
        first: RequestStop | GiveOrder,
        below: builtins.list[AgentRun],
        verb: str,
        by: str | None,
    ) -> str:
        """Gives an order to a run and to those below it, in one transaction where they are not very many."""
        given = [self._below_order(run, verb, by) for run in below]
        rest = [order for order in given if order is not None]
        core = self._ledger.core
        command_id: str = core.submit(GiveOrders(first, rest[:_AT_ONCE]), []).result()
        if command_id != first.command_id:
            return command_id
        for start in range(_AT_ONCE, len(rest), _AT_ONCE):
            core.submit(GiveOrders(None, rest[start : start + _AT_ONCE]), []).result()
        return command_id

    def _below(self, run_id: str, verb: str) -> builtins.list[AgentRun]:
        runs = [node.run for node in list(self._ledger.tree(run_id).walk())[1:] if not node.run.detached]
        if verb == "resume":
            return [run for run in runs if run.status_reason == orders.PAUSED_WITH_PARENT]
        return [run for run in runs if run.status not in ENDED]

    def _below_order(self, run: AgentRun, verb: str, by: str | None) -> RequestStop | GiveOrder | None:
        """What a run below is told; None where it cannot be: the order to its parent says so."""
        if verb == "pause" and COMMAND in run.options:
            return None
        reason = {"stop": "parent stopped", "pause": orders.PAUSED_WITH_PARENT, "resume": "parent resumed"}[
            verb
        ]
        told = {"scope": "run", "reason": reason, "cascade": True}
        return self._order(run.id, self._ledger.core.new_id(), verb, told, by=by)

    def _cascade(self, run: AgentRun, verb: str, by: str | None) -> None:
        if verb == "stop":
            self._ledger.end_orphans(run.id)
        order = self._below_order(run, verb, by)
        if order is not None:
            self._ledger.core.submit(GiveOrders(None, [order]), []).result()

    def stop_below(self, run_id: str, *, by: str | None = None) -> None:
        """Stops what is below a run that is being stopped."""
        for below in self._below(run_id, "stop"):
            self._cascade(below, "stop", by)

    def list(self, run_id: str) -> builtins.list[Command]:
        """The orders to a run, from the first."""
        return self._ledger.reader.commands.of(run_id)

    def move(self, command_id: str, status: str, reason: str | None = None) -> None:
        """Moves an order on; the engine says so when it saw it and when it is done."""
        asked_id("a command's id", command_id)
        self._ledger.core.submit(MoveCommand(command_id, status, reason), []).result()


def _check_background(run: AgentRun, verb: str) -> None:
    """Raises `IllegalTransition` for a command in the background: it reads no messages, and stops at no boundary."""
    if COMMAND not in run.options:
        return
    raise IllegalTransition(
        f"run {run.id} is a command in the background, which takes no {verb}",
        hint=f"stop it: runstone runs stop {run.id}; start it again: runstone resume {run.id}",
        run_id=run.id,
        status=run.status,
    )
