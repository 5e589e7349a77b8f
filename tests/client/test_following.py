"""A client's tail gives each event once and in order, also over a server that is killed."""

import asyncio
import threading
from pathlib import Path

import runstone
from runstone.client.ledger import RemoteLedger
from tests.client.conftest import Connect
from tests.client.serve import ServerProcess
from tests.server.conftest import Running


def test_a_tail_gives_what_the_ledgers_own_gives(running: Running, connect: Connect) -> None:
    remote = connect()
    began = running.ledger.cursor()
    with running.ledger.start_run(run_id="told") as run:
        run.emit("crawl.made", {"text": "x" * 100_000}).result()
    here = list(running.ledger.tail(began, timeout=0.3))
    tail = remote.tail(began, timeout=1.0)
    assert list(tail) == here
    assert tail.cursor == running.ledger.cursor()
    assert next(event.type for event in remote.tail("elsewhere-7", timeout=1.0)) == "ledger.reset"

    async def first() -> str:
        async for event in remote.tail(began, run_id="told"):
            return event.type
        return ""

    assert asyncio.run(first()) == "run.created"


def test_a_tail_goes_on_behind_what_it_gave_when_its_server_was_killed(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "workspace")
    server.start()
    ledger = RemoteLedger(server.url, server.token, spool=tmp_path / "spool")
    began = ledger.cursor()
    seen: list[int] = []
    ended = threading.Event()

    def follow() -> None:
        for event in ledger.tail(began):
            seen.append(event.position)
            if event.type == "run.completed":
                ended.set()
                return

    threading.Thread(target=follow, daemon=True).start()
    with ledger.start_run(run_id="long") as run:
        for n in range(900):
            run.emit("crawl.made", {"n": n})
            if n in (300, 600):
                server.kill()
                server.start()
        run.complete()
    assert ended.wait(60)
    ledger.close()
    server.kill()
    with runstone.open(server.workspace) as own:
        assert seen == [
            event.position for event in own.tail(began, timeout=0.2) if event.position <= seen[-1]
        ]
