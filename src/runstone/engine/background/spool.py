"""A spool file on its way into the ledger: where reading stands, which lines it gave, and how it is given back.

The stored offset is where the first line begins that is not in the ledger yet. It moves in the transaction that
stores the lines, so whoever goes on from it meets each line once.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from runstone.domain.lines import KEY, MAX_LINE_BYTES
from runstone.engine.command_output import LINE_BYTES, Clean, Lines

CHUNK_BYTES: Final = 256 * 1024
"""Read at a time: the most of a stream that a watcher holds besides an unfinished line."""

GIVE_BACK_BYTES: Final = 4 * 1024 * 1024
"""Taken over since the last time: smaller holes cost more than they give."""

HEADER: Final = b"runstone\n"
"""Begins every spool file: where it is gone, the command has cut the file. The keeper writes it."""

_BLOCK: Final = 4096
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_MARK: Final = f'"{KEY}"'.encode()


class Heard(NamedTuple):
    """Lines that were read together, and the offset behind them."""

    texts: list[str]
    start: int
    end: int


class Spool:
    """One stream of one attempt. `offset` is what the ledger has."""

    def __init__(self, path: Path, stream: str, clean: Clean | None = None) -> None:
        """`clean` takes secrets out: no piece of a long line ends within one."""
        self.stream = stream
        self._clean = clean
        self.path = path
        self.offset = 0
        """Up to here all is in the ledger."""
        self.cut = False
        """The command opened the file anew and cut it (`> /dev/stderr`): lines may be missing."""
        self._at = len(HEADER)
        self._given_back = _BLOCK
        self._lines = Lines(_limit, clean=self._clean)
        self._file = -1

    def read(self) -> Heard | None:
        """The next whole lines; None if there is nothing new to read."""
        size = self._size()
        if size == self._at:
            return None
        if size < self._at or self._was_cut():
            self._begin_again()
        start = self._at - self._lines.pending
        data = os.pread(self._file, CHUNK_BYTES, self._at)
        self._at += len(data)
        texts = self._lines.feed(data)
        return Heard(texts, start, self._at - self._lines.pending)

    def finish(self) -> Heard | None:
        """The last line, if no newline ended it; for when nobody writes any more."""
        start = self._at - self._lines.pending
        texts = self._lines.finish()
        return Heard(texts, start, self._at) if texts else None

    def taken(self, offset: int) -> None:
        """The ledger has all up to there: gives the disk back what was taken, where the file system can."""
        self.offset = offset
        up_to = offset - offset % _BLOCK
        if up_to - self._given_back >= GIVE_BACK_BYTES and self._file >= 0:
            _punch(self._file, self._given_back, up_to - self._given_back)
            self._given_back = up_to

    def rewind(self, offset: int, cut: bool) -> None:
        """Goes on from what the ledger has, at first and after a write of which nobody knows whether it was stored."""
        self.offset, self.cut = offset, cut
        self._at = offset if cut else max(offset, len(HEADER))
        self._lines = Lines(_limit, clean=self._clean)

    @property
    def backlog(self) -> int:
        """Bytes that are not in the ledger."""
        return max(0, self._size() - self._at + self._lines.pending)

    def close(self) -> None:
        """Closes the file."""
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _size(self) -> int:
        if self._file < 0:
            try:
                self._file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return self._at  # nothing was printed, or all of it was taken
        return os.fstat(self._file).st_size

    def _was_cut(self) -> bool:
        return not self.cut and os.pread(self._file, len(HEADER), 0) != HEADER

    def _begin_again(self) -> None:
        """From the file's new beginning. What the ledger has of it stays the offset that the next write expects."""
        self.cut = True
        self._at, self._given_back = 0, _BLOCK
        self._lines = Lines(_limit, clean=self._clean)


def _limit(line: bytes) -> int:
    """A line of the protocol may be longer than others, as it must be read as a whole."""
    return MAX_LINE_BYTES if line[:1] == b"{" and _MARK in line[:200] else LINE_BYTES


@cache
def _fallocate() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate64
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return call


def _punch(descriptor: int, start: int, length: int) -> None:
    """Best effort: where the file system can't, the file stays whole until its end."""
    if (call := _fallocate()) is not None:
        call(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, length)
