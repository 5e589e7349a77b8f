"""The hub: reads the ledger once per change, and keeps the last pages for all who are at the front."""

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from runstone.engine.core import POLL_S, Signals
from runstone.errors import StoreError
from runstone.server.stream.pages import Page, Pages
from runstone.store.reads import Reader

_log: Final = logging.getLogger("runstone.server")

RING_BYTES: Final = 8 * 1024 * 1024
"""The pages that are kept, by their frames. A follower that is further behind reads the ledger itself."""


class Hub:
    """One per server. Its methods are called in the event loop. While nobody follows it does nothing."""

    def __init__(self, reader: Reader, signals: Signals, stopping: asyncio.Event) -> None:
        """`stopping` is set when the server is about to end."""
        self.pages = Pages(reader)
        self._stopping = stopping
        self._signals = signals
        self._ring: deque[Page] = deque()
        self._size = 0
        self._end = 0
        self._removed = 0
        self._followers = 0
        self._for_buckets = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self._wake = asyncio.Event()
        # A thread of its own: whoever follows must not wait for long reads of others.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="runstone-hub")
        self._closing = self._failed = False

    # --- following -----------------------------------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether followers are to end."""
        return self._closing or self._failed

    @property
    def end(self) -> int:
        """The position up to which the hub has read."""
        return self._end

    @property
    def followers(self) -> int:
        """How many follow."""
        return self._followers

    def join(self, *, buckets: bool = False) -> None:
        """One more follows. Each `join` is followed by a `leave`."""
        self._followers += 1
        self._for_buckets += buckets
        if not self._tasks:
            self._ring.clear()
            self._size, self._failed = 0, False
            self._end, self._removed = self.pages.last(), self.pages.removed()
            self._tasks = [asyncio.create_task(self._read_on()), asyncio.create_task(self._close_in_time())]
            self._tasks[0].add_done_callback(self._ended)

    def leave(self, *, buckets: bool = False) -> None:
        """One follows no more."""
        self._followers -= 1
        self._for_buckets -= buckets
        if self._followers == 0:
            self._cancel()

    def page_behind(self, position: int) -> Page | None:
        """The kept page that begins at the position or has it in its middle; None where that is not kept any more."""
        for page in reversed(self._ring):  # most are at the front
            if page.start <= position:
                return page if position < page.end else None
        return None

    async def news(self, position: int, timeout_s: float) -> bool:
        """Waits until the hub has read beyond a position, or is closing; False after so many seconds without."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._end <= position and not self.closing:
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Has all followers end; the server waits for them after that."""
        self._closing = True
        self._tell()
        self._cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _cancel(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()

    async def _close_in_time(self) -> None:
        await self._stopping.wait()
        self.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A defect leaves no follower waiting: they are told to come again, and the next one starts the hub anew."""
        if not task.cancelled() and task.exception() is not None:
            _log.error("the stream's hub ended", exc_info=task.exception())
            self._failed = True
            self._cancel()
            self._tell()

    # --- reading -------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Wakes all who wait; those who wait next wait for the next change."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        number = self._signals.subscribe(None, wake)
        try:
            while not self._closing:
                self._wake.clear()
                page = await self._read(loop)
                # A page with a gap alone is read again with what comes next: the gap is told with that.
                if page is not None and page.end > self._end:
                    self._keep(page)
                else:
                    await self._pause()
        finally:
            self._signals.unsubscribe(number)

    async def _read(self, loop: asyncio.AbstractEventLoop) -> Page | None:
        """The next page; None while the ledger cannot be read: followers wait, and lose nothing."""
        position, removed, buckets = self._end, self._removed, self._for_buckets > 0
        try:
            return await loop.run_in_executor(
                self._thread, lambda: self.pages.read(position, removed, buckets=buckets)
            )
        except StoreError:
            return None

    async def _pause(self) -> None:
        """Until a commit of this process changed a status, or for one look: plain events are told to nobody."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            return

    def _keep(self, page: Page) -> None:
        self._ring.append(page)
        self._size += page.size
        while self._size > RING_BYTES and len(self._ring) > 1:
            self._size -= self._ring.popleft().size
        self._end, self._removed = page.end, page.removed
        self._tell()
