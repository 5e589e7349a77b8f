"""Commands and the server over a shared ledger: named by --dsn or by the environment, they do as with a folder."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import runstone
from tests.care import world
from tests.postgres.server import database

MODULE = """
import runstone

@runstone.workflow("greet", version="1")
async def greet(ctx, input):
    return await ctx.step("greet", lambda: f"hello {input['name']}")
"""


class Typed:
    """Types commands in a folder."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTONE_")}
        self.environment = {**clean, "RUNSTONE_STATE_DIR": str(folder.parent / "state"), **environment}

    def __call__(self, *words: str, code: int = 0, stdin: bytes | None = None) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "runstone", *words], cwd=self.folder, env=self.environment, input=stdin,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stderr.decode()
        return done.stdout if code == 0 else done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


def test_commands_work_on_a_shared_ledger_as_on_a_folder(tmp_path: Path, dsn: str) -> None:
    (tmp_path / "greeting.py").write_text(MODULE)
    (tmp_path / "runstone.toml").write_text('modules = ["greeting"]\n')
    named = Typed(tmp_path)
    assert "hello ana" in json.dumps(
        named.json("--dsn", dsn, "run", "greet", "name=ana", "--id", "first", "--trust")
    )
    by_environment = Typed(tmp_path, RUNSTONE_DSN=dsn)
    assert [run["id"] for run in by_environment.json("runs", "list")["items"]] == ["first"]
    assert by_environment.json("runs", "show", "first")["status"] == "completed"
    assert by_environment.json("verify")["findings"] == []
    assert by_environment.json("usage")
    by_environment("exec", "--id", "printed", "--", "echo", "hello from below")
    assert by_environment.json("runs", "show", "printed")["status"] == "completed"
    assert b"hello from below" in by_environment("runs", "logs", "printed")
    by_environment("runs", "rm", "first", "--yes")
    assert [run["id"] for run in by_environment.json("runs", "list")["items"]] == ["printed"]
    assert by_environment.json("prune", "--keep", "0", "--yes")
    assert not (tmp_path / ".runstone" / "ledger.db").exists()


def test_places_that_contradict_each_other_or_are_none_are_refused(tmp_path: Path, dsn: str) -> None:
    named = Typed(tmp_path)
    assert b"exclude each other" in named("--dsn", dsn, "--workspace", ".", "runs", "list", code=2)
    assert b"takes the DSN" in named("--dsn", "mysql://db", "runs", "list", code=2)
    with database(migrated=False) as empty:
        said = named("--dsn", empty, "runs", "list", code=1)
        assert b"no ledger in this database" in said
    assert b"--to takes the DSN" in named("migrate", "--to", "elsewhere", code=1)
    wrong = "postgresql://ana:secret@127.0.0.1:1/x"
    assert b"secret" not in named("--dsn", wrong, "runs", "list", code=1)


def test_an_export_goes_from_a_file_to_a_database_and_back(tmp_path: Path, dsn: str) -> None:
    world.build(tmp_path / "here")
    typed = Typed(tmp_path)
    lines = typed("--workspace", "here", "export", "--all")
    typed("--dsn", dsn, "import", "-", stdin=lines)
    there = typed("--dsn", dsn, "export", "--all")
    typed("--workspace", "back", "import", "-", stdin=there)
    with runstone.open(tmp_path / "here", readonly=True) as here, runstone.open(tmp_path / "back") as back:
        for run in here.list_runs(limit=1_000, archived=None):
            first, second = (
                [(e.seq, e.type, e.payload) for e in ledger.events(run.id, limit=1_000)]
                for ledger in (here, back)
            )
            assert first == second
            assert here.result(run.id) == back.result(run.id)
        assert back.care.verify() == []


def test_a_server_serves_a_shared_ledger(tmp_path: Path, dsn: str) -> None:
    with (
        runstone.open(dsn) as ledger,
        ledger.start_run(run_id="seen", parent=None, title="Seen by the server"),
    ):
        pass
    typed = Typed(tmp_path, RUNSTONE_DSN=dsn)
    up = typed.json("up", "--detach", "--port", "0")
    try:
        token = Path(up["token_file"]).read_text().strip()
        request = urllib.request.Request(
            f"{up['url']}/api/v1/runs", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert [run["id"] for run in json.load(answer)["items"]] == ["seen"]
    finally:
        typed("down")


def test_what_works_on_files_is_refused_and_makes_none(tmp_path: Path, dsn: str) -> None:
    typed = Typed(tmp_path, RUNSTONE_DSN=dsn)
    typed("runs", "list")
    (tmp_path / "copy.db").write_bytes(b"")
    for words in (("verify", "--repair"), ("backup",), ("restore", "copy.db")):
        assert b"in a database" in typed(*words, code=1)
    assert list(tmp_path.rglob("ledger*.db")) == []
