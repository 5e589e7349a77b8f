"""`runstone worker --dsn`: Python agents, command agents and workflows of a folder, over a ledger in PostgreSQL."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import psycopg.sql
import pytest

import runstone
from runstone.cli import waiting
from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.errors import StoreUnreachable
from tests.cli.conftest import Shell
from tests.postgres import server
from tests.postgres.proxy import Proxy

FLOWS = """
import runstone

@runstone.workflow("both")
async def both(ctx, input):
    counted = await ctx.child("count", {"text": "a b c"})
    return [counted, await ctx.child("double", counted)]

@runstone.agent("double")
async def double(ctx, input):
    return 2 * input
"""

TOML = """
modules = ["flows"]

[queues.slow]
concurrency = 1
agents = ["count"]

[agents.count]
command = ["sh", "-c", "echo $1 | wc -w", "sh", "{input.text}"]
result = "json"
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_executes_what_stands_in_line_of_its_queues(
    tmp_path: Path, dsn: str, how: signal.Signals
) -> None:
    given = psycopg.conninfo.conninfo_to_dict(dsn)
    url = f"postgresql://{given['user']}@{given['host']}:{given['port']}/{given['dbname']}"
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    (folder / "flows.py").write_text(FLOWS)
    (folder / "runstone.toml").write_text(TOML)
    shell = Shell(folder)
    try:
        said = shell("--dsn", url, "enqueue", "both", "--id", "b", "--trust", "--json")
        assert said.json == {"run_id": "b", "status": "pending", "queue": "default"}
        worker = shell.start("--dsn", url, "worker", "--queues", "default,slow", "--slots", "2")
        with runstone.open(url, readonly=True) as ledger:
            run = ledger.wait("b", 60)
            assert run.status == "completed", (run.status_reason, run.error, worker.poll())
            assert ledger.reader.values.json(run.result_ref) == [3, 6]
            queues = {one.agent_id: one.options["dispatch"].get("queue") for one in ledger.list_runs().items}
            assert queues == {None: None, "count": "slow", "double": None}
        worker.send_signal(how)
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err
        assert "Traceback" not in err
    finally:
        shell.close()


def url_of(dsn: str, **other: Any) -> str:
    given = psycopg.conninfo.conninfo_to_dict(dsn) | other
    return f"postgresql://{given['user']}@{given['host']}:{given['port']}/{given['dbname']}"


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Shell]:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    (folder / "flows.py").write_text(FLOWS)
    (folder / "runstone.toml").write_text(TOML)
    shell = Shell(folder)
    yield shell
    shell.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until_it_says(worker: Any, text: str) -> str:
    """Reads what the worker says up to a line with the text."""
    for line in worker.stderr:
        if text in line:
            return str(line)
    raise AssertionError(f"the worker ended with {worker.wait()} and never said {text!r}")


def test_a_worker_waits_for_a_database_that_is_away_and_goes_on(typed: Shell, dsn: str) -> None:
    typed("--dsn", url_of(dsn), "enqueue", "double", "--input", "4", "--id", "d", "--trust")
    port = free_port()
    worker = typed.start("--dsn", url_of(dsn, host="127.0.0.1", port=port), "worker")
    assert "cannot be reached" in until_it_says(worker, "the worker waits for it")
    with closing(Proxy(dsn, port)), runstone.open(dsn, readonly=True) as ledger:
        assert ledger.wait("d", 60).status == "completed"
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=60)
        assert worker.returncode == 0, err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_its_database_ends_when_it_is_told_to(
    typed: Shell, dsn: str, how: signal.Signals
) -> None:
    worker = typed.start("--dsn", url_of(dsn, host="127.0.0.1", port=free_port()), "worker", "--trust")
    until_it_says(worker, "the worker waits for it")
    worker.send_signal(how)
    _, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err
    assert "the worker has ended" in err
    assert "Traceback" not in err


def test_what_waiting_does_not_mend_ends_a_worker_at_once(typed: Shell, dsn: str) -> None:
    nowhere = typed("--dsn", url_of(dsn, dbname="nowhere"), "worker", "--trust", code=1)
    assert "refused the connection" in nowhere.err
    assert "waits" not in nowhere.err
    with server.database() as other, psycopg.connect(other, autocommit=True) as connection:
        connection.execute("INSERT INTO migrations VALUES (9999, 'later', '')")
        connection.execute("UPDATE meta SET value = '9999' WHERE name = 'usable_from'")
        newer = typed("--dsn", url_of(other), "worker", "--trust", code=1)
        assert "has schema 9999" in newer.err


def test_a_worker_that_waits_says_so_at_once_and_then_each_minute() -> None:
    told: list[str] = []
    now = [100.0]

    class Listening(Output):
        def warning(self, message: str) -> None:
            told.append(f"{now[0] - 100:g} {message}")

    class Away(Session):
        def changing(self, *, create: bool = False) -> Any:
            if now[0] >= 300:
                raise KeyError("here it would be open")
            raise StoreUnreachable("it is away")

    def pause(seconds: float) -> None:
        now[0] += seconds

    with (
        pytest.raises(KeyError),
        waiting.changing(Away(None, Listening()), pause=pause, monotonic=lambda: now[0]),
    ):
        pass
    assert told == [
        "0 it is away; the worker waits for it",
        *(f"{n} it is away; the worker has waited for it for {n} s" for n in (60, 120, 180)),
    ]


STARTING = """
modules = ["flows"]

[agents.starter]
command = [
  "sh", "-c",
  "echo $RUNSTONE_DSN; env; {python} -m runstone enqueue double --input 4 --id started --quiet; echo 1", "sh",
]
result = "json"

[agents.behind]
command = ["sh", "-c", "{python} -m runstone exec -- sh -c 'echo $RUNSTONE_DSN; {python} -m runstone runs list'"]
result = "text"
"""


def test_what_agents_start_is_in_the_ledger_of_their_worker_and_no_password_is_kept(
    typed: Shell, dsn: str
) -> None:
    """The tests' server lets everybody in, whatever password is given."""
    (typed.folder / "runstone.toml").write_text(STARTING.replace("{python}", sys.executable))
    secret = "pangolin%2Fhunter2"
    url = url_of(dsn).replace("@", f":{secret}@", 1)
    typed("--dsn", url, "enqueue", "starter", "--id", "starter", "--trust")
    typed("--dsn", url, "enqueue", "behind", "--id", "behind", "--trust")
    worker = typed.start("--dsn", url, "worker")
    with runstone.open(dsn, readonly=True) as ledger:
        for run_id in ("starter", "behind"):
            run = ledger.wait(run_id, 60)
            assert run.status == "completed", (run.status, run.error, worker.poll())
        assert ledger.wait("started", 60).status == "completed"
        (exec_,) = ledger.list_runs(parent_id="behind").items
        assert ledger.wait(exec_.id, 60).status == "completed"
        said = [message.text for one in ledger.threads.list(limit=200)
                for message in ledger.threads.messages(one.id, limit=1_000)]  # fmt: skip
    assert [text for text in said if text.startswith("postgresql://")], said
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    kept = b"".join(file.read_bytes() for file in typed.folder.rglob("*") if file.is_file())
    with psycopg.connect(dsn) as connection:
        for (table,) in connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                                           "'public'::regnamespace").fetchall():  # fmt: skip
            rows = connection.execute(
                psycopg.sql.SQL("SELECT t::text FROM {} t").format(psycopg.sql.Identifier(table))
            )
            kept += "".join(text for (text,) in rows.fetchall()).encode()
    assert b"started" in kept
    assert b"hunter2" not in kept
