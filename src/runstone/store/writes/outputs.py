"""What a command in the background printed, and how it ended."""

from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.errors import RevisionConflict, RunIsLive
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes.lifecycle import EndRun


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stream was taken over. `expected` is the offset that the ledger must have before."""

    stream: str
    expected: int
    offset: int
    lines: int
    broken: int
    cut: bool


class TakeOutput(Write):
    """Stores lines of a command, and moves the offsets of its spool files, in one transaction.

    So each line is stored once, whoever is killed: the writes of `parts` happen only if the offsets are where they
    were when the lines were read. `launch` is the attempt that started the command. Without an `attempt` the writer is
    no owner, and the run must have none. No part may refuse what the fence allows.
    """

    __slots__ = ("attempt", "launch", "parts", "run_id", "size", "taken")

    def __init__(
        self, run_id: str, attempt: int | None, launch: int, taken: list[Taken], parts: list[Write]
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.launch = launch
        self.taken = taken
        self.parts = parts
        self.size = 500 + sum(part.size for part in parts)

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        if self.attempt is not None:
            runs.check_fence(head, self.attempt)
        elif head.live:
            raise RunIsLive(f"run {self.run_id} is running, owned by {head.owner}", run_id=self.run_id)
        for one in self.taken:
            rows = batch.read("output_of", run=head.pk, attempt=self.launch, stream=one.stream)
            have = rows[0][0] if rows else 0
            if have != one.expected:
                raise RevisionConflict(
                    f"{one.stream} of attempt {self.launch} of run {self.run_id} was taken over up to byte {have}, not "
                    f"{one.expected}"
                )
        for part in self.parts:
            part.decide(batch)
        for one in self.taken:
            row = (one.stream, one.offset, one.lines, one.broken, int(one.cut))
            batch.stage("save_output", head.pk, self.launch, *row)


class CommandEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How the command of a run ended. All is None where its end was not seen."""

    launch: int
    pgid: int
    exit_code: int | None = None
    signal: int | None = None
    usage: dict[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        """The `process.ended` event."""
        told = {"pgid": self.pgid, "exit_code": self.exit_code, "signal": self.signal}
        return told | ({"usage": self.usage} if self.usage else {})

    def row(self, run: int, now: int) -> Row:
        """The row of `end_process`."""
        usage = None if self.usage is None else codec.encode(self.usage).decode()
        return (run, self.launch, self.pgid, now, self.exit_code, self.signal, usage)


class NoteCommandEnd(Write):
    """Records that the process of a command has ended; part of the write that says what follows from it."""

    __slots__ = ("end", "run_id")

    def __init__(self, run_id: str, end: CommandEnd) -> None:
        self.run_id = run_id
        self.end = end

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.run_id)
        batch.stage("end_process", *self.end.row(head.pk, batch.now))
        batch.record(head, "process.ended", self.end.payload(), attempt=self.end.launch, importance=0)


class EndCommand(EndRun):
    """Ends the process, the attempt and the run together: no claimer may find one of them ended without the others."""

    __slots__ = ("end",)

    def __init__(
        self,
        run_id: str,
        attempt: int,
        event_type: str,
        payload: dict[str, Any],
        end: CommandEnd,
        *,
        blob: Row | None = None,
    ) -> None:
        before = [("process.ended", end.payload())]
        super().__init__(run_id, attempt, event_type, payload, blob=blob, before=before)
        self.end = end

    def decide(self, batch: Batch) -> runs.Head:
        head = super().decide(batch)
        batch.stage("end_process", *self.end.row(head.pk, batch.now))
        return head
