"""A wire between a client and the tests' PostgreSQL that can be cut at a commit."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

COMMIT = b"COMMIT"
_KEY = b"K\0\0\0\x0c"
"""How the message begins that tells a session's process and the key to cancel it."""

_SAID = b"SERROR\0VERROR\0C08P01\0Mtransaction blocks not allowed in statement pooling mode\0\0"
_REFUSAL = b"E" + struct.pack("!i", 4 + len(_SAID)) + _SAID + b"Z\0\0\0\x05I"


class Proxy:
    """Passes bytes on, until `cut` says that a connection ends at its next COMMIT.

    "before": the server never hears of it. "during": the server gets it, and its answer finds nobody. "after": the
    answer has come, and is not passed on.
    """

    def __init__(self, dsn: str, port: int = 0) -> None:
        given = conninfo_to_dict(dsn)
        self._server = (str(given["host"]), int(given["port"]))
        self._listener = socket.create_server(("127.0.0.1", port))
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=self._listener.getsockname()[1])
        self.cut: str | None = None
        self.cuts = 0
        self.refuse = 0
        """So many connections are refused next."""
        self.statement_pooling = False
        """Answers as a pooler does that does not keep a transaction on one connection."""
        self.own_pid = False
        """Gives sessions a process number of its own, as poolers do."""
        self._open: set[socket.socket] = set()
        self._run(self._accept)

    @staticmethod
    def _run(call: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=call, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                self.refuse -= 1
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._open |= {client, server}
            answered = threading.Event()
            self._run(self._upwards, client, server, answered)
            self._run(self._downwards, client, server, answered)

    def _upwards(self, client: socket.socket, server: socket.socket, answered: threading.Event) -> None:
        try:
            while data := client.recv(65_536):
                if self.statement_pooling and b"BEGIN" in data:
                    client.sendall(_REFUSAL)
                    continue
                kind = self.cut if COMMIT in data else None
                if kind is None:
                    server.sendall(data)
                    continue
                self.cut, self.cuts = None, self.cuts + 1
                if kind == "after":
                    client.shutdown(socket.SHUT_WR)  # the answer does not get through; it is only waited for
                    self._open.discard(client)
                    client.close()
                if kind != "before":
                    server.sendall(data)
                if kind == "after":
                    assert answered.wait(30)
                break
        except OSError:
            pass
        self._end(client, server)

    def _downwards(self, client: socket.socket, server: socket.socket, answered: threading.Event) -> None:
        try:
            while data := server.recv(65_536):
                if COMMIT in data:
                    answered.set()
                if self.own_pid and (at := data.find(_KEY)) >= 0:
                    data = data[: at + len(_KEY)] + struct.pack("!i", 1) + data[at + len(_KEY) + 4 :]
                client.sendall(data)
        except OSError:
            answered.set()
        self._end(client, server)

    def _end(self, *sockets: socket.socket) -> None:
        for one in sockets:
            self._open.discard(one)
            with suppress(OSError):  # closed alone it would live on in a thread that receives from it
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut_all(self) -> None:
        """Cuts all connections at once."""
        for one in list(self._open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        """Ends it."""
        self._listener.close()
        self.cut_all()
