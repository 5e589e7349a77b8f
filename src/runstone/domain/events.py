"""The catalogue of events: what each type means and which fields it must carry.

Any dotted type in the past tense may be written; catalogued ones are checked. Types that change a run's row, its
journal or its totals are written by Runstone itself and refused from `emit`.
"""

import re
from typing import Any, Final

import msgspec

from runstone.errors import InvalidEvent

LOW, NORMAL, HIGH = 0, 1, 2
"""Importance: LOW may be folded away in a view (progress, output), HIGH asks for attention."""

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\Z")


class EventType(msgspec.Struct, frozen=True):
    """One entry of the catalogue. `required` and `optional` map field names to JSON types."""

    summary: str
    required: dict[str, type] = {}
    optional: dict[str, type] = {}
    importance: int = NORMAL
    own: bool = False
    """Written by Runstone itself; `emit` refuses it."""


def _own(summary: str, importance: int = NORMAL, /, **fields: type) -> EventType:
    return EventType(summary, {}, fields, importance, own=True)


CATALOGUE: Final[dict[str, EventType]] = {
    "run.created": _own("The run exists; work has not begun.", kind=str, title=str, parent_run_id=str),
    "run.started": _own(
        "An attempt began; `attempt` is its number and its fence.", attempt=int, owner=str, cwd=str
    ),
    "run.waiting": _own(
        "Parked for children, a timer or a retry; no process holds it.", reason=str, wake_at=int
    ),
    "run.awaited": _own("Parked for an answer of a person.", HIGH, reason=str),
    "run.paused": _own("Paused, with what going on needs saved.", HIGH, reason=str),
    "run.resumed": _own(
        "Ready to go on; the next attempt has not begun. Workers begin none before `not_before`.",
        reason=str,
        not_before=int,
    ),
    "run.reopened": _own("Its parent continues the run after it had completed.", reason=str),
    "run.continued": _own(
        "Somebody goes on with the run, and said so in a message.", thread_id=str, message_id=str, by=str
    ),
    "run.completed": _own("Ended with a result.", HIGH, summary=str, result_ref=str, implicit=bool),
    "run.failed": _own("Ended with an error.", HIGH, error=dict),
    "run.cancelled": _own("Stopped by a person or with its parent.", HIGH, reason=str, by=str),
    "run.moved": _own(
        "It goes on where this export is imported; here it can only be read. `status`, `reason` and `wake_at` are "
        "those that it had.",
        HIGH,
        export=str,
        made_at=str,
        status=str,
        reason=str,
        wake_at=int,
    ),
    "run.returned": _own(
        "The move was taken back: it goes on here, with the status that it had.",
        reason=str,
        status=str,
        wake_at=int,
    ),
    "run.interrupted": _own(
        "The owner is gone; resumable. `living` are process groups of the run that still run.",
        HIGH,
        reason=str,
        last_seen_at=int,
        living=list,
    ),
    "run.updated": _own("Title, labels or links were edited.", title=str, labels=dict),
    "run.marked": _own(
        "Somebody pinned the run or put it into the archive, or took that back.",
        pinned=bool,
        archived=bool,
    ),
    "run.attached": _own(
        "A parent that was unknown became known.", parent_run_id=str, root_run_id=str, depth=int
    ),
    "run.superseded": _own("The parent finished without asking for this child again."),
    "run.pruned": _own(
        "The events before this one were removed; `row` is what they had added up to, and `definition` the one that a "
        "fork was given.",
        row=dict,
        definition=dict,
        pinned=bool,
    ),
    "run.repaired": _own(
        "Rows of the run were written again from its events; `changed` names what they had wrong.",
        changed=list,
    ),
    "dispatch.returned": _own(
        "A worker took the run and could not begin it, or lost it; it is dispatched again.", reason=str
    ),
    "child.started": _own("A child was started.", child_run_id=str, agent_id=str, key=str, phase=str),
    "child.reused": _own(
        "A finished child's result was used again.", child_run_id=str, tokens=int, cost_picousd=int
    ),
    "child.completed": _own("A child ended: completed, failed or cancelled.", child_run_id=str, status=str),
    "phase.started": _own("A phase began.", phase=str, planned=int, concurrency=int),
    "phase.completed": _own("A phase ended well.", phase=str),
    "phase.failed": _own("A phase ended with failed children.", HIGH, phase=str, reason=str),
    "phase.skipped": _own("A phase was not run.", phase=str, reason=str),
    "step.completed": _own("A step's result was recorded.", name=str, key=str, elapsed_ms=int),
    "iteration.started": EventType("A round of an agent's loop began.", {"n": int}),
    "tool.started": EventType("A tool was called.", {"call_id": str, "tool": str}, {"arguments_ref": str}),
    "tool.completed": EventType(
        "A tool's call ended.",
        {"call_id": str},
        {"tool": str, "ok": bool, "output_chars": int, "elapsed_ms": int, "error": str},
    ),
    "timer.set": _own("A durable timer was set; it fires at `wake_at`.", LOW, name=str, key=str, wake_at=int),
    "message.appended": _own(
        "A message was added to a thread.", LOW, thread_id=str, message_id=str, count=int
    ),
    "usage.reported": _own(
        "A provider request was accounted for.", LOW, request_id=str, provider=str, model=str
    ),
    "usage.repriced": _own(
        "A request's cost was computed anew; what its report had told is never changed.",
        LOW,
        request_id=str,
        cost_picousd=int,
        cost_source=str,
        prices=str,
        before_picousd=int,
    ),
    "checkpoint.saved": _own(
        "A state was saved, or taken over by a fork.", number=int, label=str, copied_from=str
    ),
    "checkpoint.removed": _own("Saved states were removed; the others are as they were.", LOW, numbers=list),
    "input.requested": _own(
        "A person was asked.", HIGH, input_id=str, message=str, key=str, choices=list, expires_at=int
    ),
    "input.answered": _own("A question was answered.", input_id=str, answered_by=str),
    "input.expired": _own("Nobody answered a question in time.", HIGH, input_id=str),
    "input.withdrawn": _own("A question is not asked any more.", input_id=str),
    "command.requested": _own(
        "A person or another run gave an order.", command_id=str, verb=str, requested_by=str
    ),
    "command.acknowledged": _own("The owner saw the order.", command_id=str, verb=str),
    "command.applied": _own("The order was carried out.", command_id=str, verb=str),
    "command.rejected": _own("The order could not be carried out.", command_id=str, verb=str, reason=str),
    "process.started": _own("A process was started for the run.", LOW, pid=int, pgid=int, command=list),
    "process.ended": _own(
        "A process of the run ended; `usage` is what it used, where that is known.",
        LOW,
        pid=int,
        exit_code=int,
        signal=int,
        usage=dict,
    ),
    "output.completed": _own(
        "The command said what it did, by a `complete` line.", LOW, summary=str, result=dict
    ),
    "output.broken": _own(
        "A line of a stream broke the line protocol and was kept as text; told once for each stream.",
        HIGH,
        stream=str,
        line=int,
        reason=str,
    ),
    "output.cut": _own(
        "The command opened a stream anew and cut it (`> /dev/stderr`): lines may be missing.",
        HIGH,
        stream=str,
    ),
    "output.late": _own(
        "Much of what the command printed is not in the ledger yet; it waits in its spool files.",
        HIGH,
        bytes=int,
        free_bytes=int,
    ),
    "process.disowned": _own(
        "This ledger was restored from a copy: the process belongs to the original, and is left alone.",
        pgid=int,
        reason=str,
    ),
    "log.written": EventType("A line for people.", {}, {"message": str, "level": str}, LOW),
    "definition.changed": _own("The definition differs from the one that the run was started with.", HIGH),
    "budget.reached": _own("The run is at its cap; nothing new starts.", HIGH, message=str, input_id=str),
    "budget.changed": _own("The run's budget was changed.", budget=dict, by=str, input_id=str),
    "ledger.reset": _own(
        "Given by `tail`, never stored: the cursor belongs to another ledger.", HIGH, reason=str, cursor=str
    ),
    "ledger.gap": _own(
        "Given by `tail`, never stored: events after the cursor were removed.",
        HIGH,
        after=int,
        removed_up_to=int,
    ),
    "retry.stopped": _own(
        "No further try: the last one failed alike and recorded nothing new.", HIGH, reason=str
    ),
}

