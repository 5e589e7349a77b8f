"""`runstone worker --dsn`: Python agents, command agents and workflows of a folder, over a ledger in PostgreSQL."""

import signal
from pathlib import Path

import psycopg
import pytest

import runstone
from tests.cli.conftest import Shell

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
