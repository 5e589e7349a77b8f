"""A small TCP proxy that can be cut: what a process talks to through it is gone for that process alone."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Forwards connections to a port of this machine until it is cut; then nothing passes, and nothing is closed."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._closed = False
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on both sides hear nothing of each other, as over a network that is down."""
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def break_off(self) -> None:
        """Ends all connections at once; new ones pass."""
        there, self._sockets = self._sockets, []
        for one in there:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        self._whole.set()
        for one in [self._listening, *self._sockets]:
            with suppress(OSError):
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._whole.wait()
                server = socket.create_connection(("127.0.0.1", self.target))
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._whole.wait()
                if self._closed:
                    return
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):  # closed alone it would live on in a thread that receives from it
                one.shutdown(socket.SHUT_RDWR)
            one.close()
