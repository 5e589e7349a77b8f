"""How a browser gets in: a code that is good once and for a minute is swapped for a cookie.

The code may stand in an address, as it is worthless when it has been seen; a token may not.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from runstone.errors import NotAuthenticated, TooManyRequests
from runstone.server.security.limits import Wrong
from runstone.server.security.tokens import Tokens

CODE_S: Final = 60.0
COOKIE_S: Final = 30 * 24 * 3600
_MAX_CODES: Final = 100


class Codes:
    """Codes that were given out and not used, in this process only."""

    def __init__(self, tokens: Tokens, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._wrong = Wrong(clock=clock)

    def give(self) -> str:
        """A new code."""
        code, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._waiting = {name: until for name, until in self._waiting.items() if now < until}
            if len(self._waiting) >= _MAX_CODES:
                raise TooManyRequests(f"{_MAX_CODES} codes wait to be used")
            self._waiting[_digest(code)] = now + CODE_S
        return code

    def swap(self, code: str) -> str:
        """The text of a new token for a browser's cookie. Raises `NotAuthenticated`, `TooManyRequests`."""
        with self._lock:
            until = self._waiting.pop(_digest(code), None)
            if until is None:
                self._wrong.note()
        if until is None or self._clock() >= until:
            raise NotAuthenticated(
                "the code is not known, was used, or has expired", hint="open it again: runstone open"
            )
        return self._tokens.create("control", "browser", lifetime_s=COOKIE_S, by_cookie=True)[1]


def cookie_name(port: int) -> str:
    """Cookies are shared by all ports of a host, so each server has its own."""
    return f"runstone_{port}"


def cookie_header(port: int, text: str, *, secure: bool) -> str:
    """The Set-Cookie header of a session."""
    return _cookie(port, text, COOKIE_S, secure=secure)


def ended_cookie_header(port: int, *, secure: bool) -> str:
    """The Set-Cookie header with which a browser forgets its session."""
    return _cookie(port, "", 0, secure=secure)


def _cookie(port: int, text: str, lifetime_s: int, *, secure: bool) -> str:
    rest = "; Secure" if secure else ""
    return f"{cookie_name(port)}={text}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict{rest}"


def cookie_of(port: int, values: list[str]) -> str | None:
    """The session's text among the Cookie headers."""
    wanted = cookie_name(port)
    for value in values:
        for part in value.split(";"):
            name, _, text = part.strip().partition("=")
            if name == wanted:
                return text
    return None


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()
