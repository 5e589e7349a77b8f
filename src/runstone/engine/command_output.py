"""A command's output in bounded memory: lines for people as they come, and at the end the result."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal, final

import msgspec

from runstone.domain.codec import MAX_VALUE_BYTES
from runstone.errors import CommandResultInvalid

LINE_BYTES: Final = 64 * 1024
"""A longer line is delivered in pieces of this size, so that a program without newlines needs no more memory."""
CONTINUES: Final = " …[continues]"
"""Ends every piece of a long line but the last."""
ResultKind = Literal["json", "text", "last_line_json"]
_TAIL_LINES: Final = 20
_TAIL_CHARS: Final = 2_000  # an error row holds 4 KB of text, and a character may take several bytes


@final
class Lines:
    """Cuts a stream of bytes into lines of text; nothing is lost, and what is no UTF-8 is replaced."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: Callable[[bytes], int] = lambda line: LINE_BYTES) -> None:
        """`limit(line)` says how long a line that begins like this may be."""
        self._rest = b""
        self._limit = limit

    @property
    def pending(self) -> int:
        """Bytes of the line that is not complete yet."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> list[str]:
        """The lines, and pieces of long lines, that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        texts = [text for line in lines for text in _pieces(line, self._limit)]
        while len(self._rest) > LINE_BYTES and len(self._rest) > (limit := self._limit(self._rest)):
            piece, self._rest = _cut(self._rest, limit)
            texts.append(_text(piece) + CONTINUES)
        return texts

    def finish(self) -> list[str]:
        """The last line, if no newline ended it."""
        rest, self._rest = self._rest, b""
        return _pieces(rest, self._limit) if rest else []


@final
class Tail:
    """The last lines of a stream, for the message of a failure."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)

    def add(self, texts: list[str]) -> None:
        """Remember `texts` for as long as they are among the last."""
        self._lines.extend(text[-_TAIL_CHARS:] for text in texts[-_TAIL_LINES:])

    def __str__(self) -> str:
        return "\n".join(self._lines)[-_TAIL_CHARS:]


@final
class Result:
    """Keeps what the result can be read from: stdout up to a value's bound, and beyond that its end."""

    __slots__ = ("_data", "_dropped", "_kind", "_limit")

    def __init__(self, kind: ResultKind, limit: int = MAX_VALUE_BYTES) -> None:
        self._data = bytearray()
        self._dropped = False
        self._kind = kind
        self._limit = limit

    def feed(self, chunk: bytes) -> None:
        """Add a part of stdout."""
        self._data += chunk
        if self._kind == "last_line_json" and len(self._data) > 2 * LINE_BYTES:
            self._drop(self._start_of_last_line())
        # Dropping at every chunk would copy the whole each time; an eighth more memory makes it rare.
        if len(self._data) > self._limit + self._limit // 8:
            self._drop(len(self._data) - self._limit)

    def value(self) -> Any:
        """The result. Raises CommandResultInvalid if stdout holds none of its kind; no output at all is null."""
        if self._kind == "text":
            return self._whole_text()
        if not self._dropped and (not self._data or self._data.isspace()):
            return None
        if self._kind == "json" and not self._dropped:
            try:
                return msgspec.json.decode(self._data)
            except (msgspec.DecodeError, RecursionError):
                pass  # a progress report before the result is usual: one of the last lines may have it
        return self._last_line()

    def _whole_text(self) -> str:
        if self._dropped:
            raise CommandResultInvalid(
                f"the output is longer than the {self._limit:,} bytes that a value may have",
                hint="write long output to a file and print its path, or set result = 'last_line_json'",
            )
        return _text(bytes(self._data))

    def _last_line(self) -> Any:
        """The last line that is not empty or, of kind `json`, the last one that is JSON."""
        end = len(self._data)
        while end > 0:
            start = self._data.rfind(b"\n", 0, end) + 1
            line = bytes(self._data[start:end]).strip()
            if start == 0 and self._dropped and self._kind == "json":
                break  # its beginning was dropped, and the rest could be JSON by accident
            try:
                return msgspec.json.decode(line)
            except (msgspec.DecodeError, RecursionError):
                if line and self._kind == "last_line_json":
                    break
            end = start - 1
        last = _text(bytes(self._data[-200:])).strip().rpartition("\n")[2]
        raise CommandResultInvalid(f"the output has no JSON result; it ends with: {last}")

    def _start_of_last_line(self) -> int:
        end = len(self._data)
        while end and self._data[end - 1] in b"\r\n\t ":
            end -= 1
        return self._data.rfind(b"\n", 0, end) + 1

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._data[:count]
            self._dropped = True


def _pieces(line: bytes, limit_of: Callable[[bytes], int]) -> list[str]:
    texts: list[str] = []
    line = line.removesuffix(b"\r")
    while len(line) > LINE_BYTES and len(line) > (limit := limit_of(line)):
        piece, line = _cut(line, limit)
        texts.append(_text(piece) + CONTINUES)
    return [*texts, _text(line)]


def _cut(line: bytes, limit: int) -> tuple[bytes, bytes]:
    """Cut at the limit, or up to three bytes before where a character would be torn."""
    at = limit
    while at > limit - 3 and line[at] & 0xC0 == 0x80:
        at -= 1
    return line[:at], line[at:]


def _text(data: bytes) -> str:
    # PostgreSQL's text and jsonb cannot hold NUL, so both ledgers get the replacement.
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")
