"""A run's events, added up: its row and all that stands in rows of its own because events said so.

`verify` compares the history with what is stored, and a repair writes what the history says. So it also knows where it
cannot be relied on: `trouble` names events that are missing, unreadable, or that no run can have.
"""

from typing import Any, Final

import msgspec

from runstone.domain import runs
from runstone.domain.runs import Head
from runstone.domain.telemetry import Usage
from runstone.errors import RunstoneError

NEEDED: Final = runs.FOLDED_TYPES | {
    "usage.repriced", "tool.started", "tool.completed", "checkpoint.saved", "checkpoint.removed",
    "child.started",
}  # fmt: skip
"""Types whose payload says something of a row; of the others only the time counts."""

LATEST: Final = 253_402_300_799_999_999
"""The last microsecond that a date has (year 9999); the first one is 0."""

_TOOL_CHARACTERS: Final = 200


class Trouble(msgspec.Struct, frozen=True):
    """Why the history cannot be relied on: a finding's code, and a sentence."""

    code: str
    text: str


class AttemptRow(msgspec.Struct, frozen=True):
    """An attempt as its table has it."""

    number: int
    owner: str | None
    started_at: int
    ended_at: int | None
    outcome: str | None
    reason: str | None
    first_seq: int


class CheckpointRow(msgspec.Struct, frozen=True):
    """A checkpoint's head as its table has it."""

    number: int
    attempt: int
    label: str | None
    definition_hash: str | None
    parent: int | None
    created_at: int


class Request(msgspec.Struct, frozen=True):
    """A provider request that the run reported."""

    usage: Usage
    attempt: int


class Started(msgspec.Struct, frozen=True):
    """A child that the run started: its journal key, and when."""

    key: str | None
    attempt: int
    at: int


