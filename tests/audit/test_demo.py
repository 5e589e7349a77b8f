"""The demo shows a kill and a resume on any git repository, and says honestly where it can't."""

import os
import re
import subprocess
import sys
from pathlib import Path

import runstone
from tests.audit.prepared import git

DEMO = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"


def demo(folder: Path, repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            str(DEMO),
            "--repo",
            str(repository),
            "--workspace",
            str(folder / "demo"),
            "--id",
            "shown",
        ],
        cwd=folder,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(folder), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def make(folder: Path, files: int) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number in range(files):
        (folder / f"module_{number:02}.py").write_text(f"import os\n\nNUMBER = {number}\n")
    git(folder, "add", "--all")
    return folder


def test_what_the_demo_prints_is_what_the_ledger_says(tmp_path: Path) -> None:
    done = demo(tmp_path, make(tmp_path / "repository", 30))
    assert done.returncode == 0, done.stdout + done.stderr
    with runstone.open(tmp_path / "demo", readonly=True) as ledger:
        attempts = ledger.attempts("shown")
        children = list(ledger.list_runs(parent_id="shown", limit=200))
        kept = [run for run in children if ledger.attempts(run.id)[-1].owner == attempts[0].owner]
        report = ledger.result("shown")["report"]
        assert ledger.get_run("shown").status == "completed"
    assert 10 <= len(kept) < 30, "killed when a third was done"
    assert f"reused:  {len(kept)} children, for which 0 tools ran again" in done.stdout
    assert f"report:  {report}\n" in done.stdout
    assert "30 files, 30 findings in 30 of them: 30 confirmed" in done.stdout
    assert re.search(r"kill -9 \d+, when \d+ of 30 files are inspected", done.stdout)
    assert Path(report).is_file()


def test_where_there_is_nothing_to_show_the_demo_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for repository, told in (
        (empty, "is no git work tree"),
        (tmp_path / "missing", "is no git work tree"),
        (make(tmp_path / "small", 2), "has 2 tracked files"),
    ):
        done = demo(tmp_path, repository)
        assert (done.returncode, told in done.stdout) == (2, True), done.stdout + done.stderr
