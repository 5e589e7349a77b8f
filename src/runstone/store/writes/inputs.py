"""Questions to people: asked, answered, expired, withdrawn; and who is woken by an answer.

An answer is kept in the question's row and, in the same transaction, in the run's journal, where the next attempt and
forks find it as they find a finished step.
"""

from typing import Any, Final

import msgspec

from runstone.domain import codec, inputs, runs
from runstone.domain.inputs import Known, Question
from runstone.domain.runs import Head
from runstone.errors import (
    AlreadyAnswered,
    IllegalTransition,
    InputExpired,
    InputWithdrawn,
    NotFound,
)
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import pack

FIELDS: Final = (
    "pk", "input_id", "run", "attempt", "key", "question", "content", "phase", "previous", "reason", "message",
    "message_ref", "schema_json", "schema_ref", "choices_json", "default_json", "expires_at", "status", "response",
    "response_ref", "answered_by", "asked_at", "closed_at", "claimed", "journal",
)  # fmt: skip
_TOLD_BYTES: Final = 1_000
"""So much of a question is in its event and in the journal; the whole of it is in its row."""


class Asked(msgspec.Struct, frozen=True):
    """The question as it stands: a new one, or the one that was there."""

    input_id: str
    status: str


class AskInput(Write):
    """Asks a question, or finds it asked already. The value is `Asked`.

    Fenced by `attempt`; None is a command of the run, which does not claim: two that ask alike share the question.
    `seen` is the newest journal record that the attempt began with.
    """

    __slots__ = ("asked", "attempt", "blobs", "hints", "input_id", "run_id", "seen", "size", "texts")

    def __init__(
        self,
        run_id: str,
        attempt: int | None,
        asked: Question,
        input_id: str,
        *,
        hints: tuple[str | None, str | None] = (None, None),
        seen: int = 0,
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.asked = asked
        self.input_id = input_id
        self.hints = hints
        self.seen = seen
        schema = None if asked.schema is None else codec.encode(asked.schema)
        self.blobs: list[Row] = []
        self.texts = (*self._text(asked.message.encode()), *self._text(schema))
        self.size = 1500 + sum(len(blob[3]) for blob in self.blobs)

    def _text(self, data: bytes | None) -> tuple[str | None, str | None]:
        if data is None or codec.fits_a_row(data):
            return None if data is None else data.decode(), None
        self.blobs.append(pack(data))
        return None, self.blobs[-1][0]

    def decide(self, batch: Batch) -> Asked:
        return self.stage(batch, *self.look(batch))

    def look(self, batch: Batch) -> tuple[Head, Known | None]:
        """The run, and the question if it is there. Reads, and refuses what may not ask."""
        head = batch.head(self.run_id)
        if self.attempt is not None:
            runs.check_fence(head, self.attempt)
        elif not head.live:
            raise IllegalTransition(
                f"run {head.run_id} is {head.status}; only a running one asks", run_id=head.run_id
            )
        return head, self.known(batch, head)

    def known(self, batch: Batch, head: Head) -> Known | None:
        """The question, if it was asked before. Reads."""
        rows = batch.read("inputs_asked_before", run=head.pk, question=self.asked.identity)
        known = [_known(row) for row in rows]
        share = self.attempt is None
        return inputs.asked_before(self.asked, known, head.attempt, seen=self.seen, share=share)

    def stage(self, batch: Batch, head: Head, known: Known | None) -> Asked:
        """Stages the question, or that this attempt has claimed it."""
        claims = self.attempt is not None
        if known is None:
            self._stage_new(batch, head, head.attempt if claims else 0)
            return Asked(self.input_id, "open")
        if claims and known.claimed < head.attempt:
            batch.stage("claim_input", known.pk, head.attempt)
        return Asked(known.input_id, known.status)

    def _stage_new(self, batch: Batch, head: Head, claimed: int) -> None:
        asked = self.asked
        for blob in self.blobs:
            batch.put_blob(blob)
        choices = None if asked.choices is None else codec.encode(list(asked.choices)).decode()
        default = None if asked.default is None else asked.default.decode()
        batch.stage(
            "save_input",
            batch.number("inputs"), self.input_id, head.pk, head.attempt, asked.key, asked.identity, asked.content,
            *self.hints, asked.reason, *self.texts, choices, default, asked.expires_at, "open", None, None, None,
            batch.now, None, claimed, None,
        )  # fmt: skip
        batch.cache.asking.add(head.pk)
        told = {
            "input_id": self.input_id,
            "message": codec.clip(asked.message, _TOLD_BYTES),
            "key": asked.key,
            "choices": None if asked.choices is None else list(asked.choices),
            "expires_at": asked.expires_at,
        }
        kept = {name: value for name, value in told.items() if value is not None}
        batch.record(head, "input.requested", kept, importance=2)


def _known(row: Row) -> Known:
    pk, input_id, status, content, claimed, journal, dropped, failed_since = row
    return Known(pk, input_id, status, content, claimed, journal, bool(dropped), bool(failed_since))


class AnswerInput(Write):
    """Answers an open question, once, and wakes its run if that is parked. The value says whether it is news.

    The same answer again changes nothing. `response` is JSON that fits the question. Raises `AlreadyAnswered`,
    `InputExpired`, `InputWithdrawn`, `NotFound`.
    """

    __slots__ = ("blob", "by", "input_id", "response", "size")

    def __init__(self, input_id: str, response: bytes, by: str | None) -> None:
        self.input_id = input_id
        self.response = response
        self.blob: Row | None = None if len(response) <= codec.ROW_TEXT_BYTES else pack(response)
        self.by = by
        self.size = 1000 + (len(self.blob[3]) if self.blob else len(response))

    def decide(self, batch: Batch) -> bool:
        rows = batch.read("input_by_id", input_id=self.input_id)
        if not rows:
            raise NotFound(
                f"there is no input request {self.input_id}", hint="list them: runstone inputs list"
            )
        row = dict(zip(FIELDS, rows[0], strict=True))
        if row["status"] == "answered" and self._is_same(row):
            return False
        runs.check_here(batch.head_at(row["run"]))
        _check_open(row, batch.now)
        ref = batch.put_blob(self.blob) if self.blob is not None else None
        answer = (None if self.blob is not None else self.response.decode(), ref)
        from runstone.store.writes.budgets import apply_answer  # it asks, too

        _close(batch, row, "answered", answer, answered_by=self.by)
        apply_answer(batch, row, codec.decode(self.response), self.by)
        return True

    def _is_same(self, row: dict[str, Any]) -> bool:
        if self.blob is not None:
            return bool(row["response_ref"] == self.blob[0])
        return bool(row["response"] == self.response.decode())


def _check_open(row: dict[str, Any], now: int) -> None:
    """Raises what a question says that takes no answer any more."""
    told = {"input_id": row["input_id"]}
    if row["status"] == "answered":
        by = f" by {row['answered_by']}" if row["answered_by"] else ""
        first = "" if row["response"] is None else f": {codec.clip(row['response'], 200)}"
        raise AlreadyAnswered(
            f"input request {row['input_id']} was answered{by} already{first}",
            hint=f"see the answer that counts: runstone inputs show {row['input_id']}",
            **told,
        )
    if row["status"] == "withdrawn":
        raise InputWithdrawn(f"input request {row['input_id']} was withdrawn", **told)
    if row["status"] == "expired" or (row["expires_at"] is not None and row["expires_at"] <= now):
        raise InputExpired(
            f"input request {row['input_id']} has expired",
            hint="its run may ask again: runstone inputs list",
            **told,
        )


def _close(
    batch: Batch,
    row: dict[str, Any],
    status: str,
    answer: tuple[str | None, str | None],
    *,
    answered_by: str | None = None,
) -> None:
    """Stages the end of a question, with what it gave, and wakes its run."""
    head = batch.head_at(row["run"])
    row |= {"status": status, "answered_by": answered_by, "closed_at": batch.now}
    if answer != (None, None):
        row["response"], row["response_ref"] = answer
        row["journal"] = batch.number("journal")
        name = codec.clip(_name(row), _TOLD_BYTES)
        batch.stage(
            "insert_journal",
            row["journal"], head.pk, row["question"], "answer", name, row["phase"], row["previous"], None, *answer,
            row["attempt"], batch.now,
        )  # fmt: skip
    batch.stage("save_input", *(row[name] for name in FIELDS))
    told = {"input_id": row["input_id"], "answered_by": answered_by}
    importance = 2 if status == "expired" else 1
    batch.record(
        head, f"input.{status}", {n: v for n, v in told.items() if v is not None}, importance=importance
    )
    if _is_parked(head):
        batch.stage("delete_waits", head.pk)
        reason = "answered" if status == "answered" else "a question expired"
        batch.record(head, "run.resumed", {"reason": reason, "from": head.status})


def _name(row: dict[str, Any]) -> str:
    return str(row["key"] or row["message"] or "a long question")


def _is_parked(head: Head) -> bool:
    """Whether the run stands where an answer can let it go on: not paused, nor waiting for its next try."""
    return head.status == "awaiting_user" or (
        head.status == "waiting" and head.status_reason in ("children", "timer")
    )


class ExpireInputs(Write):
    """Closes open questions whose time is over; with a default they are taken as that. The value lists their ids."""

    __slots__ = ()

    def decide(self, batch: Batch) -> list[str]:
        rows = batch.read("due_inputs", now=batch.now)
        for values in rows:
            row = dict(zip(FIELDS, values, strict=True))
            _close(batch, row, "expired", (row["default_json"], None))
        return [values[1] for values in rows]


class WithdrawInputs(Write):
    """The run's code does not wait for these questions any more. The value lists those that were open."""

    __slots__ = ("attempt", "ids", "run_id")

    def __init__(self, run_id: str, attempt: int, ids: list[str]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.ids = ids

    def decide(self, batch: Batch) -> list[str]:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        rows = [row for row in open_of(batch, head) if row[1] in self.ids]
        withdraw(batch, head, rows)
        return [row[1] for row in rows]


class TakeAnswer(Write):
    """A command of the run has been given the answer: what it asks alike from now on is another question."""

    __slots__ = ("attempt", "input_id")

    def __init__(self, input_id: str, attempt: int) -> None:
        self.input_id = input_id
        self.attempt = attempt

    def decide(self, batch: Batch) -> None:
        rows = batch.read("input_by_id", input_id=self.input_id)
        if not rows:
            raise NotFound(f"there is no input request {self.input_id}")
        batch.stage("claim_input", rows[0][0], self.attempt)


def open_of(batch: Batch, head: Head) -> list[Row]:
    """The open questions of a run. Reads only where there are some, as each end of a run asks."""
    if not batch.cache.asking.has(batch.db, head.pk):
        return []
    return batch.read("open_inputs_of", run=head.pk)


def withdraw(batch: Batch, head: Head, rows: list[Row]) -> None:
    """Stages that these open questions are not asked any more; called before the run ends."""
    for values in rows:
        row = dict(zip(FIELDS, values, strict=True)) | {"status": "withdrawn", "closed_at": batch.now}
        batch.stage("save_input", *(row[name] for name in FIELDS))
        batch.record(head, "input.withdrawn", {"input_id": row["input_id"]})


def any_closed(batch: Batch, ids: list[str]) -> bool:
    """Whether one of these questions is not open any more. Reads."""
    rows = batch.read("input_statuses", inputs=codec.encode(ids).decode()) if ids else []
    return any(status != "open" for _, status in rows) or len(rows) < len(set(ids))
