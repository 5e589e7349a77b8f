"""The writes of a run's handle as JSON, on their way from a client to the server: one operation for each.

Values that are JSON already are put in as they are (`msgspec.Raw`). What a client sends was cleaned where it was
written; the server checks and cleans it again, as it cannot know that.
"""

import threading
from collections import OrderedDict
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from runstone.domain import budgets, codec, events, inputs
from runstone.domain.bounds import bounded, role_of
from runstone.domain.inputs import Question
from runstone.domain.state import Change, Place, Saved
from runstone.domain.telemetry import Usage
from runstone.engine import prices
from runstone.engine.core import Core
from runstone.errors import InvalidInput, NotFound, RevisionConflict
from runstone.store.base import Row, Write
from runstone.store.blobs import pack, unpack
from runstone.store.writes.asking import AskAndPark
from runstone.store.writes.checkpoints import SaveCheckpoint
from runstone.store.writes.events import Append, AppendMessages, NewEvent, NewMessage, ReportUsage
from runstone.store.writes.inputs import AskInput
from runstone.store.writes.lifecycle import EndRun, ParkRun, UpdateRun, YieldRun
from runstone.store.writes.verbs import TakeSteering

_ENDS: Final = ("run.completed", "run.failed", "run.cancelled")
_END_FIELDS: Final = {"summary": str, "implicit": bool, "reason": str, "error": dict}
_KEY_BYTES: Final = 500
_STATES_KEPT: Final = 64
"""Runs whose last state a server remembers the hashes of; that of another one is loaded again."""
_TOOL_CHARACTERS: Final = 200


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="write"):
    """One write of an attempt of a run. Times are microseconds UTC."""

    run_id: str
    attempt: int


class OpenRunOperation(Operation, frozen=True, kw_only=True, tag="open"):
    """Starts a run; `fields` are those of `start_run`. The value is the attempt's number, `attempt` or a refusal."""

    fields: dict[str, Any]
    at: int


class EventItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event. `tool` is the tool whose call ended, and whether it failed."""

    type: str
    at: int
    payload: Any = {}
    importance: int | None = None
    event_key: str | None = None
    tool: tuple[str, bool] | None = None


class EventsOperation(Operation, frozen=True, kw_only=True, tag="events"):
    """Appends events. The value is the last (seq, position)."""

    events: list[EventItem]


class UsageOperation(Operation, frozen=True, kw_only=True, tag="usage"):
    """Accounts for a provider request; one without a cost is priced by the server. The value says whether it is new."""

    report: dict[str, Any]
    new_id: bool = False


class MessageItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message."""

    role: str
    text: str
    at: int
    extra: Any = UNSET


class MessagesOperation(Operation, frozen=True, kw_only=True, tag="messages"):
    """Adds messages to the run's worker thread. The value is the last one's id."""

    thread_id: str
    messages: list[MessageItem]


class UpdateOperation(Operation, frozen=True, kw_only=True, tag="update"):
    """Edits the title or the labels."""

    title: str | None = None
    labels: dict[str, str] | None = None


class CheckpointOperation(Operation, frozen=True, kw_only=True, tag="checkpoint"):
    """Saves what changed since checkpoint `after`. The value is the new one's number."""

    after: int
    change: Change
    label: str | None = None


class EndOperation(Operation, frozen=True, kw_only=True, tag="end"):
    """Ends the run: `type` is run.completed, run.failed or run.cancelled."""

    type: str
    payload: dict[str, Any]
    result: Any = UNSET


class PauseOperation(Operation, frozen=True, kw_only=True, tag="pause"):
    """Pauses the run, with its state."""

    reason: str
    checkpoint: CheckpointOperation | None = None


class AskOperation(Operation, frozen=True, kw_only=True, tag="ask"):
    """Asks a person, and leaves the run. The value is {input_id, status}."""

    input_id: str
    message: str
    key: str | None = None
    reason: str | None = None
    choices: list[Any] | None = None
    schema: dict[str, Any] | None = None
    expires_at: int | None = None
    default: Any = UNSET
    asked: str | None = None
    checkpoint: CheckpointOperation | None = None


