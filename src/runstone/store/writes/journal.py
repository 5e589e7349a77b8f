"""A run's journal: the children that it started, the steps that it finished, and what it reused."""

from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.bounds import bounded
from runstone.domain.runs import Head
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes.lifecycle import NewRun, create


class Hint(msgspec.Struct, frozen=True):
    """What a durable call knew besides its key; a preference when equal keys are told apart."""

    key: str
    name: str
    phase: str | None = None
    previous: str | None = None

    def __post_init__(self) -> None:
        for what in ("name", "phase"):
            if (text := getattr(self, what)) is not None:
                msgspec.structs.force_setattr(self, what, bounded(what, text, 1_000))


class StartChildren(Write):
    """Creates children of a run, all of them pending, each with its journal record.

    The value lists (journal id, run id, integer key) in the order given.
    """

    __slots__ = ("attempt", "children", "run_id", "size")

    def __init__(self, run_id: str, attempt: int, children: list[tuple[NewRun, Hint]]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.children = children
        self.size = sum(2000 + sum(len(blob[3]) for blob in new.blobs) for new, _ in children)

    def decide(self, batch: Batch) -> list[tuple[int, str, int]]:
        parent = batch.head(self.run_id)
        runs.check_fence(parent, self.attempt)
        return [self._start(batch, parent, new, hint) for new, hint in self.children]

    def _start(self, batch: Batch, parent: Head, new: NewRun, hint: Hint) -> tuple[int, str, int]:
        head = create(batch, new, known_parent=parent)
        number = batch.number("journal")
        batch.stage(
            "insert_journal",
            number, parent.pk, hint.key, "child", hint.name, hint.phase, hint.previous, head.pk, None, None,
            self.attempt, batch.now,
        )  # fmt: skip
        return number, head.run_id, head.pk


class RecordStep(Write):
    """Records a finished step's result, once: journal record and `step.completed`. The value is the journal id."""

    __slots__ = ("attempt", "blob", "elapsed_ms", "hint", "kind", "run_id", "size", "value")

    def __init__(
        self, run_id: str, attempt: int, hint: Hint, value: bytes, elapsed_ms: int, *, kind: str = "step"
    ) -> None:
        from runstone.store.blobs import pack

        self.run_id = run_id
        self.attempt = attempt
        self.hint = hint
        self.kind = kind
        self.elapsed_ms = elapsed_ms
        self.value = value.decode() if len(value) <= codec.ROW_TEXT_BYTES else None
        self.blob: Row | None = None if self.value is not None else pack(value)
        self.size = 800 + (len(self.blob[3]) if self.blob else len(value))

    def decide(self, batch: Batch) -> int:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        ref = batch.put_blob(self.blob) if self.blob is not None else None
        number, hint = batch.number("journal"), self.hint
        batch.stage(
            "insert_journal",
            number, head.pk, hint.key, self.kind, hint.name, hint.phase, hint.previous, None, self.value, ref,
            self.attempt, batch.now,
        )  # fmt: skip
        payload = {"name": hint.name, "key": hint.key, "elapsed_ms": self.elapsed_ms}
        batch.record(head, "step.completed" if self.kind == "step" else "timer.set", payload)
        return number


class RecordReuse(Write):
    """Notes that finished children were used again, with what they had cost; adds nothing to the totals."""

    __slots__ = ("attempt", "children", "run_id")

    def __init__(self, run_id: str, attempt: int, children: list[dict[str, Any]]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.children = children

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        back = [
            child
            for child in map(batch.find, (c["child_run_id"] for c in self.children if "child_run_id" in c))
            if child and child.superseded and child.parent == head.pk
        ]
        for payload in self.children:
            batch.record(head, "child.reused", payload)
        for child in back:
            batch.record(child, "run.superseded", {"superseded": False})


class RecordHandled(Write):
    """The run's code received a child's failure and went on; a later attempt raises it again as recorded."""

    __slots__ = ("attempt", "children", "run_id")

    def __init__(self, run_id: str, attempt: int, children: list[int]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.children = children

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        for pk in self.children:
            batch.stage("mark_handled", head.pk, pk)


class DropRecords(Write):
    """Makes journal records unusable for the attempts to come; what they refer to stays."""

    __slots__ = ("attempt", "numbers", "run_id")

    def __init__(self, run_id: str, attempt: int, numbers: list[int]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.numbers = numbers

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        for number in self.numbers:
            batch.stage("drop_journal", number, self.attempt)


class SetSuperseded(Write):
    """A child that a later attempt asks for again counts again."""

    __slots__ = ("run_id", "superseded")

    def __init__(self, run_id: str, superseded: bool) -> None:
        self.run_id = run_id
        self.superseded = superseded

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        if bool(head.superseded) != self.superseded:
            batch.record(head, "run.superseded", {"superseded": self.superseded})


class StartProcess(Write):
    """Records a process group before it gets input."""

    __slots__ = ("attempt", "command", "identity", "pgid", "run_id")

    def __init__(
        self, run_id: str, attempt: int, pgid: int, identity: dict[str, Any], command: list[str]
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.pgid = pgid
        self.identity = identity
        self.command = command

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        command = codec.encode(self.command).decode()
        identity = codec.encode(self.identity).decode()
        batch.stage(
            "insert_process", head.pk, self.attempt, self.pgid, identity, codec.clip(command), batch.now
        )
        payload = {"pid": self.identity.get("pid"), "pgid": self.pgid, "command": self.command}
        batch.record(head, "process.started", payload, importance=0)


class EndProcess(Write):
    """Records that a process group is gone; by its owner, or by whoever ended what was left of it."""

    __slots__ = ("attempt", "exit_code", "pgid", "run_id", "signal")

    def __init__(
        self, run_id: str, attempt: int, pgid: int, exit_code: int | None, signal: int | None
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.pgid = pgid
        self.exit_code = exit_code
        self.signal = signal

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        batch.stage(
            "end_process", head.pk, self.attempt, self.pgid, batch.now, self.exit_code, self.signal, None
        )
        payload = {"pgid": self.pgid, "exit_code": self.exit_code, "signal": self.signal}
        batch.record(head, "process.ended", payload, attempt=self.attempt, importance=0)
