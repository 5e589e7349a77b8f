"""A server that is killed, or away for long, costs a client nothing that it reported, and doubles nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import runstone
from runstone.client import spool
from runstone.client.doctor import check_spools
from runstone.client.ledger import RemoteLedger
from runstone.client.spool import Record
from runstone.engine.liveness import CLIENT
from runstone.engine.processes import identify_self
from runstone.errors import NotAuthenticated, ServerUnreachable, SpoolFull
from runstone.store.writes.lifecycle import NewRun, Owner
from runstone.store.writes.spooled import KeepAlive, OpenHandle
from runstone.testing.clock import FakeClock
from tests.client.serve import ServerProcess

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path / "workspace")
    process.start()
    yield process
    process.kill()


def connect(server: ServerProcess, tmp_path: Path, **more: int) -> RemoteLedger:
    return RemoteLedger(server.url, server.token, spool=tmp_path / "spool", **more)


def until(done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for something that another process does."""
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "it did not come"
        time.sleep(0.02)


def numbers(workspace: Path, run_id: str) -> list[int]:
    with runstone.open(workspace, readonly=True, create=False) as ledger:
        found, after = [], 0
        while after is not None:
            page = ledger.events(run_id, after=after, limit=10_000)
            found += [event.payload["n"] for event in page if event.type == "crawl.made"]
            after = page.next_cursor
    return found


def test_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing(
    server: ServerProcess, tmp_path: Path
) -> None:
    ledger = connect(server, tmp_path)
    restarts: list[threading.Thread] = []
    with ledger.start_run(run_id="busy") as run:
        for n in range(6_000):
            run.emit("crawl.made", {"n": n})
            if n % 40 == 0:
                run.message("assistant", f"m{n}")
            if n % 100 == 0:
                run.usage(provider="p", model="m", input_tokens=1)
                run.checkpoint(append={"done": [n]})
            if n % 1_500 == 700:
                for restart in restarts[-1:]:
                    restart.join()
                server.kill()
                restarts.append(threading.Thread(target=server.start))
                restarts[-1].start()
        run.complete(result=6_000)
    assert len(restarts) == 4
    restarts[-1].join()
    until(lambda: ledger.health().waiting == 0)
    assert ledger.health().refused == 0
    ledger.close()
    assert not list((tmp_path / "spool").glob("*/*.log"))
    assert numbers(server.workspace, "busy") == list(range(6_000))
    with runstone.open(server.workspace) as own:
        assert own.get_run("busy").status == "completed"
        assert own.get_run("busy").attempt == 1
        assert own.telemetry("busy").own.input_tokens == 60
        assert len(own.threads.messages("busy.thread", limit=1_000)) == 150
        assert own.checkpoints.state("busy") == {"done": list(range(0, 6_000, 100))}
        assert own.care.verify() == []


def test_a_loop_goes_on_while_the_server_is_away(server: ServerProcess, tmp_path: Path) -> None:
    ledger = connect(server, tmp_path)
    run = ledger.start_run(run_id="before")
    server.kill()
    began = time.monotonic()
    receipt = run.emit("crawl.made", {"n": 1})
    assert receipt.result() is None
    assert receipt.state == "spooled"
    with pytest.raises(ServerUnreachable):
        run.ask("Which?")
    with ledger.start_run(run_id="during", agent_id="a", parent=run) as other:
        other.emit("crawl.made", {"n": 2})
        other.checkpoint({"a": 1})
    run.complete(result="there")
    ledger.flush()
    assert time.monotonic() - began < 25
    assert not ledger.health().reachable
    server.start()
    until(lambda: ledger.health().waiting == 0)
    assert receipt.state == "acknowledged"
    assert receipt.result()[0] > 1
    ledger.close()
    with runstone.open(server.workspace) as own:
        assert [own.get_run(one).status for one in ("before", "during")] == ["completed", "completed"]
        assert own.get_run("during").parent_run_id == "before"
        assert own.result("before") == "there"
        assert own.inputs.list(status=None).items == []
        assert own.care.verify() == []