class LeaveOperation(Operation, frozen=True, kw_only=True, tag="leave"):
    """Leaves the run interrupted."""

    reason: str


class SteeringOperation(Operation, frozen=True, kw_only=True, tag="steering"):
    """Takes the messages that the run was sent. The value lists their texts."""

    thread_id: str


AnyOperation = (
    OpenRunOperation
    | EventsOperation
    | UsageOperation
    | MessagesOperation
    | UpdateOperation
    | CheckpointOperation
    | EndOperation
    | PauseOperation
    | AskOperation
    | LeaveOperation
    | SteeringOperation
)


class SendChange(Write):
    """A checkpoint as a client sends it; the server knows what it changes, and makes a `SaveCheckpoint` of it."""

    __slots__ = ("after", "attempt", "change", "label", "run_id")

    def __init__(self, run_id: str, attempt: int, change: Change, *, label: str | None, after: int) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.change = change
        self.label = label
        self.after = after


# --- at the client -------------------------------------------------------------------------------------------------


def operation_of(write: Write) -> AnyOperation:
    """The operation that a handle's write is."""
    of: Any = write
    whose: Any = {"run_id": getattr(of, "run_id", ""), "attempt": getattr(of, "attempt", 0)}
    match of:
        case Append():
            return EventsOperation(**whose, events=[_event_item(event) for event in of.events])
        case ReportUsage():
            report = {**of.usage.payload(), "at": of.usage.at}
            return UsageOperation(**whose, report=report, new_id=of.new_id)
        case AppendMessages():
            messages = [_message_item(message) for message in of.messages]
            return MessagesOperation(**whose, thread_id=of.thread_id, messages=messages)
        case UpdateRun():
            return UpdateOperation(**whose, **of.changes)
        case SendChange():
            return _checkpoint_operation(of)
        case EndRun():
            result = UNSET if of.blob is None else Raw(_raw(of.blob))
            return EndOperation(**whose, type=of.event_type, payload=of.payload, result=result)
        case TakeSteering():
            return SteeringOperation(**whose, thread_id=of.thread_id)
        case _:
            return _leaving_operation(of)


def _leaving_operation(of: Any) -> AnyOperation:
    match of:
        case ParkRun():
            saved = None if of.extra is None else _checkpoint_operation(of.extra)
            reason = of.payload["reason"]
            return PauseOperation(run_id=of.run_id, attempt=of.attempt, reason=reason, checkpoint=saved)
        case AskAndPark():
            return _ask_operation(of)
        case YieldRun():
            return LeaveOperation(run_id=of.run_id, attempt=of.attempt, reason=of.reason)
        case _:
            raise InvalidInput(f"a client cannot send {type(of).__name__}")


def _event_item(event: NewEvent) -> EventItem:
    payload = event.payload if event.blob is None else _raw(event.blob)
    return EventItem(
        type=event.type, at=event.at, payload=Raw(payload), importance=event.importance, event_key=event.event_key,
        tool=event.tool,
    )  # fmt: skip


def _message_item(message: NewMessage) -> MessageItem:
    text = message.text if message.blob is None else _raw(message.blob).decode()
    extra = message.extra.encode() if message.extra is not None else None
    if message.extra_blob is not None:
        extra = _raw(message.extra_blob)
    return MessageItem(
        role=message.role, text=text or "", at=message.at, extra=UNSET if extra is None else Raw(extra)
    )


def _checkpoint_operation(of: Any) -> CheckpointOperation:
    return CheckpointOperation(
        run_id=of.run_id, attempt=of.attempt, after=of.after, change=of.change, label=of.label
    )


