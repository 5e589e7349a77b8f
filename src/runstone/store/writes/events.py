"""Events, usage and messages of a run."""

from collections.abc import Callable
from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.domain.telemetry import Usage
from runstone.errors import InvalidInput
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import pack
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
    blob: Row | None = None
    """A long payload, packed."""


class Append(Write):
    """Appends a caller's events. The value is the last (seq, position). `late` ones are of an ended attempt."""

    __slots__ = ("attempt", "events", "late", "light", "run_id", "size")

    def __init__(self, run_id: str, attempt: int | None, events: list[NewEvent]) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.events = events
        self.late = False
        size, light = 200, True
        for index, event in enumerate(events):
            size += 200 + len(event.payload)
            if event.event_key is not None:
                light = False
            if len(event.payload) > codec.ROW_TEXT_BYTES:
                # Packed here, in the caller's thread: what is too large is refused at once, and no commit waits for it.
                events[index] = msgspec.structs.replace(event, payload=b"", blob=pack(event.payload))
        self.size, self.light = size, light

    def decide(self, batch: Batch) -> tuple[int, int]:
        head = batch.cache.heads.get(self.run_id) or batch.head(self.run_id)
        fenced = head.attempt != self.attempt or head.status != "running"
        if fenced and self.attempt is not None and not self.late:
            runs.check_fence(head, self.attempt)
        if fenced:
            runs.check_here(head)
        last = (0, 0)
        if self.light:
            for event in self.events:
                last = self._append(batch, head, event)
            return last
        known = self._known(batch, head)
        for event in self.events:
            key = event.event_key
            last = known.get(key) or self._append(batch, head, event)
            if key is not None:
                known[key] = last
        return last

    def _known(self, batch: Batch, head: Head) -> dict[str | None, tuple[int, int]]:
        """Where the events are that the run has already, by their keys; in one statement, however many there are."""
        asked = [event.event_key for event in self.events if event.event_key is not None]
        if not asked:
            return {}
        rows = batch.read("events_by_keys", run=head.pk, keys=codec.encode(asked).decode())
        return {key: (seq, position) for key, seq, position in rows}

    def _append(self, batch: Batch, head: Head, event: NewEvent) -> tuple[int, int]:
        at = event.at
        if at - head.updated_at >= runs.TOUCH_US:
            batch.touch(head)
            head.updated_at = at
        body = (event.payload.decode(), None) if event.blob is None else (None, batch.put_blob(event.blob))
        if event.tool is not None:
            batch.add_tool(head, *event.tool)
        return batch.event_row(
            head, at, event.type, event.importance, body, attempt=self.attempt, event_key=event.event_key
        )


