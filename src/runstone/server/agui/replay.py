"""A run's AG-UI events from the ledger: a past run is replayed, a live one followed to its end."""

import time
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

from runstone.domain.records import AgentRun, Message, RunEvent
from runstone.errors import NotFound
from runstone.feeds import settled
from runstone.ledger import Ledger
from runstone.server.agui import encoder
from runstone.server.agui.encoder import Encoded, Encoder
from runstone.server.parts import Aside
from runstone.server.stream import frames
from runstone.server.stream.follower import BEAT_S
from runstone.server.stream.hub import Hub

_PAGE: Final = 200
_LOOK_S: Final = 1.0
"""So often a quiet run is looked at: an owner that dies writes no event."""

_SHOWN_BYTES: Final = 256 * 1024
"""A larger state or result is not sent: the ledger has it, and the run's page shows it."""

_MESSAGES: Final = 200
_encoder: Final = msgspec.json.Encoder(enc_hook=str)


class Replay:
    """One stream of one run. Iterate `frames()`; it ends when nothing more comes until somebody does something."""

    def __init__(self, ledger: Ledger, hub: Hub, reads: Aside, run: AgentRun) -> None:
        self._ledger = ledger
        self._hub = hub
        self._reads = reads
        self._run_id = run.id
        self._encoder = Encoder(run)
        self._seq = 0
        self._state: int | None = None
        self._replayed = False

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Frames with one AG-UI event each."""
        self._hub.join()
        try:
            sent_at = time.monotonic()
            while not self._hub.closing:
                end = self._hub.end
                found, over = await self._reads(self._next)
                if found:
                    yield b"".join(b"data: %b\n\n" % _encoder.encode(one) for one in found)
                    sent_at = time.monotonic()
                if over:
                    return
                if (
                    not found
                    and not await self._hub.news(end, _LOOK_S)
                    and time.monotonic() - sent_at >= BEAT_S
                ):
                    yield frames.BEAT
                    sent_at = time.monotonic()
        finally:
            self._hub.leave()

    def _next(self) -> tuple[list[Encoded], bool]:
        """The next events, and whether that is all."""
        reader = self._ledger.reader
        run = reader.runs.get(self._run_id)  # looked at before its events: what ends it is among them then
        events = reader.events.after(self._run_id, after=self._seq, limit=_PAGE)
        found: list[Encoded] = []
        for event in events:
            self._seq = event.seq
            found += self._one(event)
        if len(events) == _PAGE:
            return found, False
        over = settled(reader, self._ledger.workspace.folder, run)
        found += self._caught_up()
        if over and not events and self._encoder.active:
            found += self._close(run)
        return found, over and not events

    def _one(self, event: RunEvent) -> list[Encoded]:
        if event.type == "checkpoint.saved":
            self._state = event.payload.get("number")
        ends = event.type in ("run.completed", "run.awaited", "run.paused", "run.cancelled")
        before = self._snapshots() if ends and self._encoder.active else []
        messages = self._messages(event) if event.type == "message.appended" else None
        result = self._result(event) if event.type == "run.completed" else None
        return [*before, *self._encoder.event(event, messages, result)]

    def _caught_up(self) -> list[Encoded]:
        """At the front: the state that was saved last, and once all that was said."""
        return self._snapshots() if self._encoder.active else []

    def _snapshots(self) -> list[Encoded]:
        found: list[Encoded] = []
        reader = self._ledger.reader
        if self._state is not None:
            number, self._state = self._state, None
            try:
                state = reader.states.value(self._run_id, number)
            except NotFound:  # a retention took it meanwhile
                state = None
            if state is not None and len(_encoder.encode(state)) <= _SHOWN_BYTES:
                found.append({"type": "STATE_SNAPSHOT", "snapshot": state})
        if not self._replayed:
            self._replayed = True
            thread = reader.runs.get(self._run_id).worker_thread_id
            if thread is not None:
                found.append(encoder.snapshot(reader.threads.last_messages(thread, _MESSAGES)))
        return found

    def _messages(self, event: RunEvent) -> list[Message]:
        thread, _, last = event.payload["message_id"].rpartition("#")
        count = event.payload.get("count", 1)
        return self._ledger.reader.threads.messages(thread, after=int(last) - count, limit=count)

    def _result(self, event: RunEvent) -> Any:
        ref = event.payload.get("result_ref")
        if ref is None:
            return None
        data = self._ledger.reader.values.blob(ref)
        return msgspec.Raw(data) if len(data) <= _SHOWN_BYTES else None

    def _close(self, run: AgentRun) -> list[Encoded]:
        """The end of a run that stands still without an event of its own that says so."""
        if run.status == "waiting":
            asked = self._ledger.inputs.below(run.id)
            return self._encoder.interrupted(
                [
                    {
                        "id": one.id,
                        "reason": "input_required",
                        "message": one.message,
                        "metadata": {"runId": one.run_id},
                    }
                    for one in asked
                ]
            )
        return self._encoder.fail(run.status_reason or f"the run is {run.status}", run.status)
