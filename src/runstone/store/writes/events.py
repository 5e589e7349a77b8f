"""Events, usage and messages of a run."""

from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.domain.telemetry import Usage
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes import texts


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event on its way in, its payload already encoded."""

    type: str
    payload: bytes
    importance: int
    at: int
    event_key: str | None = None
    tool: tuple[str, bool] | None = None
    """A tool call that ended: its name, and whether it failed."""


class Append(Write):
    """Appends a caller's events. The value is the last (seq, position)."""

    __slots__ = ("attempt", "events", "light", "run_id", "size")

    def __init__(self, run_id: str, attempt: int | None, events: list[NewEvent]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.events = events
        size, light = 200, True
        for event in events:
            size += 200 + len(event.payload)
            if event.event_key is not None:
                light = False
        self.size, self.light = size, light

    def decide(self, batch: Batch) -> tuple[int, int]:
        head = batch.cache.heads.get(self.run_id) or batch.head(self.run_id)
        if self.attempt is not None and (head.attempt != self.attempt or head.status != "running"):
            runs.check_fence(head, self.attempt)
        last = (0, 0)
        for event in self.events:
            last = self._append(batch, head, event)
        return last

    def _append(self, batch: Batch, head: Head, event: NewEvent) -> tuple[int, int]:
        if event.event_key is not None and (
            known := batch.read("event_by_key", run=head.pk, event_key=event.event_key)
        ):
            return int(known[0][0]), int(known[0][1])
        at = event.at
        if at - head.updated_at >= runs.TOUCH_US:
            batch.touch(head)
            head.updated_at = at
        data = event.payload
        if len(data) <= codec.ROW_TEXT_BYTES:
            text, ref = data.decode(), None
        else:
            text, ref = batch.text_or_blob(data)
        if event.tool is not None:
            batch.add_tool(head, *event.tool)
        return batch.event_row(
            head, at, event.type, event.importance, text, ref, attempt=self.attempt, event_key=event.event_key
        )


class ReportUsage(Write):
    """Accounts for one provider request, once in its tree. The value says whether it was new."""

    __slots__ = ("attempt", "run_id", "usage")

    def __init__(self, run_id: str, attempt: int | None, usage: Usage) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.usage = usage

    def decide(self, batch: Batch) -> bool:
        head, usage = batch.head(self.run_id), self.usage
        # Spent is spent: a fenced or late attempt's usage counts, so there is no fence here.
        if batch.read("request_known", root=head.root, request_id=usage.request_id):
            return False
        attempt = head.attempt if self.attempt is None else self.attempt
        batch.record(head, "usage.reported", usage.payload(), at=usage.at, attempt=attempt, importance=0)
        batch.stage("insert_usage", head.pk, head.root, usage.request_id, attempt, usage.at, *usage.columns())
        batch.add_totals(head, usage.provider, usage.model, usage.counts())
        return True


class NewMessage:
    """A message on its way in, its text already packed where it is long."""

    __slots__ = ("at", "blob", "extra", "role", "text")

    def __init__(self, role: str, text: str, at: int, extra: bytes | None = None) -> None:
        from runstone.store.blobs import pack

        raw = text.encode()
        self.role = role
        self.at = at
        self.extra = None if extra is None else extra.decode()
        self.text = text if len(raw) <= codec.ROW_TEXT_BYTES else None
        self.blob: Row | None = None if self.text is not None else pack(raw)


class AppendMessages(Write):
    """Appends messages to a thread, made on first use. The value is the last message's id."""

    __slots__ = ("attempt", "importance", "messages", "run_id", "size", "thread_id", "worker")

    def __init__(
        self,
        thread_id: str,
        messages: list[NewMessage],
        *,
        run_id: str | None = None,
        attempt: int | None = None,
        worker: bool = False,
    ) -> None:
        self.thread_id = thread_id
        self.messages = messages
        self.run_id = run_id
        self.attempt = attempt
        self.worker = worker
        self.size = 300 + sum(300 + len(m.text or "") + (len(m.blob[3]) if m.blob else 0) for m in messages)

    def decide(self, batch: Batch) -> str:
        head = None
        if self.run_id is not None:
            head = batch.head(self.run_id)
            if self.attempt is not None:
                runs.check_fence(head, self.attempt)
        rows = batch.read("thread_by_id", thread_id=self.thread_id)
        thread, seq = rows[0] if rows else (batch.number("threads"), 0)
        if not rows:
            owner = head.pk if head is not None and self.worker else None
            batch.stage("insert_thread", thread, self.thread_id, None, owner, batch.now, batch.now)
        if head is not None and self.worker and head.worker_thread_id != self.thread_id:
            batch.record(head, "run.updated", {"worker_thread_id": self.thread_id})
        for message in self.messages:
            seq += 1
            self._stage(batch, head, thread, seq, message)
        batch.stage("touch_thread", thread, batch.now)
        message_id = f"{self.thread_id}#{seq}"
        if head is not None:
            payload: dict[str, Any] = {"thread_id": self.thread_id, "message_id": message_id}
            if len(self.messages) > 1:
                payload["count"] = len(self.messages)
            batch.record(head, "message.appended", payload, attempt=self.attempt, importance=0)
        return message_id

    def _stage(self, batch: Batch, head: Head | None, thread: int, seq: int, message: NewMessage) -> None:
        ref = batch.put_blob(message.blob) if message.blob is not None else None
        number = batch.number("messages")
        run = head.pk if head is not None else None
        batch.stage(
            "insert_message",
            number, thread, seq, message.role, run, self.attempt, message.at, message.text, ref, message.extra,
        )  # fmt: skip
        if message.text is not None and message.text.strip():
            texts.add(batch, "message", message.text, run=run, message=number)
