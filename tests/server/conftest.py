"""A real server over a real workspace: uvicorn on a port of its own, in a thread."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import runstone
from runstone.server.serve import Server
from runstone.server.settings import Settings


class Running:
    """A server that answers, its ledger, and clients with tokens of each role."""

    def __init__(self, ledger: runstone.Ledger, server: Server) -> None:
        self.ledger = ledger
        self.server = server
        self.url = server.url
        self.tokens = {
            role: server.parts.tokens.create(role, role)[1] for role in ("read", "ingest", "control")
        }
        self._clients: list[httpx.Client] = []

    def client(self, role: str | None = "control", **more: Any) -> httpx.Client:
        """A client with a token of that role, or with none."""
        headers = {"authorization": f"Bearer {self.tokens[role]}"} if role else {}
        # It must reach the server by itself: no proxy of the environment, and time for a busy machine.
        client = httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30, **more)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Closes the clients."""
        for client in self._clients:
            client.close()


@contextmanager
def serving(root: Path, **settings: Any) -> Iterator[Running]:
    """A server over the workspace in `root`, until the block ends; then it has ended cleanly."""
    with runstone.open(root) as ledger:
        server = Server(ledger, Settings(port=0, **settings))
        thread = threading.Thread(target=server.run, name="test-server")
        thread.start()
        running = Running(ledger, server)
        try:
            yield running
        finally:
            running.close()
            began = time.monotonic()
            server.stop()
            thread.join(10)
            assert not thread.is_alive(), "the server did not end"
            assert time.monotonic() - began < 5


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A server over an empty workspace."""
    with serving(tmp_path / "workspace") as running:
        yield running


@pytest.fixture
def http(running: Running) -> httpx.Client:
    """A client that may do everything."""
    return running.client()
