"""For whom a request is meant: a strict reading of the Host header, and the names that this server has.

A page whose name was made to point to 127.0.0.1 (DNS rebinding) is same-origin with itself; the Host header, which
scripts cannot set, still has the page's name.
"""

import re
from collections.abc import Iterable
from typing import Final

from runstone.errors import HostRefused
from runstone.server.settings import Settings

_HOST: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)
"""RFC 3986's host and port without what no name of ours has: no user, path, query, percent or underscore."""
_OWN: Final = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Hosts:
    """The names and ports by which a server may be called."""

    def __init__(self, settings: Settings, port: int) -> None:
        """`port` is the one that it really listens on."""
        self._scheme = settings.scheme
        default = _DEFAULT_PORTS[settings.scheme]
        names = {f"{name}:{port}" for name in _OWN}
        names |= {
            name.lower() if _has_port(name) else f"{name.lower()}:{port}" for name in settings.allowed_hosts
        }
        names |= {name.rpartition(":")[0] for name in names if name.endswith(f":{default}")}
        self._names = frozenset(names)
        self.origins = frozenset(f"{settings.scheme}://{name}" for name in names)
        """What the Origin of its own pages may be."""

    def require(self, values: Iterable[bytes]) -> None:
        """Raises `HostRefused` unless there is one Host header and it names this server."""
        given = list(values)
        text = given[0].decode("latin-1") if len(given) == 1 else ""
        if not _HOST.fullmatch(text) or text.lower() not in self._names:
            shown = ascii(text)[:100] if len(given) == 1 else f"{len(given)} hosts"
            raise HostRefused(f"the request is for {shown}, which is none of this server's names")


def _has_port(name: str) -> bool:
    found = _HOST.fullmatch(name)
    return found is not None and found["port"] is not None
