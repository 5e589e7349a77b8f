"""A follower: a position, a filter, and the frames that come next. It holds one page at a time and has no queue."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Final

from runstone.errors import StoreError
from runstone.server.parts import Aside
from runstone.server.stream import frames
from runstone.server.stream.frames import Cursor
from runstone.server.stream.hub import Hub
from runstone.server.stream.pages import Page
from runstone.server.stream.topics import Wanted

BEAT_S: Final = 15.0
"""So long a connection carries nothing at most; proxies close those that are silent for longer."""

SKIPPED: Final = 1_000
"""After so many events that a filter kept back, the client's id is moved on, so that it need not look there again."""

_AGAIN_S: Final = 0.5


class Follower:
    """One stream. Iterate `frames()`."""

    def __init__(self, hub: Hub, reads: Aside, wanted: Wanted, after: Cursor | None) -> None:
        self._hub = hub
        self._reads = reads
        self._wanted = wanted
        self._epoch = hub.pages.epoch
        self._removed = 0
        self._reset: bytes | None = None
        last = hub.pages.last()
        if after is None:
            self._position = last
        elif after.epoch == self._epoch and after.position <= last:
            self._position = after.position
        else:
            self._position = 0
            self._removed = hub.pages.removed()
            why = {"reason": "the cursor belongs to another ledger", "cursor": str(after)}
            self._reset = frames.marker("reset", why, Cursor(self._epoch, 0))
        self._said = self._position

    @property
    def cursor(self) -> Cursor:
        """Up to where everything that is wanted was given out."""
        return Cursor(self._epoch, self._position)

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Bytes of whole frames: what was missed, then what comes, until the hub closes."""
        self._hub.join(buckets=bool(self._wanted.buckets))
        try:
            yield frames.opening(self.cursor)
            if self._reset is not None:
                yield self._reset
            sent_at = time.monotonic()
            while not self._hub.closing:
                found = await self._next(sent_at)
                if found:
                    yield found
                    sent_at = time.monotonic()
            yield frames.marker("reconnect", {"reason": "the server ends"})
        finally:
            self._hub.leave(buckets=bool(self._wanted.buckets))

    async def _next(self, sent_at: float) -> bytes:
        """The next bytes; empty where there is nothing for this client yet."""
        end = self._hub.end
        page = await self._page()
        if page is None:
            left = max(0.0, sent_at + BEAT_S - time.monotonic())
            if await self._hub.news(self._position, left):
                return b""
            return self._move() or frames.BEAT
        found = page.cut(self._wanted, self._position, self._removed)
        self._removed = max(self._removed, page.removed)
        # A page without events: all up to where the hub had read before it was removed.
        self._position = max(self._position, page.end if page.end > page.start else end)
        if found:
            self._said = self._position
            return found
        if self._position - self._said >= SKIPPED or time.monotonic() - sent_at >= BEAT_S:
            return self._move()
        return b""

    def _move(self) -> bytes:
        """The frame that moves the client's id on, where a filter kept events back."""
        if self._position == self._said:
            return b""
        self._said = self._position
        return frames.moved(self.cursor)

    async def _page(self) -> Page | None:
        """What comes behind this follower's position: from the hub if that still has it, else from the ledger."""
        page = self._hub.page_behind(self._position)
        if page is not None and page.serves(self._wanted):
            return page
        if self._position >= self._hub.end and page is None:
            return None
        try:
            return await self._reads(
                self._hub.pages.read, self._position, self._removed, buckets=bool(self._wanted.buckets)
            )
        except StoreError:
            await asyncio.sleep(_AGAIN_S)  # the ledger cannot be read now; nothing is skipped meanwhile
            return None