AGENT = """
import sys, time
from runstone.client.ledger import RemoteLedger
url, token, folder = sys.argv[1:]
ledger = RemoteLedger(url, token, spool=folder)
run = ledger.start_run(run_id="killed")
finished = ledger.start_run(run_id="finished", agent_id="f")
print("started", flush=True)
sys.stdin.readline()
for n in range(2_000):
    run.emit("crawl.made", {"n": n})
open_one = ledger.start_run(run_id="left")
open_one.checkpoint({"n": 1})
ended = ledger.start_run(run_id="ended", parent=run)
ended.complete(result=1)
finished.checkpoint({"n": 2})
finished.complete(result=2)
ledger.flush()
print("spooled", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_left_is_delivered_by_the_next_one(
    server: ServerProcess, tmp_path: Path
) -> None:
    arguments = [server.url, server.token, str(tmp_path / "spool")]
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert agent.stdout is not None
    assert agent.stdin is not None
    assert agent.stdout.readline() == b"started\n"
    server.kill()
    agent.stdin.write(b"\n")
    agent.stdin.flush()
    assert agent.stdout.readline() == b"spooled\n"
    assert [check.severity for check in check_spools(tmp_path)] == ["ok"]  # its process has it
    os.kill(agent.pid, signal.SIGKILL)
    agent.communicate()
    (left,) = check_spools(tmp_path)
    assert (left.severity, left.text[:14]) == ("warning", "1 spools with ")
    server.start()
    with connect(server, tmp_path) as next_one:
        next_one.start_run(run_id="next").complete()
        until(lambda: next_one.health().adopted > 2_000)
        assert next_one.health().adopted_refused == 0
    assert numbers(server.workspace, "killed") == list(range(2_000))
    assert not list((tmp_path / "spool").iterdir())
    with runstone.open(server.workspace) as own:
        assert [own.get_run(one).status for one in ("killed", "left")] == ["interrupted", "interrupted"]
        assert own.get_run("killed").attempt == 1
        assert own.checkpoints.state("left") == {"n": 1}
        assert (own.get_run("finished").status, own.result("finished")) == ("completed", 2)
        assert (own.get_run("ended").status, own.result("ended")) == ("completed", 1)
        assert own.care.verify() == []


def test_a_run_that_was_only_not_heard_of_goes_on(server: ServerProcess, tmp_path: Path) -> None:
    ledger = connect(server, tmp_path)
    run = ledger.start_run(run_id="silent")
    server.kill()
    run.emit("crawl.made", {"n": 1})
    ledger.flush()
    with runstone.open(server.workspace) as own:
        identity = own.attempts("silent")[0].owner
        own.core.submit(_interrupt("silent", "no heartbeat since long ago"), []).result()
        assert own.get_run("silent").status == "interrupted"
    server.start()
    run.emit("crawl.made", {"n": 2})
    run.complete()
    until(lambda: ledger.health().waiting == 0)
    assert ledger.health().refused == 0
    ledger.close()
    assert numbers(server.workspace, "silent") == [1, 2]
    with runstone.open(server.workspace) as own:
        assert [(one.number, one.owner == identity, one.outcome) for one in own.attempts("silent")] == [
            (1, True, "interrupted"), (2, True, "completed"),
        ]  # fmt: skip
        assert own.care.verify() == []


def test_a_client_that_could_not_renew_has_a_lease_after_the_servers_start(tmp_path: Path) -> None:
    """However long the server was away, and however slowly it starts: its clients could not be heard meanwhile."""
    clock = FakeClock()
    identity = msgspec.structs.replace(identify_self(), host="elsewhere")
    told = msgspec.json.encode({**msgspec.to_builtins(identity), CLIENT: True}).decode()
    client = Owner("the-client", told, 30_000_000)
    with runstone.open(tmp_path, clock=clock) as own:
        for run_id in ("heard", "gone"):
            own.core.submit(
                OpenHandle(NewRun(run_id=run_id, kind="subagent", identity={}), client, 1), []
            ).result()
    clock.advance(3_600)
    with runstone.open(tmp_path, clock=clock) as own:
        clock.advance(20)  # it takes its time to answer
        own.supervisor.answer_clients()
        for _ in range(5):
            clock.advance(5.5)
            assert own.reconcile() == []
        assert own.core.submit(KeepAlive(client, [("heard", 1)]), []).result() == [1]
        clock.advance(5.5)
        assert own.reconcile() == ["gone"]
        assert (own.get_run("heard").status, own.get_run("heard").attempt) == ("running", 1)
        assert own.care.verify() == []


def _interrupt(run_id: str, reason: str) -> object:
    from runstone.store.writes.lifecycle import InterruptRun

    return InterruptRun(run_id, 1, reason)


def test_a_run_that_somebody_else_took_is_lost_and_its_usage_counts(
    server: ServerProcess, tmp_path: Path
) -> None:
    ledger = connect(server, tmp_path)
    run = ledger.start_run(run_id="taken")
    server.kill()
    run.usage(provider="p", model="m", input_tokens=7)
    run.emit("crawl.made", {"n": 1})
    ledger.flush()
    with runstone.open(server.workspace) as own:
        own.core.submit(_interrupt("taken", "no heartbeat since long ago"), []).result()
        with own.continue_run("taken", "mine now") as theirs:
            server.start()
            until(lambda: ledger.health().waiting == 0)
            until(lambda: run.stopping)
            theirs.complete(result="theirs")
    assert ledger.health().refused == 1
    with pytest.raises(runstone.RunstoneError):
        run.emit("crawl.made", {"n": 2})
    ledger.close()
    with runstone.open(server.workspace) as own:
        assert own.result("taken") == "theirs"
        assert own.telemetry("taken").own.input_tokens == 7
    assert numbers(server.workspace, "taken") == []


def test_a_full_spool_refuses_the_write_and_says_so_at_the_next_call(
    server: ServerProcess, tmp_path: Path
) -> None:
    ledger = connect(server, tmp_path, spool_bytes=20_000)
    run = ledger.start_run(run_id="full")
    server.kill()
    run.emit("crawl.made", {"n": 0}).result()
    refused = run.emit("crawl.made", {"n": 1, "text": "x" * 30_000})
    with pytest.raises(SpoolFull):
        refused.result()
    assert refused.state == "refused"
    run.emit("crawl.made", {"n": 2, "text": "x" * 30_000})
    until(lambda: ledger.health().refused == 2)
    with pytest.raises(SpoolFull):
        run.emit("crawl.made", {"n": 3})
    run.emit("crawl.made", {"n": 4})
    run.complete(result="y" * 30_000)  # an end has room of its own
    server.start()
    until(lambda: ledger.health().waiting == 0)
    ledger.close()
    assert numbers(server.workspace, "full") == [0, 4]
    with runstone.open(server.workspace) as own:
        assert own.result("full") == "y" * 30_000


def test_a_full_disk_refuses_as_a_full_spool_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = spool.create(tmp_path, "one", 1_000_000)
    own.append([Record(1, b"{}")])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(SpoolFull):
            own.append([Record(2, b"{}")])
    own.append([Record(3, b"[]")])
    own.sync()
    assert [record.number for record in own.read(0, records=10, size=1_000)] == [1, 3]
    own.close(delivered=False)


def test_a_torn_last_record_is_cut_off_and_the_rest_is_read(tmp_path: Path) -> None:
    own = spool.create(tmp_path, "one", 1_000_000)
    own.append([Record(number, b'{"n":%d}' % number) for number in range(1, 50)])
    own.close(delivered=False)
    (segment,) = (tmp_path / "one").glob("*.log")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-3])
    (found,) = spool.abandoned(tmp_path, 1_000_000)
    assert [record.number for record in found.read(0, records=100, size=10_000)] == list(range(1, 49))
    assert found.last == 48
    found.close(delivered=True)
    assert list(tmp_path.iterdir()) == []


def test_a_spool_is_for_its_owner_alone_and_one_process_delivers_it(tmp_path: Path) -> None:
    own = spool.create(tmp_path, "one", 1_000_000)
    own.append([Record(1, b"{}")])
    modes = {path.name: path.stat().st_mode & 0o777 for path in [own.folder, *own.folder.iterdir()]}
    assert modes == {"one": 0o700, "lock": 0o600, "0000000000000001.log": 0o600}
    assert list(spool.abandoned(tmp_path, 1_000_000)) == []
    own.close(delivered=False)
    assert len(list(spool.abandoned(tmp_path, 1_000_000))) == 1


def test_a_wrong_token_is_refused_when_one_connects(server: ServerProcess, tmp_path: Path) -> None:
    with pytest.raises(NotAuthenticated):
        RemoteLedger(server.url, "rst_" + "x" * 43, spool=tmp_path / "spool")
