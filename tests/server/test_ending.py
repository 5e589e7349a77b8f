"""A server ends within seconds whatever is open, and answers whatever its engine does."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

from runstone.engine.registry import Registry
from tests.server.conftest import serving
from tests.server.raw import request


def test_open_connections_do_not_keep_a_server(tmp_path: Path) -> None:
    """`serving` asserts that it ended within five seconds."""
    with serving(tmp_path / "w") as running:
        port = running.server.port
        own = {"host": f"127.0.0.1:{port}", "authorization": f"Bearer {running.tokens['control']}"}
        held = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(30)]
        for index, one in enumerate(held):
            if index % 3 == 0:  # follows for as long as it is let
                one.sendall(request("GET", "/api/v1/stream", **own))
                assert one.recv(10)
            elif index % 3 == 1:  # has an answer, and stays for the next request
                one.sendall(request("GET", "/healthz", **own).replace(b"connection: close\r\n", b""))
                assert one.recv(10)
            else:  # has sent the half of a body
                one.sendall(
                    request(
                        "POST", "/api/v1/threads", content_type="application/json", content_length="9", **own
                    )
                )
    for one in held:
        one.close()


def test_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    """With Nagle's algorithm each answer after the first would take 40 ms, which no other test would notice."""
    with serving(tmp_path / "w") as running:
        client = running.client()
        took = []
        for _ in range(21):
            began = time.monotonic()
            client.get("/api/v1/meta")
            took.append(time.monotonic() - began)
        assert sorted(took)[10] < 0.03


def busy() -> Registry:
    registry = Registry()

    @registry.agent("busy")
    async def compute(ctx: Any, input: Any) -> Any:
        """Keeps its event loop for itself until it is told to end."""
        while not (Path(input["folder"]) / "enough").exists():
            sum(range(10_000))
        return "done"

    @registry.agent("quick")
    async def quick(ctx: Any, input: Any) -> Any:
        await asyncio.sleep(0)

    return registry


def test_an_agent_that_computes_keeps_no_reader_waiting(tmp_path: Path) -> None:
    root = tmp_path / "w"
    with serving(root, busy()) as running:
        http = running.client()
        try:
            run = http.post("/api/v1/runs", json={"name": "busy", "input": {"folder": str(root)}}).json()
            running.until(run["id"], "running")
            took = []
            for _ in range(20):
                began = time.monotonic()
                assert http.get("/api/v1/runs").status_code == 200
                assert http.get(f"/api/v1/runs/{run['id']}/tree").status_code == 200
                took.append(time.monotonic() - began)
            # Its loop is not theirs: they share the interpreter only, which changes hands every 5 ms.
            assert sorted(took)[10] < 1
        finally:
            (root / "enough").touch()
        running.until(run["id"], "completed")
