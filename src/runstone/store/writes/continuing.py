"""Going on with a run that somebody left, with a message: by whoever works on it now, or by its parent.

The message, its event and what lets the run go on are one transaction. So a crash neither loses the message nor adds it
twice: it is given to each attempt until one has saved a state, and the same one again before that is that one.
"""

from typing import Any, Final, NamedTuple

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.errors import AwaitingInput, IllegalTransition, NotAChild, RevisionConflict, RunMismatch
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import unpack
from runstone.store.writes import inputs, lifecycle, orders
from runstone.store.writes.events import AppendMessages, NewMessage
from runstone.store.writes.journal import Hint
from runstone.store.writes.lifecycle import Claimed, ClaimRun

CONTINUABLE: Final = frozenset({"pending", "paused", "interrupted", "awaiting_user", "failed"})
"""Statuses from which a run of one's own loop is continued."""

_BY_PARENT: Final = CONTINUABLE | {"completed"}


class ContinueRun(ClaimRun):
    """Opens the next attempt of a run of one's own loop, which is given the answers and the messages that there are.

    A run that still waits for an answer is refused with `AwaitingInput`, unless it goes on with a `message`: then its
    open questions are withdrawn. `saved` is the checkpoint that the caller has read; a newer one refuses the claim.
    The value is (claimed, ids of the questions that were withdrawn).
    """

    __slots__ = ("message", "saved", "size", "text")

    def __init__(self, *args: Any, message: str | None, saved: int, now: int, **more: Any) -> None:
        super().__init__(*args, expect=CONTINUABLE, reason="continued", **more)
        self.text = message
        self.message = None if message is None else NewMessage("user", message, now)
        self.saved = saved
        self.size = 3000 + (self.message.size if self.message is not None else 0)

    def decide(self, batch: Batch) -> tuple[Claimed, list[str]]:  # type: ignore[override]
        head = batch.head(self.run_id)
        _check_status(head, CONTINUABLE)
        _check_saved(batch, head, self.saved)
        open_ = inputs.open_of(batch, head) if head.status == "awaiting_user" else []
        if open_ and self.message is None:
            raise _still_asks(head, open_)
        before = None if self.text is None else heard(batch, head, self.text)
        claimed = super().decide(batch)
        inputs.withdraw(batch, head, open_)
        batch.stage("claim_answers", head.pk, head.attempt)
        if self.message is not None and before is not None:
            tell(batch, head, self.message, before, by=None, attempt=head.attempt)
        return claimed, [row[1] for row in open_]


