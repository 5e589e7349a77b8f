"""Pages of the ledger as followers are given them: read by position, encoded once, and cut to what each one wants."""

import threading
from typing import Any, Final

from runstone.server.stream import frames
from runstone.server.stream.frames import Cursor
from runstone.server.stream.topics import Wanted
from runstone.store.reading.told import ToldEvent
from runstone.store.reads import Reader

PAGE_EVENTS: Final = 500
PAGE_BYTES: Final = 128 * 1024
"""What a page holds, but for its last event (which has at most 64 KiB of payload). A follower holds one page."""

_LINES_KEPT: Final = 50_000
_CUTS_KEPT: Final = 64


class Page:
    """Events behind `start` up to `end`, in commit order, with what was removed before them."""

    __slots__ = (
        "_buckets",
        "_cuts",
        "_events",
        "_frames",
        "_lines",
        "end",
        "gap",
        "removed",
        "size",
        "start",
    )

    def __init__(
        self,
        start: int,
        end: int,
        events: list[ToldEvent],
        encoded: list[bytes],
        *,
        lines: dict[int, frozenset[str]],
        buckets: dict[int, str] | None,
        gap: bytes | None,
        removed: int,
    ) -> None:
        self.removed = removed
        """Up to where who has this page was told of removed events."""
        self.start = start
        self.end = end
        self.gap = gap
        self.size = sum(map(len, encoded)) + len(gap or b"")
        self._events = events
        self._frames = encoded
        self._lines = lines
        self._buckets = buckets
        self._cuts: dict[tuple[Wanted, int, bool], bytes] = {}

    def serves(self, wanted: Wanted) -> bool:
        """Whether the page knows enough to be cut for that filter."""
        return self._buckets is not None or not wanted.buckets

    def cut(self, wanted: Wanted, after: int, removed: int) -> bytes:
        """The frames that are wanted behind a position; those who want the same are given the same bytes.

        `removed` is up to where the follower was told of removed events.
        """
        gap = self.gap if self.gap is not None and removed < self.removed else b""
        key = (wanted, max(after, self.start), bool(gap))
        found = self._cuts.get(key)
        if found is None:
            found = b"".join([gap, *self._chosen(wanted, after)])
            if len(self._cuts) < _CUTS_KEPT:
                self._cuts[key] = found
        return found

    def _chosen(self, wanted: Wanted, after: int) -> list[bytes]:
        if wanted.everything and after <= self.start:
            return self._frames
        return [
            frame
            for told, frame in zip(self._events, self._frames, strict=True)
            if told.position > after
            and wanted.fits(
                told.type,
                told.importance,
                told.run_id,
                self._lines[told.run],
                (self._buckets or {}).get(told.run),
            )
        ]


class Pages:
    """Reads pages. Thread-safe."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._known: dict[int, frozenset[str]] = {}
        self.epoch = reader.events.epoch()

    def last(self) -> int:
        """The newest position that was ever given."""
        return self._reader.events.last_position()

    def removed(self) -> int:
        """The newest position whose event was ever removed."""
        return self._reader.events.removed_up_to()

    def read(self, position: int, told_removed: int, *, buckets: bool) -> Page:
        """What comes behind the position; `told_removed` is up to where its reader was told of removed events."""
        events = self._reader.told.since(position, PAGE_EVENTS)
        encoded: list[bytes] = []
        size = 0
        for told in events:
            encoded.append(frames.event(self.epoch, told))
            size += len(encoded[-1])
            if size >= PAGE_BYTES:
                break
        events = events[: len(encoded)]
        # Read after the events: what was removed before they were read is known by now.
        removed, gap = self.removed(), None
        if removed > max(position, told_removed):
            told_removed = removed
            payload: dict[str, Any] = {"after": position, "removed_up_to": removed}
            gap = frames.marker("gap", payload, Cursor(self.epoch, position))
        keys = {told.run for told in events}
        return Page(
            position, events[-1].position if events else position, events, encoded, lines=self._lines(events),
            buckets=self._reader.told.buckets(keys) if buckets else None, gap=gap, removed=told_removed,
        )  # fmt: skip

    def _lines(self, events: list[ToldEvent]) -> dict[int, frozenset[str]]:
        """Where the runs of these events are. A run moves only when a parent that was unknown becomes known."""
        with self._lock:
            if len(self._known) > _LINES_KEPT or any(told.type == "run.attached" for told in events):
                self._known = {}
            known = self._known
        keys = {told.run for told in events}
        if missing := keys - known.keys():
            found = self._reader.told.lines(missing)
            with self._lock:
                known.update(found)
        return {key: known.get(key, frozenset()) for key in keys}
