"""Listening, and ending: uvicorn with bounds of our own, which leaves within seconds whatever is open."""

import asyncio
import socket
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from runstone.engine.registry import Registry
from runstone.errors import InvalidInput
from runstone.ledger import Ledger
from runstone.server import app
from runstone.server.settings import Settings

_BACKLOG: Final = 512
_END_S: Final = 3
"""So long requests that are under way may take when the server ends; then they are cut."""
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class _Connection(H11Protocol):
    """A connection that is refused where there are too many, and cut where no request arrives or nobody reads."""

    settings: Settings
    _head_timer: asyncio.TimerHandle | None = None
    _drain_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            transport.write(_BUSY)
            transport.close()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_came()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._drain_timer = self.loop.call_later(self.settings.request_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._drained()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._drained()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.settings.request_s, self.transport.abort)

    def _drained(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Uvicorn(uvicorn.Server):
    """Tells streams to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)


class Server:
    """A server of one ledger. It listens from its making on; `run` answers until it is told to end."""

    def __init__(self, ledger: Ledger, settings: Settings, registry: Registry | None = None) -> None:
        """It runs what the workspace's runstone.toml registers, if that is trusted, or what is in `registry`.

        Raises `BindingRefused`, `InvalidInput`, `InvalidDefinition`.
        """
        settings.check()
        self._socket = _listen(settings)
        self.port: int = self._socket.getsockname()[1]
        self.parts = app.parts_of(ledger, settings, registry, port=self.port)
        connection = type("Connection", (_Connection,), {"settings": settings})
        config = uvicorn.Config(
            app.create(self.parts),
            http=connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=settings.max_header_bytes,
            timeout_keep_alive=int(settings.keep_alive_s),
            timeout_graceful_shutdown=_END_S,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        self._uvicorn = _Uvicorn(config, self.parts.stopping)

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = self.parts.settings.host
        named = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host  # noqa: S104  a comparison
        return f"{self.parts.settings.scheme}://{f'[{named}]' if ':' in named else named}:{self.port}"

    def run(self) -> None:
        """Answers until SIGINT, SIGTERM or `stop`."""
        self.parts.ledger.supervisor.answer_clients()
        self.parts.engine.start()
        self.parts.bulks.start()
        try:
            asyncio.run(self._uvicorn.serve(sockets=[self._socket]))
        finally:
            self.close()

    def close(self) -> None:
        """Gives up the port, and leaves runs interrupted; `run` does it at its end."""
        self.parts.bulks.close()
        self.parts.engine.close()
        self.parts.hub.close()
        self.parts.reads.close()
        self.parts.writes.close()
        self._socket.close()

    def stop(self) -> None:
        """Has `run` end; from any thread."""
        self._uvicorn.should_exit = True


def _listen(settings: Settings) -> socket.socket:
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle on, and each answer waits 40 ms for an acknowledgement.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, settings.port))
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise InvalidInput(
            f"{host}:{settings.port} cannot be listened on: {error.strerror}",
            hint="end what listens there, or take another port",
        ) from error
    return found