class ReportUsage(Write):
    """Accounts for one provider request, once in its tree. The value says whether it was new."""

    __slots__ = ("attempt", "new_id", "price", "run_id", "usage")

    def __init__(
        self,
        run_id: str,
        attempt: int | None,
        usage: Usage,
        *,
        new_id: bool = False,
        price: Callable[[Usage], Usage] | None = None,
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.usage = usage
        self.new_id = new_id  # the request id was made for this report, so that nobody can know it
        self.price = price  # gives the report with its cost, where that is still to be found

    def decide(self, batch: Batch) -> bool:
        head = batch.head(self.run_id)
        runs.check_here(head)
        if self.price is not None:
            self.usage, self.price = self.price(self.usage), None
        usage = self.usage
        # Spent is spent: a fenced or late attempt's usage counts, so there is no fence here.
        if not self.new_id and batch.request_known(head.root, usage.request_id):
            return False
        batch.note_request(head.root, usage.request_id)
        attempt = head.attempt if self.attempt is None else self.attempt
        batch.record(head, "usage.reported", usage.payload(), at=usage.at, attempt=attempt, importance=0)
        batch.stage("insert_usage", head.pk, head.root, usage.request_id, attempt, usage.at, *usage.columns())
        batch.add_totals(head, usage.provider, usage.model, usage.counts())
        return True


class NewMessage:
    """A message on its way in; what is long of it is packed already."""

    __slots__ = ("at", "blob", "extra", "extra_blob", "role", "searched", "text")

    def __init__(self, role: str, text: str, at: int, extra: bytes | None = None) -> None:
        raw = codec.utf8(text, "a message's text")
        short = codec.fits_a_row(raw)
        self.role = role
        self.at = at
        self.text = text if short else None
        self.blob: Row | None = None if short else pack(raw)
        self.searched = texts.indexed(text)
        long_extra = extra is not None and len(extra) > codec.ROW_TEXT_BYTES
        self.extra = None if extra is None or long_extra else extra.decode()
        self.extra_blob: Row | None = pack(extra) if extra is not None and long_extra else None

    @property
    def size(self) -> int:
        """Bytes that it holds in the queue, about."""
        blobs = sum(len(blob[3]) for blob in (self.blob, self.extra_blob) if blob is not None)
        return 300 + 2 * len(self.searched) + len(self.extra or "") + blobs


class SaveThread(Write):
    """Makes a thread, or gives it another title. The value says whether it is new."""

    __slots__ = ("thread_id", "title")

    def __init__(self, thread_id: str, title: str | None) -> None:
        self.thread_id = thread_id
        self.title = title

    def decide(self, batch: Batch) -> bool:
        known = batch.thread(self.thread_id)
        if known is not None and self.title is None:
            return False
        thread, seq = known or (batch.number("threads"), 0)
        batch.stage("save_thread", thread, self.thread_id, self.title, None, batch.now, batch.now, seq)
        batch.set_thread(self.thread_id, thread, seq)
        return known is None


class AppendMessages(Write):
    """Appends messages to a thread, made on first use. The value is the last message's id."""

    __slots__ = ("at", "attempt", "event_key", "late", "messages", "run_id", "size", "thread_id", "worker")

    def __init__(
        self,
        thread_id: str,
        messages: list[NewMessage],
        *,
        run_id: str | None = None,
        attempt: int | None = None,
        worker: bool = False,
        event_key: str | None = None,
        at: int | None = None,
    ) -> None:
        if not messages:
            raise InvalidInput("there is no message to append")
        self.thread_id = thread_id
        self.messages = messages
        self.run_id = run_id
        self.attempt = attempt
        self.late = False
        self.worker = worker
        self.event_key = (
            event_key  # of the event that tells of them; a caller who gives one has looked for it
        )
        self.at = at  # when they were said, where somebody tells of them later
        self.size = 300 + sum(message.size for message in messages)

    def decide(self, batch: Batch) -> str:
        head = None
        if self.run_id is not None:
            head = batch.head(self.run_id)
            if self.attempt is not None and not self.late:
                runs.check_fence(head, self.attempt)
        return self.stage(batch, head, batch.thread(self.thread_id))

    def stage(self, batch: Batch, head: Head | None, place: tuple[int, int] | None) -> str:
        """Stages the messages; `place` is what `batch.thread` says of their thread. Reads nothing."""
        thread, before = place or (batch.number("threads"), 0)
        seq = before + len(self.messages)
        owner = head.pk if head is not None and self.worker else None
        batch.stage("save_thread", thread, self.thread_id, None, owner, batch.now, batch.now, seq)
        batch.set_thread(self.thread_id, thread, seq)
        if head is not None and self.worker and head.worker_thread_id != self.thread_id:
            batch.record(head, "run.updated", {"worker_thread_id": self.thread_id}, at=self.at)
        for number, message in enumerate(self.messages, before + 1):
            self._stage(batch, head, thread, number, message)
        message_id = f"{self.thread_id}#{seq}"
        if head is not None:
            payload: dict[str, Any] = {"thread_id": self.thread_id, "message_id": message_id}
            if len(self.messages) > 1:
                payload["count"] = len(self.messages)
            batch.record(
                head, "message.appended", payload, at=self.at, attempt=self.attempt, importance=0,
                event_key=self.event_key,
            )  # fmt: skip
        return message_id

    def _stage(self, batch: Batch, head: Head | None, thread: int, seq: int, message: NewMessage) -> None:
        ref, extra_ref = (
            None if b is None else batch.put_blob(b) for b in (message.blob, message.extra_blob)
        )
        number = batch.number("messages")
        run = head.pk if head is not None else None
        batch.stage(
            "insert_message",
            number, thread, seq, message.role, run, self.attempt, message.at, message.text, ref, message.extra,
            extra_ref,
        )  # fmt: skip
        if message.searched.strip():
            texts.add(batch, "message", message.searched, run=run, message=number)