_OWN_DOMAINS: Final = frozenset({name.split(".")[0] for name, entry in CATALOGUE.items() if entry.own})
_seen_types: set[str] = set()  # types that passed the pattern; bounded below


def check_emit(event_type: str, payload: Any) -> int:
    """Checks a caller's event and gives its default importance. Raises `InvalidEvent`."""
    entry = CATALOGUE.get(event_type) if isinstance(event_type, str) else None
    if entry is None:
        if not isinstance(event_type, str) or event_type not in _seen_types:
            _check_new_type(event_type)
        return NORMAL
    if entry.own:
        raise InvalidEvent(f"{event_type} is written by Runstone itself", hint=_hint(event_type))
    if type(payload) is not dict:
        raise InvalidEvent(f"the payload of {event_type} must be an object, not {type(payload).__name__}")
    for name, kind in entry.required.items():
        if not _is(payload.get(name), kind):
            raise InvalidEvent(
                f"{event_type} needs `{name}` ({kind.__name__}); it has {payload.get(name)!r:.80}"
            )
    for name, kind in entry.optional.items():
        if payload.get(name) is not None and not _is(payload[name], kind):
            raise InvalidEvent(f"`{name}` of {event_type} must be {kind.__name__}, not {payload[name]!r:.80}")
    return entry.importance


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and (kind is not int or not isinstance(value, bool))


def _check_new_type(event_type: str) -> None:
    if not isinstance(event_type, str) or len(event_type) > 100 or not _TYPE.match(event_type):
        raise InvalidEvent(f"{event_type!r:.120} is not a dotted event type such as tool.started")
    if event_type.split(".", maxsplit=1)[0] in _OWN_DOMAINS - {"log"}:
        raise InvalidEvent(f"{event_type} is in a domain that Runstone writes itself", hint=_hint(event_type))
    if len(_seen_types) < 10_000:
        _seen_types.add(event_type)


def _hint(event_type: str) -> str:
    calls = {"usage": "run.usage()", "message": "run.message()", "checkpoint": "run.checkpoint()"}
    call = calls.get(event_type.split(".", maxsplit=1)[0], "run.complete(), run.fail() or run.pause()")
    return f"use {call} or a type of your own"
