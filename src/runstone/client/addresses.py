"""Addresses of servers, and ids in them. It loads no HTTP: commands ask it before they know whether they need any."""

from urllib.parse import quote, urlsplit

from runstone.errors import InvalidInput


def checked_url(url: str) -> str:
    """The server's address without a path. Raises `InvalidInput`."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        ok = (
            parts is not None
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
        )
        ok = (
            ok and parts is not None and parts.path in ("", "/") and not parts.query and (parts.port or 1) > 0
        )
    except ValueError:
        ok, parts = False, None
    if not ok or parts is None:
        raise InvalidInput(
            f"a server's address is such as http://127.0.0.1:7866, not {url!r:.200}",
            hint="runstone up prints it; the token goes into token= or $RUNSTONE_TOKEN, never into the address",
        )
    return f"{parts.scheme}://{parts.netloc}"


def is_local(url: str) -> bool:
    """Whether the server is on this machine, as its address says."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def segment(text: str) -> str:
    """An id as a part of a path."""
    return quote(text, safe="")
