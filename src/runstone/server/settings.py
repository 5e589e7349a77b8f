"""What a server is started with, and where it may listen."""

import ipaddress
from pathlib import Path
from typing import Final

import msgspec

from runstone.errors import BindingRefused, InvalidInput

PORT: Final = 7866
"""Where it listens if nobody says otherwise."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A server's settings. The bounds are for one machine's agents and people, and each is there so that no request,
    and no number of them, takes the memory or the time of the others."""

    host: str = "127.0.0.1"
    port: int = PORT
    """0 takes any that is free."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which it may be called beside those of this machine; with `:PORT` where a proxy changes the port."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    """It may listen where others can reach it without TLS: somebody else encrypts, or the network is trusted."""
    max_body_bytes: int = 16 * 1024 * 1024
    max_header_bytes: int = 32 * 1024
    max_json_depth: int = 64
    request_s: float = 30.0
    """So long a request's head, and then its body, may take to arrive."""
    keep_alive_s: float = 30.0
    max_connections: int = 512
    max_streams: int = 256
    """Live streams at a time; each holds a connection."""
    slots: int | None = None
    """Runs that execute at a time in this process; without it as the workspace says."""

    queue: str | None = None
    """Runs that are started here stand in line there, for workers; without it as the workspace says."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def scheme(self) -> str:
        """http or https."""
        return "https" if self.tls_certificate is not None else "http"

    def check(self) -> None:
        """Raises `BindingRefused` where others could listen to what is sent, and `InvalidInput` for half a TLS."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InvalidInput("TLS takes a certificate and its key; one of them is missing")
        if not 0 <= self.port <= 65535:
            raise InvalidInput(f"a port is a number from 0 to 65535, not {self.port}")
        if self.is_loopback or self.tls_certificate is not None or self.insecure:
            return
        raise BindingRefused(
            f"{self.host} can be reached from other machines, and without TLS they can read the token that is sent"
        )
