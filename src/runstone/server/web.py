"""The command center: the built app's files, which are the same for everybody and tell nothing of a ledger.

They are read once, into memory, so that a path of a request is looked up in a table and never opens a file. Any other
path is the app's own (a screen), and is answered with its page.
"""

import hashlib
import mimetypes
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.errors import RouteNotFound
from runstone.server.security.origins import SAFE_METHODS

STATIC: Final = Path(__file__).parent / "static"
"""Where the build puts the app: packed into wheels, and never committed."""

_OTHERS: Final = ("/api", "/auth", "/healthz", "/readyz", "/openapi", "/schema")
"""Beginnings of paths that are no screens."""

_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
"""In the order of preference; the build makes both."""

_FOREVER: Final = b"public, max-age=31536000, immutable"
"""For files whose names carry a hash of what is in them."""

_NOT_BUILT: Final = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Runstone</title></head>
<body>
<main>
<h1>The command center is not built</h1>
<p>This server was installed from source without Node.js. The API and the command line work as they are.</p>
<p>To build it, install Node.js 20.19, 22.12 or newer, type this where the source is, and start the server again:</p>
<pre>make web</pre>
</main>
</body>
</html>
"""


class Asset(msgspec.Struct, frozen=True):
    """A file, as it is and compressed."""

    kind: bytes
    etag: bytes
    immutable: bool
    bodies: dict[str, bytes]
    """By encoding; `identity` is the file as it is."""


def serves(method: str, path: str) -> bool:
    """Whether a request is for the app's files."""
    return method in SAFE_METHODS and not path.startswith(_OTHERS)


def assets_of(folder: Path) -> dict[str, Asset]:
    """The files below the folder by their paths; `/` is the page."""
    suffixes = tuple(suffix for _, suffix in _ENCODINGS)
    files = [file for file in folder.rglob("[!.]*") if file.is_file() and file.suffix not in suffixes]
    found = {f"/{file.relative_to(folder).as_posix()}": _asset(file) for file in files}
    page = found.pop("/index.html", None)
    return {**found, "/": page or _asset_of("page.html", _NOT_BUILT, {})}


def _asset(file: Path) -> Asset:
    packed = {name: Path(f"{file}{suffix}") for name, suffix in _ENCODINGS}
    return _asset_of(
        file.name,
        file.read_bytes(),
        {name: path.read_bytes() for name, path in packed.items() if path.exists()},
        immutable=file.parent.name == "assets",
    )


def _asset_of(name: str, body: bytes, packed: dict[str, bytes], *, immutable: bool = False) -> Asset:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return Asset(kind.encode(), etag.encode(), immutable, {**packed, "identity": body})


class Site:
    """An ASGI app in front of another one: it answers for the app's files and hands on all else."""

    def __init__(self, app: Any, folder: Path) -> None:
        self._app = app
        self._assets = assets_of(folder)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Raises `RouteNotFound` for a file that there is not."""
        if not serves(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        asset = self._asset(scope["path"])
        headers = dict(scope["headers"])
        if headers.get(b"if-none-match") == asset.etag:
            await _answer(send, 304, _headers(asset, None), b"")
            return
        encoding = _encoding(asset, headers.get(b"accept-encoding", b"").decode("latin-1"))
        body = asset.bodies[encoding]
        head = [*_headers(asset, encoding), (b"content-length", str(len(body)).encode())]
        await _answer(send, 200, head, b"" if scope["method"] == "HEAD" else body)

    def _asset(self, path: str) -> Asset:
        found = self._assets.get(path)
        if found is not None:
            return found
        if path.startswith("/assets/"):
            raise RouteNotFound(f"there is nothing at {ascii(path)[:100]}")
        return self._assets["/"]


def _encoding(asset: Asset, accepted: str) -> str:
    """The best that the reader takes; one with `q=0` is none that it takes."""
    parts = [part.replace(" ", "").lower().split(";") for part in accepted.split(",")]
    taken = {name for name, *more in parts if not re.fullmatch(r"q=0(\.0*)?", "".join(more))}
    return next((name for name, _ in _ENCODINGS if name in taken and name in asset.bodies), "identity")


def _headers(asset: Asset, encoding: str | None) -> list[tuple[bytes, bytes]]:
    kept = _FOREVER if asset.immutable else b"no-cache"
    headers = [(b"cache-control", kept), (b"etag", asset.etag), (b"vary", b"accept-encoding")]
    if encoding is not None:
        headers.append((b"content-type", asset.kind))
    if encoding not in (None, "identity"):
        headers.append((b"content-encoding", str(encoding).encode()))
    return headers


async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
