"""A server in a process of its own, a writer in another, and clients that are cut, or many: what they were given."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

import runstone
from runstone.server.security.tokens import Tokens
from tests.server.following import Client

_SERVE = """
import sys, runstone
from runstone.server.serve import Server
from runstone.server.settings import Settings
with runstone.open(sys.argv[1]) as ledger:
    server = Server(ledger, Settings(port=int(sys.argv[2])))
    print(server.port, flush=True)
    server.run()
"""

_WRITE = """
import sys, time, runstone
root, events, burst, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
with runstone.open(root) as ledger, ledger.start_run(run_id="burst", agent_id="writer") as run:
    began = time.monotonic()
    for done in range(0, events, burst):
        run.emit_many([("note.taken", {"n": done + n}) for n in range(min(burst, events - done))]).result()
        if rate:
            time.sleep(max(0.0, began + (done + burst) / rate - time.monotonic()))
        elif done // burst % 4 == 3:
            time.sleep(0.05)
"""


class Told(NamedTuple):
    """What a client was given, and what the ledger has."""

    positions: list[int]
    ledger: list[int]
    cuts: int
    kills: int


class Followed(NamedTuple):
    """What a crowd was given: who differs from the ledger, and what it took."""

    readers: int
    wrong: list[int]
    seconds: float
    written_s: float
    grown_bytes: int
    connects: int


class Served:
    """A server process on one port, started again where it was killed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        with runstone.open(root) as ledger:
            self.token = Tokens(ledger.workspace.folder).create("read", "read")[1]

    def start(self) -> None:
        """Starts it, on the port that it had."""
        command = [sys.executable, "-c", _SERVE, str(self.root), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def rss(self) -> int:
        """Bytes of memory that it holds now."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def client(self) -> Client:
        """A client that is to be given the whole ledger."""
        client = Client(f"http://127.0.0.1:{self.port}", self.token)
        with runstone.open(self.root, readonly=True) as ledger:
            client.last_id = f"{ledger.cursor().rpartition('-')[0]}-0"
        return client

    def positions(self) -> list[int]:
        """The positions that the ledger has."""
        with runstone.open(self.root, readonly=True) as ledger:
            found, at = [], 0
            while page := ledger.reader.told.since(at, 10_000):
                found += [event.position for event in page]
                at = page[-1].position
            return found


@contextmanager
def written(root: Path, events: int, burst: int, rate: float | None) -> Iterator[subprocess.Popen[bytes]]:
    """A writer process."""
    command = [sys.executable, "-c", _WRITE, str(root), str(events), str(burst), str(rate or 0)]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


async def cut_and_killed(root: Path, *, events: int, cuts: int, kills: int, seed: int) -> Told:
    """One client that goes away at random frames and comes again, and a server that is killed meanwhile."""
    chance = random.Random(seed)
    served = Served(root)
    served.start()
    try:
        client = served.client()
        last = events + 3  # created, started, completed
        at_kill = sorted(chance.randrange(last // 10, last) for _ in range(kills))
        at_cut = sorted(chance.randrange(last // 20, last) for _ in range(cuts))
        done_cuts = done_kills = 0
        with written(root, events, 200, None):
            while not client.positions or client.positions[-1] < last:
                seen = client.positions[-1] if client.positions else 0
                if at_kill and (not at_cut or at_kill[0] < at_cut[0]):
                    await _killed(served, client, at_kill.pop(0), last)
                    done_kills += 1
                    continue
                if at_cut and seen >= at_cut[0]:
                    at_cut.pop(0)
                    done_cuts += 1
                limit = min([last, *at_kill[:1], *at_cut[:1]])
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    await client.read(max(limit, seen + 1))
        return Told(client.positions, served.positions(), done_cuts, done_kills)
    finally:
        served.kill()


async def _killed(served: Served, client: Client, position: int, last: int) -> None:
    """Kills the server while the client reads, once that has come so far, and starts it again."""
    client.mark = position
    client.reached.clear()
    reading = asyncio.create_task(client.read(last))
    reached = asyncio.create_task(client.reached.wait())
    await asyncio.wait({reading, reached}, return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    served.kill()
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await reading
    served.start()


async def followed(root: Path, *, readers: int, events: int, burst: int, rate: float | None) -> Followed:
    """Many clients while a process writes; each has to end with exactly the ledger's positions."""
    served = Served(root)
    served.start()
    try:
        clients = [served.client() for _ in range(readers)]
        last = events + 3
        began = time.monotonic()
        tasks = [asyncio.create_task(client.follow(last)) for client in clients]
        await asyncio.sleep(0)
        before = peak = served.rss()
        with written(root, events, burst, rate) as writer:
            written_s = 0.0
            while not all(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=0.25)
                peak = max(peak, served.rss())
                if not written_s and writer.poll() is not None:
                    written_s = time.monotonic() - began
        await asyncio.gather(*tasks)
        ledger = served.positions()
        wrong = [number for number, client in enumerate(clients) if client.positions != ledger]
        connects = sum(client.connects for client in clients)
        return Followed(readers, wrong, time.monotonic() - began, written_s, peak - before, connects)
    finally:
        served.kill()