def _ask_operation(of: AskAndPark) -> AskOperation:
    asked = of.ask.asked
    saved = None if of.checkpoint is None else _checkpoint_operation(of.checkpoint)
    return AskOperation(
        run_id=of.ask.run_id, attempt=of.ask.attempt or 0, input_id=of.ask.input_id, message=asked.message,
        key=asked.key, reason=asked.reason, choices=None if asked.choices is None else list(asked.choices),
        schema=asked.schema, expires_at=asked.expires_at, default=_raw_or_unset(asked.default), asked=asked.asked,
        checkpoint=saved,
    )  # fmt: skip


def _raw(blob: Row) -> bytes:
    digest, number, _size, data = blob
    return unpack(digest, number, data)


def _raw_or_unset(data: bytes | None) -> Any:
    return UNSET if data is None else Raw(data)


# --- at the server -------------------------------------------------------------------------------------------------


class WritingDesk:
    """Where a server makes writes of clients' operations: it remembers what the last checkpoints hold. Thread-safe."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._saved: OrderedDict[str, Saved] = OrderedDict()
        self._lock = threading.Lock()

    def places(self, run_id: str, after: int, change: Change) -> list[Place]:
        """The places that the change leads to. One that was found against another checkpoint is refused later."""
        with self._lock:
            known = self._saved.pop(run_id, None)
        before = known if known is not None and known.number == after else self._load(run_id, after)
        places, saved = before.merged(change)
        with self._lock:
            self._saved[run_id] = saved
            while len(self._saved) > _STATES_KEPT:
                self._saved.popitem(last=False)
        return places

    def _load(self, run_id: str, after: int) -> Saved:
        try:
            saved = self.core.reader.states.load(run_id)[1]
        except NotFound:  # its start is in the same batch
            saved = Saved()
        if saved.number != after:
            raise RevisionConflict(
                f"the last checkpoint of run {run_id} is {saved.number}, not {after}", run_id=run_id
            )
        return saved


def write_of(one: AnyOperation, desk: WritingDesk) -> Write:
    """The write that an operation asks for. Raises `InvalidInput` and its subclasses. Not for `open`."""
    core = desk.core
    match one:
        case EventsOperation():
            return Append(one.run_id, one.attempt, [_new_event(item, core) for item in one.events])
        case UsageOperation():
            return _usage_write(one, core)
        case MessagesOperation():
            messages = [_new_message(item, core) for item in one.messages]
            return AppendMessages(
                one.thread_id, messages, run_id=one.run_id, attempt=one.attempt, worker=True
            )
        case UpdateOperation():
            changes: dict[str, Any] = {} if one.title is None else {"title": core.clean("title", one.title)}
            if one.labels is not None:
                changes["labels"] = core.clean_labels(one.labels)
            return UpdateRun(one.run_id, changes, one.attempt)
        case CheckpointOperation():
            return _checkpoint_write(one, desk)
        case EndOperation():
            return _end_write(one, core)
        case SteeringOperation():
            return TakeSteering(one.run_id, one.attempt, one.thread_id)
        case _:
            return _leaving_write(one, desk)


def _leaving_write(one: AnyOperation, desk: WritingDesk) -> Write:
    core = desk.core
    match one:
        case PauseOperation():
            extra = None if one.checkpoint is None else _checkpoint_write(one.checkpoint, desk)
            payload = {"reason": core.clean("reason", one.reason)}
            return ParkRun(one.run_id, one.attempt, "run.paused", payload, extra=extra)
        case AskOperation():
            return _ask_write(one, desk)
        case LeaveOperation():
            return YieldRun(one.run_id, one.attempt, core.redactor.text(bounded("reason", one.reason)))
        case _:
            raise InvalidInput(f"{type(one).__name__} is no write of a handle")


def _new_event(item: EventItem, core: Core) -> NewEvent:
    payload = item.payload
    level = events.check_emit(item.type, payload)
    if item.importance is not None:
        if item.importance not in (events.LOW, events.NORMAL, events.HIGH):
            raise InvalidInput(f"importance is 0, 1 or 2, not {item.importance}")
        level = item.importance
    key = None if item.event_key is None else bounded("event_key", item.event_key, _KEY_BYTES)
    tool = None
    if item.tool is not None:
        tool = codec.row_text(item.tool[0][:_TOOL_CHARACTERS]) or "unknown", item.tool[1]
    data = core.redactor.json(codec.encode(payload))
    return NewEvent(item.type, data, level, _past(item.at, core), key, tool)


def _usage_write(one: UsageOperation, core: Core) -> Write:
    fields = dict(one.report)
    at = fields.pop("at", None)
    try:
        usage = Usage.from_payload(fields, _past(at, core) if type(at) is int else core.now())
    except TypeError as error:
        raise InvalidInput(f"a report of usage lacks a field: {error}") from None
    return prices.report(one.run_id, one.attempt, usage, new_id=one.new_id)


def _new_message(item: MessageItem, core: Core) -> NewMessage:
    extra = None if item.extra is UNSET else core.redactor.json(codec.encode(item.extra))
    return NewMessage(role_of(item.role), core.redactor.message(item.text), _past(item.at, core), extra)


def _checkpoint_write(one: CheckpointOperation, desk: WritingDesk) -> SaveCheckpoint:
    label = None if one.label is None else desk.core.clean("label", one.label)
    places = desk.places(one.run_id, one.after, one.change)
    desk.core.retained(one.run_id, one.after + 1)
    return SaveCheckpoint(one.run_id, one.attempt, places, label=label, after=one.after)


def _end_write(one: EndOperation, core: Core) -> Write:
    if one.type not in _ENDS:
        raise InvalidInput(f"a run is ended by {', '.join(_ENDS)}, not by {codec.shown(one.type)}")
    blob = None if one.result is UNSET else pack(codec.encode(one.result))
    payload = core.redactor.value(_end_payload(one.payload))
    return EndRun(one.run_id, one.attempt, one.type, payload, blob=blob)


def _end_payload(payload: dict[str, Any]) -> dict[str, Any]:
    """What an end says, checked: it becomes fields of the run."""
    for name, value in payload.items():
        kind = _END_FIELDS.get(name)
        if kind is None or not isinstance(value, kind):
            raise InvalidInput(f"the end of a run takes no {name} such as {codec.shown(value)}")
    codec.encode(payload)
    if "reason" in payload:
        payload["reason"] = bounded("reason", payload["reason"])
    error = payload.get("error", {"code": "", "message": ""})
    caused_by = error.get("caused_by", [])
    texts = [error.get("code"), error.get("message"), *(caused_by if isinstance(caused_by, list) else [None])]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidInput("an error has a code and a message, which are texts, and caused_by lists run ids")
    return payload


def _ask_write(one: AskOperation, desk: WritingDesk) -> Write:
    core = desk.core
    now = core.now()
    expires_s = None if one.expires_at is None else max(0, one.expires_at - now) / 1e6
    own_key = one.key is not None and one.key == _budget_key(core, one.run_id)
    asked: Question = inputs.question(
        one.message, now=now, key=None if own_key else one.key, reason=one.reason, choices=one.choices,
        schema=one.schema, expires_s=expires_s, default=one.default,
    )  # fmt: skip
    if one.asked is not None:
        asked = msgspec.structs.replace(asked, asked=bounded("asked", one.asked, 64))
    if own_key:
        asked = msgspec.structs.replace(asked, key=one.key)
    asked = inputs.without_secrets(asked, core.redactor.text)
    saved = None if one.checkpoint is None else _checkpoint_write(one.checkpoint, desk)
    return AskAndPark(AskInput(one.run_id, one.attempt, asked, one.input_id), saved)


def _budget_key(core: Core, run_id: str) -> str | None:
    """The key of the question about the run's budget, which no other question may have."""
    try:
        budget = core.reader.runs.get(run_id).options.get("budget")
    except NotFound:
        return None
    return None if budget is None else budgets.key_of(budget)


def _past(at: int, core: Core) -> int:
    """A client's time; one whose clock is ahead writes nothing into the future."""
    return max(0, min(at, core.now()))
