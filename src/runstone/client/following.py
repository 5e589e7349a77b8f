"""Following a server's ledger: each event once and in order, over any number of connections."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec

from runstone.client.http import Http, backoff
from runstone.domain.records import RunEvent
from runstone.errors import ServerUnreachable
from runstone.feeds import marker

_SILENT_S: Final = 30.0
"""The server says that it lives every few seconds; a connection that is silent for longer is given up."""
_TRIES: Final = 30
"""Connections in a row without a frame, before it says that the server is away: about a minute."""


class RemoteTail:
    """Events in commit order. Iterate it with `for` or `async for`; `cursor` continues it elsewhere."""

    def __init__(
        self, http: Http, *, after: str | None, timeout: float | None, run_id: str | None, now: str
    ) -> None:
        self._http = http
        self._timeout = timeout
        self._params = {} if run_id is None else {"topics": f"run:{run_id}"}
        self.cursor = now if after is None else after
        """The cursor of the last event that was given out."""

    def __iter__(self) -> Iterator[RunEvent]:
        quiet_since, failed, pauses = time.monotonic(), 0, backoff()
        while True:
            left = None if self._timeout is None else self._timeout - (time.monotonic() - quiet_since)
            if left is not None and left <= 0:
                return
            try:
                for event in self._connection(left):
                    failed, pauses = 0, backoff()
                    if event is not None:
                        yield event
                        quiet_since = time.monotonic()
                    elif self._timeout is not None and time.monotonic() - quiet_since >= self._timeout:
                        return
            except ServerUnreachable:
                if self._timeout is not None and time.monotonic() - quiet_since >= self._timeout:
                    return
                failed += 1
                if failed >= _TRIES:
                    raise
                time.sleep(next(pauses))

    def _connection(self, left: float | None) -> Iterator[RunEvent | None]:
        """What one connection brings; None for a frame without an event."""
        silent = _SILENT_S if left is None else max(0.05, min(left, _SILENT_S))
        with self._http.stream(
            "/stream", self._params, {"last-event-id": self.cursor}, silent_s=silent
        ) as answer:
            frame: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    name, _, value = line.partition(":")
                    frame[name] = value.removeprefix(" ")
                    continue
                yield from self._frame(frame)
                if frame.get("event") == "reconnect":
                    return
                frame = {}

    def _frame(self, frame: dict[str, str]) -> Iterator[RunEvent | None]:
        kind, data = frame.get("event"), frame.get("data", "")
        if kind in ("reset", "gap"):
            payload: dict[str, Any] = msgspec.json.decode(data) if data else {}
            yield marker(f"ledger.{kind}", payload, 0)
        elif kind is None and data:
            event = msgspec.json.decode(data, type=RunEvent)
            if event.payload_ref is not msgspec.UNSET:
                payload = self._payload(event.payload_ref)
                event = msgspec.structs.replace(
                    event, payload=payload, payload_ref=msgspec.UNSET, payload_bytes=msgspec.UNSET
                )
            self.cursor = frame.get("id", self.cursor)
            yield event
            return
        self.cursor = frame.get("id", self.cursor)
        yield None

    def _payload(self, digest: str) -> Any:
        return msgspec.json.decode(self._http.request("GET", f"/blobs/{digest}").content)

    async def __aiter__(self) -> AsyncIterator[RunEvent]:
        events, done = iter(self), object()
        while (event := await asyncio.to_thread(next, events, done)) is not done:
            assert isinstance(event, RunEvent)
            yield event
