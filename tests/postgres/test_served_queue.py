"""A server of a shared ledger leaves what is started over HTTP to workers, and their runs to them."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import runstone
from tests.cli.conftest import Shell

FLOWS = """
import asyncio, os
from pathlib import Path
import runstone

@runstone.agent("where")
async def where(ctx, input):
    if input == "wait":
        while not Path("open").exists():
            await asyncio.sleep(0.02)
    return os.getpid()

@runstone.workflow("asks")
async def asks(ctx, input):
    first = await ctx.child("where", None)
    answer = await ctx.ask("Go on?", choices=["yes", "no"])
    return [first, answer, os.getpid()]

@runstone.agent("secret", secrets=["key"])
async def secret(ctx, input):
    return 1
"""


class Served:
    """A server and a worker of one folder, and a client."""

    def __init__(self, folder: Path, dsn: str, *, by_flag: bool) -> None:
        self.folder = folder
        self.shell = Shell(folder)
        given = psycopg.conninfo.conninfo_to_dict(dsn)
        self.dsn = f"postgresql://{given['user']}@{given['host']}:{given['port']}/{given['dbname']}"
        flag = ["--queue", "default"] if by_flag else []
        up = self.shell("--dsn", self.dsn, "--json", "up", "--detach", "--port", "0", "--trust", *flag).json
        token = Path(up["token_file"]).read_text().strip()
        self.http = httpx.Client(
            base_url=f"{up['url']}/api/v1", headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=30
        )  # fmt: skip
        self.worker: Any = None

    def work(self) -> None:
        """From now on a worker takes runs."""
        self.worker = self.shell.start("--dsn", self.dsn, "worker")

    def start(self, name: str, input: Any, run_id: str) -> Any:
        answer = self.http.post("/runs", json={"name": name, "input": input, "run_id": run_id})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def close(self) -> None:
        self.http.close()
        self.shell("--dsn", self.dsn, "down")
        if self.worker is not None:
            self.worker.send_signal(signal.SIGTERM)
            assert self.worker.wait(60) == 0
        self.shell.close()


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path, dsn: str) -> Iterator[Served]:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    (folder / "flows.py").write_text(FLOWS)
    settings = "" if request.param else '[settings]\nqueue = "default"\n'
    (folder / "runstone.toml").write_text(f'modules = ["flows"]\n{settings}[queues.default]\npoll_s = 0.05\n')
    found = Served(folder, dsn, by_flag=request.param)
    try:
        yield found
    finally:
        found.close()


@pytest.mark.parametrize("served", [True], indirect=True, ids=["by its flag"])
def test_what_is_started_over_http_is_executed_by_a_worker(served: Served, dsn: str) -> None:
    with runstone.open(dsn) as ledger:
        started = served.start("asks", {}, "asks")
        assert started["options"]["dispatch"] == {"queue": "default"}
        assert ledger.wait("asks", 0.5).status == "pending", "the server leaves it alone"
        again = served.http.post("/runs", json={"name": "asks", "input": {}, "run_id": "asks"})
        assert (again.status_code, again.json()["id"]) == (200, "asks")
        served.work()
        assert ledger.wait("asks", 60).status == "awaiting_user"
        (question,) = served.http.get("/inputs", params={"status": "open"}).json()["items"]
        served.http.post(f"/inputs/{question['id']}/answer", json={"response": "yes"}).raise_for_status()
        assert ledger.wait("asks", 60).status == "completed"
        worker = served.worker.pid
        assert ledger.result("asks") == [worker, "yes", worker]

        served.start("where", "wait", "held")
        until(ledger, "held", "running")
        served.http.post("/runs/held/commands", json={"verb": "stop"}).raise_for_status()
        assert ledger.wait("held", 60).status == "cancelled"
        (served.folder / "open").touch()
        resumed = served.http.post("/runs/held/resume")
        assert resumed.status_code == 202, resumed.text
        assert ledger.wait("held", 60).status == "completed"
        assert ledger.result("held") == worker

        forked = served.http.post("/runs/held/fork", json={"start": True, "run_id": "fork"})
        assert forked.status_code == 201, forked.text
        assert ledger.wait("fork", 60).status == "completed"
        assert ledger.result("fork") == worker
        refused = served.http.post("/runs", json={"name": "secret", "input": {"key": "hunter2"}})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_input")
        assert ledger.care.verify() == []


@pytest.mark.parametrize("served", [False], indirect=True, ids=["by runstone.toml"])
def test_a_pause_before_a_worker_takes_it_keeps_it_out_of_line_until_it_is_resumed(
    served: Served, dsn: str
) -> None:
    with runstone.open(dsn) as ledger:
        served.start("where", None, "one")
        served.http.post("/runs/one/commands", json={"verb": "pause"}).raise_for_status()
        served.start("where", None, "two")
        served.work()
        assert ledger.wait("two", 60).status == "completed"
        assert ledger.get_run("one").status == "paused"
        served.http.post("/runs/one/resume").raise_for_status()
        assert ledger.wait("one", 60).status == "completed"
        assert ledger.result("one") == served.worker.pid


def until(ledger: runstone.Ledger, run_id: str, status: str) -> None:
    """Waits for the run's status, woken by what is written to it."""
    for _ in ledger.tail(after=None, timeout=60):
        if ledger.get_run(run_id).status == status:
            return
    raise AssertionError(f"run {run_id} is {ledger.get_run(run_id).status}")
