"""How much a request may be: its headers, its body, the time for it to arrive, and the depth of its JSON."""

import re
import time
from asyncio import timeout
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from runstone.errors import (
    HeadersTooLarge,
    InvalidInput,
    RequestTooDeep,
    RequestTooLarge,
    RequestTooSlow,
    TooManyRequests,
)
from runstone.server.settings import Settings

MOST_WRONG: Final = 100
"""Wrong tokens, and wrong codes, in a minute. No guess of 256 bits hits; but none need be looked up in files."""
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


class Wrong:
    """How many wrong tokens or codes came in the last while. What is right is taken all the same."""

    def __init__(
        self, *, most: int = MOST_WRONG, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._window_s = window_s
        self._clock = clock
        self._times: deque[float] = deque(maxlen=most)

    @property
    def too_many(self) -> bool:
        """Whether as many came as may come in the window."""
        return len(self._times) == self._most and self._clock() - self._times[0] < self._window_s

    def note(self) -> None:
        """One more. Raises `TooManyRequests` where it is one too many."""
        if self.too_many:
            raise TooManyRequests(f"{self._most} wrong tokens or codes came within {self._window_s:g} s")
        self._times.append(self._clock())


def check_head(settings: Settings, headers: list[tuple[bytes, bytes]]) -> None:
    """Raises `RequestTooLarge` for what is, and `InvalidInput` for a length that is no number."""
    if sum(len(name) + len(value) for name, value in headers) > settings.max_header_bytes:
        raise HeadersTooLarge(f"the headers have at most {settings.max_header_bytes:,} bytes")
    coded = any(name == b"transfer-encoding" for name, _ in headers)
    lengths = [value for name, value in headers if name == b"content-length"]
    if coded and lengths:  # two readers could take the body's end for two places
        raise InvalidInput("a body has a Content-Length or a Transfer-Encoding, not both")
    if len(lengths) > 1 or not all(value.isdigit() and len(value) < 20 for value in lengths):
        raise InvalidInput("Content-Length must be one number")
    if lengths and int(lengths[0]) > settings.max_body_bytes:
        raise _too_large(settings)


def _too_large(settings: Settings) -> RequestTooLarge:
    return RequestTooLarge(f"a body has at most {settings.max_body_bytes:,} bytes")


class BoundedReceive:
    """An ASGI `receive` that gives a body up when it is too large or too slow."""

    def __init__(self, receive: Any, settings: Settings) -> None:
        self._receive = receive
        self._settings = settings
        self._size = 0
        self._until = time.monotonic() + settings.request_s
        self._more = True

    async def __call__(self) -> Any:
        if not self._more:
            return await self._receive()  # the client's going away, for which nobody sets a time
        try:
            async with timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise RequestTooSlow(f"the body took more than {self._settings.request_s:g} s") from None
        self._size += len(message.get("body", b""))
        self._more = bool(message.get("more_body", False))
        if self._size > self._settings.max_body_bytes:
            raise _too_large(self._settings)
        return message


def check_depth(data: bytes, depth: int) -> None:
    """Raises `RequestTooDeep` for JSON nested deeper than `depth`, in time linear in its size (times the depth)."""
    if data.count(b"[") + data.count(b"{") <= depth:
        return
    left = _STRINGS.sub(b"", data).translate(_TO_SQUARE, _NO_BRACKET)
    for _ in range(depth):
        shorter = left.replace(b"[]", b"")  # the innermost layer of every nest
        if len(shorter) == len(left):
            break  # nothing is left, or it is no JSON, which its parser says unless it is lost in the depth
        left = shorter
    if left.count(b"[") <= depth and b"[]" not in left:
        return
    raise RequestTooDeep(f"JSON may be nested {depth} deep")
