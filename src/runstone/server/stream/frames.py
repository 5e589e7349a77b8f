"""Frames of server-sent events: the bytes on the wire. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from datetime import datetime
from typing import Any, Final

import msgspec

from runstone.domain import runs
from runstone.domain.records import at
from runstone.errors import InvalidCursor
from runstone.store.reading.told import ToldEvent

RETRY_MS: Final = 1_000
"""So long a client waits before it connects again."""

BEAT: Final = b": \n\n"
"""A comment: it shows that the connection lives, and carries nothing."""

_encoder: Final = msgspec.json.Encoder()


class StreamEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event as the stream tells it: a `RunEvent`, and what it makes of its run.

    A payload of more than 64 KiB is null: `payload_ref` names the blob that has it, `payload_bytes` its length.
    """

    run_id: str
    seq: int
    position: int
    type: str
    payload: msgspec.Raw
    importance: int
    timestamp: datetime
    attempt: int
    event_key: str | None
    status: str | msgspec.UnsetType = msgspec.UNSET
    """The run's status after this event, where the event changes it."""
    payload_ref: str | msgspec.UnsetType = msgspec.UNSET
    payload_bytes: int | msgspec.UnsetType = msgspec.UNSET


class Cursor(msgspec.Struct, frozen=True):
    """A place in a ledger."""

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


def cursor_of(text: str) -> Cursor:
    """The cursor of a text. Raises `InvalidCursor`."""
    epoch, _, position = text.rpartition("-")
    if not epoch or not position.isdecimal() or not position.isascii() or len(position) > 18:
        raise InvalidCursor(f"{text!r:.80} is no cursor of a ledger")
    return Cursor(epoch, int(position))


def event(epoch: str, told: ToldEvent) -> bytes:
    """The frame of an event; its id is the cursor behind it."""
    move = runs.MOVES.get(told.type)
    body = _encoder.encode(
        StreamEvent(
            run_id=told.run_id, seq=told.seq, position=told.position, type=told.type,
            payload=msgspec.Raw(b"null" if told.payload is None else told.payload), importance=told.importance,
            timestamp=at(told.at), attempt=told.attempt, event_key=told.event_key,
            status=msgspec.UNSET if move is None else move[1],
            payload_ref=msgspec.UNSET if told.payload_ref is None else told.payload_ref,
            payload_bytes=msgspec.UNSET if told.payload_bytes is None else told.payload_bytes,
        )
    )  # fmt: skip
    return b"id: %b-%d\ndata: %b\n\n" % (epoch.encode(), told.position, body)


def opening(cursor: Cursor) -> bytes:
    """The first frame: the client has an id to come back with before anything happened."""
    return b"retry: %d\nid: %b\ndata:\n\n" % (RETRY_MS, str(cursor).encode())


def moved(cursor: Cursor) -> bytes:
    """An id alone: nothing for this client until here, and no need to look there again."""
    return b"id: %b\ndata:\n\n" % str(cursor).encode()


def marker(name: str, payload: dict[str, Any], cursor: Cursor | None = None) -> bytes:
    """A frame with a name of its own (reset, gap, reconnect): it is about the stream, and no event of the ledger."""
    head = b"" if cursor is None else b"id: %b\n" % str(cursor).encode()
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), head, _encoder.encode(payload))
