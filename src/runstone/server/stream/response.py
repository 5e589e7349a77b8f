"""An answer that goes on: it ends with its source, with its client, or because the client is too slow."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from litestar.response.base import ASGIResponse, Response

from runstone.server.stream import frames

SLOW_S: Final = 10.0
"""A client that took longer for one page is told to come again, when it can: by its last id it misses nothing."""

STUCK_S: Final = 30.0
"""One that takes nothing for so long is cut."""

_CHUNK_BYTES: Final = 64 * 1024
"""What is handed to the connection at once: beside it, it holds as much."""

MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}

Source = AsyncGenerator[bytes, None]


class EventStream(Response[bytes]):
    """Server-sent events from a generator of whole frames, while they may be given."""

    def __init__(self, source: Source, allowed: Callable[[], bool]) -> None:
        """`allowed` is asked before each page: a token may be revoked while its stream is open."""
        super().__init__(b"", media_type=MEDIA_TYPE)
        self.source = source
        self.allowed = allowed

    def to_asgi_response(self, *args: Any, **named: Any) -> ASGIResponse:
        """The answer, whatever layers above would add to one that ends."""
        return _Streaming(self.source, self.allowed)


class _Streaming(ASGIResponse):
    """Sends what the source gives."""

    _should_set_content_length = False

    def __init__(self, source: Source, allowed: Callable[[], bool]) -> None:
        super().__init__(headers=HEADERS, media_type=MEDIA_TYPE)
        self._source = source
        self._allowed = allowed

    async def send_body(self, send: Any, receive: Any) -> None:
        """Until the source ends or the client goes."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._source.aclose()

    async def _send(self, send: Any) -> None:
        loop = asyncio.get_running_loop()
        async for found in self._source:
            if not self._allowed():  # who comes again is told so
                await send(_body(frames.marker("reconnect", {"reason": "the token is not valid any more"})))
                break
            began = loop.time()
            for start in range(0, len(found), _CHUNK_BYTES):
                async with asyncio.timeout(STUCK_S):
                    await send(_body(found[start : start + _CHUNK_BYTES]))
            if loop.time() - began > SLOW_S:
                why = {"reason": f"a page took more than {SLOW_S:g} s"}
                await send(_body(frames.marker("reconnect", why)))
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
