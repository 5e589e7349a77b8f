"""A real server over a real workspace: uvicorn on a port of its own, in a thread."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import runstone
from runstone.engine.registry import Registry
from runstone.server.serve import Server
from runstone.server.settings import Settings


def crew() -> Registry:
    """Harmless agents, and a workflow of them."""
    registry = Registry()
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    @registry.agent("echo", input_schema=schema)
    async def echo(ctx: Any, input: Any) -> Any:
        """Says what it is given."""
        ctx.usage(
            provider="p", model="m", input_tokens=10, output_tokens=5, cost_usd=0.001, request_id=ctx.run_id
        )
        ctx.message("assistant", input["text"])
        return {"said": input["text"]}

    @registry.agent("asker")
    async def asker(ctx: Any, input: Any) -> Any:
        """Asks a person."""
        return {"answer": await ctx.ask("Which one?", choices=["a", "b"])}

    @registry.agent("sleeper")
    async def sleeper(ctx: Any, input: Any) -> Any:
        """Works until it is stopped."""
        await asyncio.Event().wait()

    @registry.agent("failing")
    async def failing(ctx: Any, input: Any) -> Any:
        """Fails."""
        raise ValueError("it is broken")

    @registry.agent("keeper", secrets=["token"])
    async def keeper(ctx: Any, input: Any) -> Any:
        """Takes a secret."""
        return {"length": len(input["token"].reveal())}

    @registry.workflow("team")
    async def team(ctx: Any, input: Any) -> Any:
        """Has each text said."""
        async with ctx.phase("say"):
            return await ctx.map("echo", [{"text": text} for text in input["texts"]])

    @registry.agent("listener")
    async def listener(ctx: Any, input: Any) -> Any:
        """Asks, unless it is told something."""
        return ctx.message_in or await ctx.ask("What?")

    @registry.workflow("broken-team")
    async def broken_team(ctx: Any, input: Any) -> Any:
        """Has one that fails."""
        return await ctx.child("failing", None)

    @registry.workflow("halting")
    async def halting(ctx: Any, input: Any) -> Any:
        """As `team`, and goes on once there is a file `open`."""
        said = await ctx.map("echo", [{"text": text} for text in input["texts"]])
        while not (ctx.workspace / "open").exists():  # noqa: ASYNC110  what opens it is another process
            await asyncio.sleep(0.02)
        return said

    return registry


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

    def until(self, run_id: str, *statuses: str) -> Any:
        """The run, once it has one of these statuses; asks over HTTP, woken by the ledger."""
        changed = threading.Event()
        number = self.ledger.signals.subscribe(run_id, changed.set)
        client, deadline = self.client("read"), time.monotonic() + 30
        try:
            while (run := client.get(f"/api/v1/runs/{run_id}").json())["status"] not in statuses:
                assert time.monotonic() < deadline, run
                changed.wait(0.2)
                changed.clear()
            return run
        finally:
            self.ledger.signals.unsubscribe(number)


@contextmanager
def serving(root: Path, registry: Registry | None = None, **settings: Any) -> Iterator[Running]:
    """A server over the workspace in `root`, until the block ends; then it has ended cleanly."""
    with runstone.open(root) as ledger:
        server = Server(ledger, Settings(port=0, **settings), registry)
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
    with serving(tmp_path / "workspace", crew()) as running:
        yield running


@pytest.fixture
def http(running: Running) -> httpx.Client:
    """A client that may do everything."""
    return running.client()
