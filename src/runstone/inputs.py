"""`ledger.inputs`: durable questions of runs to people."""

import builtins
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain import budgets, codec, inputs
from runstone.domain.bounds import asked_id
from runstone.domain.inputs import InputRequest
from runstone.domain.records import Page
from runstone.engine.asking import waits_for_person
from runstone.errors import InvalidAnswer, InvalidCursor, InvalidInput
from runstone.store import questions
from runstone.store.writes.inputs import AnswerInput, Asked, AskInput, ExpireInputs, TakeAnswer

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_LOOK_S = 1.0


class Inputs:
    """`ledger.inputs`: the questions that runs ask, and their answers."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def list(
        self,
        *,
        status: str | None = "open",
        run_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[InputRequest]:
        """Input requests, those that wait longest first. `status` is open, answered, expired, withdrawn or None."""
        if type(limit) is not int or not 1 <= limit <= 10_000:
            raise InvalidInput(f"limit is a whole number from 1 to 10000, not {codec.shown(limit)}")
        after = _after(cursor)
        found = questions.page(
            self._ledger.reader, status=status, run_id=run_id, after=after, limit=limit + 1
        )
        more = str(found[limit - 1][1]) if len(found) > limit else None
        return Page(items=[one for one, _ in found[:limit]], next_cursor=more)

    def get(self, input_id: str) -> InputRequest:
        """The input request. Raises `NotFound`."""
        return questions.get(self._ledger.reader, input_id)

    def resolve(self, text: str) -> str:
        """The id that has `text` in it. Raises `NotFound` or `AmbiguousId`."""
        return questions.resolve(self._ledger.reader, text)

    def below(self, run_id: str) -> builtins.list[InputRequest]:
        """The open questions in the tree that the run is part of."""
        return questions.below(self._ledger.reader, run_id)

    def awaited(self, run_id: str) -> bool:
        """Whether the run stands still until a person answers its question, or one of a child that it waits for."""
        return waits_for_person(self._ledger.reader, run_id)

    def ask(
        self,
        run_id: str,
        message: str,
        *,
        choices: Iterable[Any] | None = None,
        key: str | None = None,
        reason: str | None = None,
        schema: dict[str, Any] | None = None,
        expires_s: float | None = None,
        default: Any = msgspec.UNSET,
    ) -> InputRequest:
        """Asks in the name of a run that is running, whoever owns it: for commands and tools of the run.

        An equal question that is open, or whose answer nobody of this attempt has taken, is that one. Raises
        `IllegalTransition` for a run that is not running.
        """
        core = self._ledger.core
        asked = inputs.question(
            message, now=core.now(), choices=choices, key=key, reason=reason, schema=schema, expires_s=expires_s,
            default=default,
        )  # fmt: skip
        asked = inputs.without_secrets(asked, core.redactor.text)
        write = AskInput(asked_id("a run's id", run_id), None, asked, core.new_id())
        found: Asked = core.submit(write, []).result()
        return self.get(found.input_id)

    def answer(self, input_id: str, response: Any, *, by: str | None = None) -> InputRequest:
        """Answers a question, and gives it with the answer; its run goes on wherever a worker is.

        The same answer again is harmless. Raises `AlreadyAnswered`, `InputExpired`, `InputWithdrawn`, `InvalidAnswer`.
        """
        core = self._ledger.core
        found = self.get(input_id)
        if by is not None:
            by = core.clean("by", by, 200)
        if found.status == "open":
            about_budget = (found.key or "").startswith(inputs.BUDGET_KEY)
            try:
                if about_budget:
                    budgets.require_fits(response)
                else:
                    inputs.require_fits(response, found.choices, found.response_schema)
            except InvalidAnswer as error:
                error.hint = f"see the question and what fits: runstone inputs show {found.id}"
                raise
        core.submit(AnswerInput(found.id, codec.canonical(response), by), []).result()
        if found.status == "open" and about_budget and response == budgets.STOP:
            self._ledger.commands.stop_below(found.run_id, by=by)
        return self.get(found.id)

    def wait(self, input_id: str, timeout: float | None = None) -> InputRequest:
        """Waits until the question is open no more, and gives it; after `timeout` seconds as it is."""
        ledger = self._ledger
        first = self.get(input_id)
        changed = threading.Event()
        number = ledger.signals.subscribe(first.run_id, changed.set)
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while True:
                changed.clear()
                found = self.get(input_id)
                if found.closed_at is None and found.status == "expired" and not ledger.readonly:
                    ledger.core.submit(ExpireInputs(), []).result()
                    found = self.get(input_id)
                left = _LOOK_S if until is None else until - time.monotonic()
                if found.status != "open" or left <= 0:
                    return found
                changed.wait(min(_LOOK_S, left))
        finally:
            ledger.signals.unsubscribe(number)

    def take(self, input_id: str) -> None:
        """Notes that a command of the run was given the answer: what it asks alike from now on is a new question."""
        found = self.get(input_id)
        run = self._ledger.get_run(found.run_id)
        self._ledger.core.submit(TakeAnswer(found.id, run.attempt), []).result()


def _after(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not isinstance(cursor, str) or not cursor.isdecimal() or len(cursor) > 18:
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a list of input requests")
    return int(cursor)
