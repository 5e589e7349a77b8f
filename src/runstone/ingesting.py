"""Taking in what is reported from elsewhere: `ledger.ingest`."""

from collections.abc import Iterable
from typing import Any

from runstone.domain import codec, ingest, observed
from runstone.domain.events import check_emit
from runstone.domain.ingest import EventItem, MessageItem, Parsed, RunItem, UsageItem
from runstone.domain.records import Ingested
from runstone.domain.runs import RUN_KINDS
from runstone.engine import prices
from runstone.engine.core import Core
from runstone.errors import InvalidItem, NotFound, RunstoneError, StoreError
from runstone.ledger import new_run
from runstone.store.blobs import pack
from runstone.store.writer import Receipt
from runstone.store.writes.events import AppendMessages, NewEvent, NewMessage
from runstone.store.writes.observed import ObserveRun, Reported, ReportEvents, ReportStatus, Told

_KINDS = RUN_KINDS - {"workflow", "workflow_child"}
"""Kinds that may be reported; the engine makes the others."""

_NEW = frozenset({"kind", "agent_id", "parent_run_id", "input"})
"""Fields of a run item that a run which is there must have alike."""


def take(core: Core, values: Iterable[Any], run_id: str | None = None) -> list[Ingested]:
    """What became of each item, in the order in which they were given. Durable when this returns.

    An item that is refused takes none of the others along. Raises `InvalidInput` for a batch that is too large, and
    `StoreError` if the ledger cannot be written.
    """
    return Taking(core, values, run_id).told()


def _refused(one: Parsed, error: BaseException | None) -> Ingested:
    run_id = None if one.item is None else one.item.run_id
    code, hint = getattr(error, "code", "error"), getattr(error, "hint", None)
    return Ingested(
        index=one.index, outcome="refused", run_id=run_id, code=code, message=str(error), hint=hint
    )