class History:
    """What the events of one run say, as far as they were added."""

    def __init__(self, pk: int, run_id: str) -> None:
        self.head = Head(pk=pk, run_id=run_id, kind="")
        self.attempts: dict[int, AttemptRow] = {}
        self.requests: dict[str, Request] = {}
        self.tools: dict[str, tuple[int, int]] = {}
        self.checkpoints: dict[int, CheckpointRow] = {}
        self.children: dict[str, Started] = {}
        self.count = 0
        """Events that were added."""
        self.trouble: list[Trouble] = []
        self.own_id: str | None = None
        """The run's id, where its events tell it: that of a run that was a root in the beginning."""
        self.pruned = False
        """Events were removed: what they said besides the row is known from the rows alone."""
        self.known_attempts = 1
        """Attempts from this number on are in the events."""
        self._open_calls: dict[tuple[int, str], str] = {}

    @property
    def last_seq(self) -> int:
        """The seq of the newest event."""
        return self.head.last_seq

    def copy(self) -> "History":
        """A history that can go on without changing this one."""
        new = History.__new__(History)
        for name, value in vars(self).items():
            setattr(new, name, value.copy() if isinstance(value, dict | list) else value)
        new.head = msgspec.structs.replace(self.head)
        return new

    def add(self, seq: int, kind: str, payload: Any, at: int, attempt: int) -> None:
        """Adds the next event; `payload` is an object for the types in `NEEDED`."""
        if seq != self.head.last_seq + 1 or (seq == 1 and kind != "run.created"):
            self._doubt("events_missing", f"its events before seq {seq} ({kind}) are not all there")
        if not 0 <= at <= LATEST:
            self._doubt("time_impossible", f"the time of event {seq} ({kind}) is no date: {at}")
        self.head.last_seq = seq
        self.count += 1
        try:
            self._fold(seq, kind, payload, at, attempt)
        except (KeyError, TypeError, ValueError, AttributeError, RunstoneError) as error:
            self.unreadable(seq, kind, error)

    def unreadable(self, seq: int, kind: str, error: Exception) -> None:
        """Notes that an event's payload cannot be read."""
        self.count += self.head.last_seq != seq
        self.head.last_seq = seq
        reason = f"{type(error).__name__}: {error}" if not isinstance(error, RunstoneError) else f"{error}"
        self._doubt("event_unreadable", f"event {seq} ({kind}) cannot be read ({reason})")

    def _doubt(self, code: str, text: str) -> None:
        if len(self.trouble) < 20:
            self.trouble.append(Trouble(code, text))

    def _fold(self, seq: int, kind: str, payload: Any, at: int, attempt: int) -> None:
        head = self.head
        live = head.status == "running"
        if kind in runs.MOVES:
            self._check_move(seq, kind)
        elif kind == "run.pruned":
            self._start_again()
            head = self.head
        runs.apply(head, kind, payload, at)
        if kind in ("run.created", "run.pruned") and head.depth == 0:
            self.own_id = head.root_run_id
        if kind == "run.created":
            head.kind = payload["kind"]
        elif kind == "run.started":
            row = AttemptRow(payload["attempt"], payload.get("owner"), at, None, None, None, seq)
            self.attempts[row.number] = row
        elif live and kind in runs.MOVES:
            self._end_attempt(payload, at)
        elif kind == "run.pruned":
            self.known_attempts = head.attempt + 1
        if kind in _NOTED:
            _NOTED[kind](self, payload, at, attempt)

    def _check_move(self, seq: int, kind: str) -> None:
        if kind == "run.created" and seq == 1:
            return
        if not self.trouble and self.head.status not in runs.MOVES[kind][0]:
            status = self.head.status or "unknown"
            self._doubt("event_impossible", f"event {seq} is {kind}, but by then the run was {status}")

    def _start_again(self) -> None:
        """At a tombstone: what was before it is in it, or known no more, and may be missing."""
        fresh = History(self.head.pk, self.head.run_id)
        fresh.head.last_seq, fresh.count, fresh.own_id = self.head.last_seq, self.count, self.own_id
        vars(self).update(vars(fresh))
        self.pruned = True

    def _end_attempt(self, payload: dict[str, Any], at: int) -> None:
        row = self.attempts.get(self.head.attempt)
        if row is None:
            return  # it began before a tombstone
        error = payload.get("error") or {}
        reason = error.get("message") or payload.get("reason")
        self.attempts[row.number] = msgspec.structs.replace(
            row,
            ended_at=at,
            outcome="failed" if error else self.head.status,
            reason=reason and str(reason)[:1000],
        )

    def _reported(self, payload: dict[str, Any], at: int, attempt: int) -> None:
        self.requests[payload["request_id"]] = Request(Usage.from_payload(payload, at), attempt)

    def _repriced(self, payload: dict[str, Any], _at: int, _attempt: int) -> None:
        known = self.requests.get(payload["request_id"])
        if known is not None:
            new = {name: payload[name] for name in ("cost_picousd", "cost_source", "prices")}
            usage = msgspec.structs.replace(known.usage, **new)
            self.requests[payload["request_id"]] = Request(usage, known.attempt)

    def _attached(self, payload: dict[str, Any], _at: int, _attempt: int) -> None:
        for request_id in payload.get("repeated", ()):
            self.requests.pop(request_id, None)

    def _tool_started(self, payload: dict[str, Any], _at: int, attempt: int) -> None:
        self._open_calls[attempt, payload["call_id"]] = payload["tool"]

    def _tool_completed(self, payload: dict[str, Any], _at: int, attempt: int) -> None:
        started = self._open_calls.pop((attempt, payload.get("call_id", "")), None)
        name = str(payload.get("tool") or started or "unknown")[:_TOOL_CHARACTERS]
        calls, failed = self.tools.get(name, (0, 0))
        self.tools[name] = (calls + 1, failed + (payload.get("ok") is False))

    def _saved(self, payload: dict[str, Any], at: int, attempt: int) -> None:
        number = payload["number"]
        self.checkpoints[number] = CheckpointRow(
            number, attempt, payload.get("label"), self.head.definition_hash, number - 1 or None, at
        )

    def _removed(self, payload: dict[str, Any], _at: int, _attempt: int) -> None:
        for number in payload["numbers"]:
            self.checkpoints.pop(number, None)

    def _child_started(self, payload: dict[str, Any], at: int, attempt: int) -> None:
        self.children[payload["child_run_id"]] = Started(payload.get("key"), attempt, at)


_NOTED: Final = {
    "usage.reported": History._reported,
    "usage.repriced": History._repriced,
    "run.attached": History._attached,
    "tool.started": History._tool_started,
    "tool.completed": History._tool_completed,
    "checkpoint.saved": History._saved,
    "checkpoint.removed": History._removed,
    "child.started": History._child_started,
}
