"""The outermost layer: each request is measured, and asked for whom, from where and by whom it is, before any routing.

It decides on the path that the routing decides on (`scope["path"]`), never on an address put together from headers.
"""

import re
from typing import Any, Final

from runstone.errors import (
    HostRefused,
    MediaTypeRefused,
    NotAuthenticated,
    RouteNotFound,
    RunstoneError,
    TooManyRequests,
)
from runstone.server import problems, web
from runstone.server.security import limits
from runstone.server.security.headers import with_headers
from runstone.server.security.hosts import Hosts
from runstone.server.security.origins import SAFE_METHODS, require_own_site
from runstone.server.security.roles import Principal
from runstone.server.security.sessions import cookie_of
from runstone.server.security.tokens import Tokens
from runstone.server.settings import Settings

OPEN: Final = frozenset({"/healthz", "/readyz", "/auth"})
"""What is answered without a token, beside the files of the command center."""
_BODIES: Final = frozenset({"application/json", "application/x-ndjson"})
"""What a body may be. A form, or text, is what a page of any site can have a browser send without asking."""
_STREAM: Final = re.compile(r"/api/v1/(?:stream|runs/[^/]+/ag-ui)")
_ODD_PATH: Final = re.compile(r"//|[\x00-\x1f\\\x7f]|(?:^|/)\.{1,2}(?:/|$)")


class Gate:
    """An ASGI app around the app."""

    def __init__(self, app: Any, settings: Settings, hosts: Hosts, tokens: Tokens, *, port: int) -> None:
        self._app = app
        self._settings = settings
        self._hosts = hosts
        self._tokens = tokens
        self._port = port
        self._streams = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Lets a request in, or answers it with a problem. There are no websockets."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        started = False

        async def answer(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = with_headers(list(message.get("headers", ())))
            await send(message)

        try:
            self._check(scope)
            await self._pass(scope, limits.BoundedReceive(receive, self._settings), answer)
        except RunstoneError as error:
            if started:
                raise
            await problems.send(error, scope, answer)

    def _check(self, scope: Any) -> None:
        """Raises what keeps the request out; notes whose it is."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._hosts.require(value for name, value in headers if name == b"host")
        path, method = scope["path"], scope["method"]
        site, origin = _one(headers, b"sec-fetch-site"), _one(headers, b"origin")
        navigation = not path.startswith("/api/") and _one(headers, b"sec-fetch-mode") == "navigate"
        cookie = None if b"authorization" in dict(headers) else self._cookie(headers)
        require_own_site(
            self._hosts, method, site=site, origin=origin, by_cookie=cookie is not None, navigation=navigation
        )
        if _ODD_PATH.search(path):
            raise RouteNotFound(f"there is nothing at {ascii(path)[:100]}")
        limits.check_head(self._settings, headers)
        scope["user"] = self._principal(headers, cookie, optional=path in OPEN or web.serves(method, path))
        _check_body_type(method, headers)

    def _cookie(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        return cookie_of(
            self._port, [value.decode("latin-1") for name, value in headers if name == b"cookie"]
        )

    def _principal(
        self, headers: list[tuple[bytes, bytes]], cookie: str | None, *, optional: bool
    ) -> Principal | None:
        if cookie is not None:
            try:
                return self._tokens.principal(cookie, by_cookie=True)
            except NotAuthenticated:
                if not optional:
                    raise
                return None
        given = _one(headers, b"authorization")
        if given is None:
            if optional:
                return None
            raise NotAuthenticated("the request has no token")
        scheme, _, text = given.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated("the header Authorization must be: Bearer TOKEN")
        return self._tokens.principal(text.strip())

    async def _pass(self, scope: Any, receive: Any, send: Any) -> None:
        if not _STREAM.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        if self._streams >= self._settings.max_streams:
            raise TooManyRequests(f"{self._settings.max_streams} streams are open")
        self._streams += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams -= 1


def _one(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    """The header's value; None without it. Raises `HostRefused` where it stands twice: nobody says which counts."""
    values = [value for name, value in headers if name == wanted]
    if len(values) > 1:
        raise HostRefused(f"the header {wanted.decode()} stands {len(values)} times")
    return values[0].decode("latin-1") if values else None


def _check_body_type(method: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Raises `MediaTypeRefused`; a request without a body needs no type, unless it says one."""
    if method in SAFE_METHODS:
        return
    kind = _one(headers, b"content-type")
    if kind is None and not any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    ):
        return
    if kind is None or kind.partition(";")[0].strip().lower() not in _BODIES:
        raise MediaTypeRefused(f"a body of type {ascii(kind)[:100]} is not taken")
