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
LOOK_BYTES: Final = 4 * 1024
"""By so much a piece may be shorter, so that no secret is cut in two: neither half would be known for one."""
Clean = Callable[[str], str]
"""Takes secrets out of a text."""
ResultKind = Literal["json", "text", "last_line_json"]
_SHOWN: Final = 200
_TAIL_LINES: Final = 20
_TAIL_CHARS: Final = 2_000  # an error row holds 4 KB of text, and a character may take several bytes


@final
class Lines:
    """Cuts a stream of bytes into lines of text; nothing is lost, and what is no UTF-8 is replaced."""

    __slots__ = ("_clean", "_limit", "_look", "_rest")

    def __init__(
        self, limit: Callable[[bytes], int] = lambda line: LINE_BYTES, *, clean: Clean | None = None
    ) -> None:
        """`limit(line)` says how long a line that begins like this may be. No cut tears what `clean` takes out."""
        self._rest = b""
        self._limit = limit
        self._clean = clean
        self._look = 0 if clean is None else LOOK_BYTES

    @property
    def pending(self) -> int:
        """Bytes of the line that is not complete yet."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> list[str]:
        """The lines, and pieces of long lines, that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        texts = [text for line in lines for text in self._pieces(line.removesuffix(b"\r"))]
        pieces, self._rest = self._cut_off(self._rest, self._look)
        return texts + pieces

    def finish(self) -> list[str]:
        """The last line, if no newline ended it."""
        rest, self._rest = self._rest, b""
        return self._pieces(rest.removesuffix(b"\r")) if rest else []

    def _pieces(self, line: bytes) -> list[str]:
        texts, line = self._cut_off(line, 0)
        return [*texts, _text(line)]

    def _cut_off(self, line: bytes, more: int) -> tuple[list[str], bytes]:
        """The pieces of what is longer than the limit by over `more` bytes, and the rest."""
        texts: list[str] = []
        while len(line) > LINE_BYTES + more and len(line) > (limit := self._limit(line)) + more:
            at = _place(line, limit, self._clean)
            texts.append(_text(line[:at]) + CONTINUES)
            line = line[at:]
        return texts, line


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

    __slots__ = ("_clean", "_data", "_dropped", "_kind", "_limit")

    def __init__(
        self, kind: ResultKind, limit: int = MAX_VALUE_BYTES, *, clean: Clean = lambda text: text
    ) -> None:
        self._clean = clean
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
        last = _text(bytes(self._data[-LOOK_BYTES:])).strip().rpartition("\n")[2]
        raise CommandResultInvalid(
            f"the output has no JSON result; it ends with: {self._clean(last)[-_SHOWN:]}"
        )

    def _start_of_last_line(self) -> int:
        end = len(self._data)
        while end and self._data[end - 1] in b"\r\n\t ":
            end -= 1
        return self._data.rfind(b"\n", 0, end) + 1

    def _drop(self, count: int) -> None:
        if count > 0:
            del self._data[:count]
            self._dropped = True


def _place(line: bytes, limit: int, clean: Clean | None) -> int:
    """Where to cut: at the limit, or before it, where both parts without secrets are the whole without secrets."""
    first = _character_start(line, limit)
    for back in (0, 100, 300, 1000, 2000, LOOK_BYTES - 100) if clean is not None else ():
        at = _character_start(line, limit - back)
        left, right = _text(line[at - LOOK_BYTES : at]), _text(line[at : at + LOOK_BYTES])
        if clean is not None and clean(left + right) == clean(left) + clean(right):
            return at
    return first


def _character_start(line: bytes, at: int) -> int:
    """The place, or up to three bytes before it, where a character would be torn."""
    least = at - 3
    while at > least and line[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _text(data: bytes) -> str:
    # PostgreSQL's text and jsonb cannot hold NUL, so both ledgers get the replacement.
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")