class Taking:
    """The writes of one batch, on their way. Events of one run that follow each other are one write.

    `told()` waits for them and says what became of each item. Raises as `take` does.
    """

    def __init__(self, core: Core, values: Iterable[Any], run_id: str | None = None) -> None:
        self._core = core
        self._parsed = ingest.parse_all(values, run_id)
        self._sent: list[tuple[Receipt, list[Parsed]]] = []
        self._refused: list[Ingested] = []
        self._made: set[str] = set()
        self._tools: dict[tuple[str, str], str] = {}
        self._events: list[tuple[NewEvent, Parsed]] = []
        self._threads: dict[str, str] = {}
        for at, one in ingest.ordered(self._parsed, core.now()):
            self._add(at, one)
        self._send()

    @property
    def receipts(self) -> list[Receipt]:
        """The writes; for who awaits them before `told()`, which then waits no more."""
        return [receipt for receipt, _ in self._sent]

    def _add(self, at: int, one: Parsed) -> None:
        """Queues what the item says."""
        item = one.item
        assert item is not None
        try:
            if isinstance(item, EventItem):
                if self._events and self._events[-1][1].item.run_id != item.run_id:  # type: ignore[union-attr]
                    self._send()
                self._events.append((self._event(item, at), one))
                return
            self._send()
            if isinstance(item, RunItem):
                self._run(item, at, one)
            elif isinstance(item, UsageItem):
                report = item.report("", at)
                inner = prices.report(item.run_id, None, report, new_id=False)
                self._submit(Reported(inner, item.run_id, at), one)
            else:
                self._message(item, at, one)
        except RunstoneError as error:
            self._refused.append(_refused(one, error))

    def _send(self) -> None:
        """Sends the events that were gathered."""
        if self._events:
            events, self._events = self._events, []
            run_id = events[0][1].item.run_id  # type: ignore[union-attr]
            write = ReportEvents(run_id, [event for event, _ in events])
            self._submit(write, *(one for _, one in events))

    def told(self) -> list[Ingested]:
        """What became of each item, in the order in which they were given; waits until all is durable."""
        found = {one.index: one for one in self._refused}
        for receipt, items in self._sent:
            try:
                value = receipt.result()
            except RunstoneError as error:
                if isinstance(error, StoreError):
                    raise  # the ledger itself: nobody knows what became of the others
                found |= {one.index: _refused(one, error) for one in items}
                continue
            for one, told in zip(items, value if isinstance(value, list) else [value], strict=True):
                # Of a run that is made and told of at once, the status is what counts; a refusal stands.
                if (before := found.get(one.index)) is None or before.outcome != "refused":
                    found[one.index] = _taken(one, told, before)
        return [found.get(one.index) or _refused(one, one.error) for one in self._parsed]

    def _submit(self, write: Any, *items: Parsed) -> None:
        self._sent.append((self._core.submit(write, []), list(items)))

    def _run(self, item: RunItem, at: int, one: Parsed) -> None:
        """The first item of a run makes it; whoever has a status comes (again) at the time of that."""
        run = ObserveRun(self._new(item, at), _named(item))
        if item.run_id not in self._made or item.status is None:
            self._made.add(item.run_id)
            self._submit(run, one)
            return
        payload, blob = self._status(item)
        self._submit(ReportStatus(run, item.status, at, payload, blob=blob), one)

    def _new(self, item: RunItem, at: int) -> Any:
        kind = item.kind or "subagent"
        if kind not in _KINDS:
            raise InvalidItem(f"kind is {', '.join(sorted(_KINDS))}, not {codec.shown(kind)}")
        options = {observed.OPTION: {"silent_after_s": item.silent_after_s or ingest.SILENT_S}}
        new = new_run(
            self._core, kind=kind, run_id=item.run_id, parent=item.parent_run_id, title=item.title, prompt=item.prompt,
            input=item.input, thread_id=item.thread_id, labels=item.labels, options=options, agent_id=item.agent_id,
            agent_version=item.agent_version,
        )  # fmt: skip
        new.at = at
        return new

    def _status(self, item: RunItem) -> tuple[dict[str, Any], Any]:
        core = self._core
        payload: dict[str, Any] = {}
        if item.reason is not None:
            payload["reason"] = core.clean("reason", item.reason)
        if item.summary is not None:
            payload["summary"] = codec.clip(core.redactor.text(item.summary))
        if item.status == "failed":
            message = codec.clip(core.redactor.text(item.error or item.reason or "failed"))
            payload["error"] = {"code": "reported", "message": message}
        blob = None if item.result is None else pack(codec.encode(item.result))
        return payload, blob

    def _event(self, item: EventItem, at: int) -> NewEvent:
        level = check_emit(item.type, item.body) if item.importance is None else item.importance
        data = codec.encode(item.body)
        clean = self._core.redactor.json(data)
        tool = None
        if item.type.startswith("tool."):
            tool = self._tool(item, item.body if clean is data else codec.decode(clean))
        key = None if item.key is None else codec.row_text(item.key)
        return NewEvent(item.type, clean, level, at, key, tool)

    def _tool(self, item: EventItem, body: dict[str, Any]) -> tuple[str, bool] | None:
        """The tool and whether it failed, when its call ends; where the end does not name it, as it began here."""
        if item.type == "tool.started":
            self._tools[item.run_id, body["call_id"]] = body["tool"]
        if item.type != "tool.completed":
            return None
        started = self._tools.pop((item.run_id, body["call_id"]), None)
        tool = codec.row_text(str(body.get("tool") or started or "unknown")[:200])
        return tool, body.get("ok") is False

    def _message(self, item: MessageItem, at: int, one: Parsed) -> None:
        core = self._core
        extra = None if item.extra is None else core.redactor.json(codec.encode(item.extra))
        message = NewMessage(item.role, core.redactor.message(item.text), at, extra)
        # A message and an event may have the same key: they are two things.
        key = None if item.key is None else f"message:{codec.row_text(item.key)}"
        inner = AppendMessages(
            self._thread(item.run_id), [message], run_id=item.run_id, worker=True, event_key=key, at=at
        )
        self._submit(Reported(inner, item.run_id, at, key=key, news=True), one)

    def _thread(self, run_id: str) -> str:
        """The run's own thread."""
        if run_id not in self._threads:
            try:
                own = self._core.reader.runs.get(run_id).worker_thread_id
            except NotFound:  # it is made by this batch, or the ledger refuses the message
                own = None
            self._threads[run_id] = own or f"{run_id}.thread"
        return self._threads[run_id]


def _named(item: RunItem) -> frozenset[str]:
    named = {name for name in _NEW if getattr(item, name) is not None}
    return frozenset("input_ref" if name == "input" else name for name in named)


def _taken(one: Parsed, told: Told, before: Ingested | None) -> Ingested:
    """What became of an item; of one that both made its run and moved it, what it did."""
    assert one.item is not None
    outcome = told.outcome
    if before is not None and before.outcome == "accepted":
        outcome = "accepted"
    run_id, seq, position = one.item.run_id, told.seq, told.position
    return Ingested(index=one.index, outcome=outcome, run_id=run_id, seq=seq, position=position)