class ContinueChild(Write):
    """A parent has its own child go on, also a completed one: message, journal record and status in one transaction.

    The child becomes `pending`, for whatever worker claims it. Records of it keep the result that it had. The value is
    its integer key.
    """

    __slots__ = ("agent_id", "attempt", "child_id", "hint", "message", "run_id", "size", "text")

    def __init__(
        self,
        run_id: str,
        attempt: int,
        child_id: str,
        hint: Hint,
        *,
        message: str,
        agent_id: str | None,
        now: int,
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.child_id = child_id
        self.hint = hint
        self.text = message
        self.message = NewMessage("user", message, now)
        self.agent_id = agent_id
        self.size = 3000 + self.message.size

    def decide(self, batch: Batch) -> int:
        parent, child = batch.head(self.run_id), batch.head(self.child_id)
        runs.check_fence(parent, self.attempt)
        self._check(batch, parent, child)
        open_, before = inputs.open_of(batch, child), heard(batch, child, self.text)
        inputs.withdraw(batch, child, open_)
        if child.status == "completed":
            batch.stage("keep_result", child.pk, child.result_ref, None if child.result_ref else "null")
        if child.superseded:
            batch.record(child, "run.superseded", {"superseded": False})
        tell(batch, child, self.message, before, by=parent.run_id)
        if child.status != "pending":
            batch.stage("delete_waits", child.pk)
            again = "run.reopened" if child.status == "completed" else "run.resumed"
            batch.record(child, again, {"reason": "continued by its parent", "from": child.status})
        hint = self.hint
        batch.stage(
            "insert_journal",
            batch.number("journal"), parent.pk, hint.key, "continue", hint.name, hint.phase, hint.previous, child.pk,
            None, None, self.attempt, batch.now,
        )  # fmt: skip
        return child.pk

    def _check(self, batch: Batch, parent: Head, child: Head) -> None:
        if child.parent != parent.pk:
            raise NotAChild(f"run {child.run_id} is no child of run {parent.run_id}", run_id=child.run_id)
        check_agent(child.run_id, child.agent_id, self.agent_id)
        if child.status == "running":
            raise lifecycle.is_live(batch, child)
        _check_status(child, _BY_PARENT)
        if not child.attempt:
            raise IllegalTransition(
                f"run {child.run_id} has not begun", run_id=child.run_id, status=child.status
            )
        lifecycle.check_whole(batch, child)


class TellRun(Write):
    """Has a command in the background go on with a message: it becomes `pending`, for who starts it again."""

    __slots__ = ("message", "run_id", "size", "text")

    def __init__(self, run_id: str, message: str, now: int) -> None:
        self.run_id = run_id
        self.text = message
        self.message = NewMessage("user", message, now)
        self.size = 3000 + self.message.size

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        if head.status == "running":
            raise lifecycle.is_live(batch, head)
        _check_status(head, CONTINUABLE)
        open_, before = inputs.open_of(batch, head), heard(batch, head, self.text)
        lifecycle.resume(batch, head, "continued")  # it may refuse, so it comes before what is staged
        inputs.withdraw(batch, head, open_)
        tell(batch, head, self.message, before, by=None)


class Heard(NamedTuple):
    """What was read of a run before a message is staged for it."""

    known: bool
    """It is the last message that somebody went on with, and nothing was saved since."""
    place: tuple[int, int] | None
    """Where its thread ends."""


def heard(batch: Batch, head: Head, text: str) -> Heard:
    """Reads what `tell` needs to know."""
    before = batch.read("continued_since_saved", run=head.pk)
    return Heard(bool(before) and _text(batch, before[-1]) == text, batch.thread(_thread_of(head)))


class QueueContinuation(TellRun):
    """As `TellRun`, for a registered agent or workflow, with an order that any process with an engine takes."""

    __slots__ = ("by", "command_id")

    def __init__(self, run_id: str, message: str, now: int, *, command_id: str, by: str | None) -> None:
        super().__init__(run_id, message, now)
        self.command_id = command_id
        self.by = by

    def decide(self, batch: Batch) -> None:
        super().decide(batch)
        orders.give(batch, batch.head(self.run_id), self.command_id, "resume", payload={}, by=self.by)


def tell(
    batch: Batch,
    head: Head,
    message: NewMessage,
    heard: Heard,
    *,
    by: str | None,
    attempt: int | None = None,
) -> None:
    """Stages the message that somebody goes on with, unless it is known."""
    if heard.known:
        return
    thread_id = _thread_of(head)
    messages = AppendMessages(thread_id, [message], run_id=head.run_id, attempt=attempt, worker=True)
    added = messages.stage(batch, head, heard.place)
    told = {"thread_id": thread_id, "message_id": added, "seq": int(added.rpartition("#")[2]), "by": by}
    batch.record(head, "run.continued", {name: value for name, value in told.items() if value is not None})


def _thread_of(head: Head) -> str:
    return head.worker_thread_id or f"{head.run_id}.thread"


def check_agent(run_id: str, have: str | None, asked: str | None) -> None:
    """Raises `RunMismatch` where the run belongs to another agent than the caller thinks."""
    if asked is not None and have != asked:
        raise RunMismatch(
            f"run {run_id} belongs to agent {have}, not {asked}",
            hint=f"see whose it is: runstone runs show {run_id}",
            run_id=run_id,
            field="agent_id",
        )


def _text(batch: Batch, row: Row) -> str:
    _role, text, ref = row
    if ref is None:
        return str(text)
    number, data, _ = batch.read("blob", digest=ref)[0]
    return unpack(ref, number, data).decode()


def _check_status(head: Head, allowed: frozenset[str]) -> None:
    """Raises `IllegalTransition` with what to do instead; one that runs is left to the claim, which says who has it."""
    if head.status in allowed or head.status == "running":
        return
    runs.check_here(head)
    hints = {
        "completed": "see its result: runstone runs show RUN",
        "cancelled": "somebody stopped it; have it tried again first: runstone runs retry RUN",
        "waiting": "it goes on by itself: runstone runs watch RUN",
    }
    raise IllegalTransition(
        f"run {head.run_id} is {head.status}; it cannot be continued",
        hint=hints.get(head.status, "look at it: runstone runs show RUN").replace("RUN", head.run_id),
        run_id=head.run_id,
        status=head.status,
    )


def _check_saved(batch: Batch, head: Head, saved: int) -> None:
    """Raises `RevisionConflict` where another attempt has saved a state since the caller read it."""
    last = batch.read("last_checkpoint", run=head.pk)[0][0]
    if last != saved and head.status != "running":
        raise RevisionConflict(
            f"run {head.run_id} was continued meanwhile: its last checkpoint is {last}, not {saved}",
            run_id=head.run_id,
        )


def _still_asks(head: Head, open_: list[Row]) -> AwaitingInput:
    row = dict(zip(inputs.FIELDS, open_[-1], strict=True))
    answer = f"answer it: runstone inputs answer {row['input_id']}"
    return AwaitingInput(
        f"run {head.run_id} waits for an answer: {codec.clip(head.status_reason or '', 200)}",
        run_id=head.run_id,
        input_id=row["input_id"],
        hint=f"{answer}; or go on without one: continue_run(..., message=)",
    )
