"""`export` and `import` say what they did, refuse what is not whole, and leave stdout to the lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import runstone
from tests.cli.conftest import Typed


@pytest.fixture
def shell(tmp_path: Path) -> Typed:
    """Two trees, one of them with a child."""
    (tmp_path / "a").mkdir()
    with runstone.open(tmp_path / "a") as ledger:
        with ledger.start_run(run_id="alpha", title="First") as run:
            ledger.start_run(run_id="alpha.kid", parent=run).complete().result()
        with ledger.start_run(run_id="beta") as run:
            run.message("assistant", "pangolin")
    return Typed(tmp_path / "a")


def records(text: str) -> list[str]:
    return [json.loads(line).get("record", "header") for line in text.splitlines()]


def test_lines_go_to_stdout_and_nothing_else_does(shell: Typed) -> None:
    said = shell("export", "--all")
    assert records(said.stdout)[0] == "header"
    assert records(said.stdout).count("run") == 3
    assert records(said.stdout)[-1] == "end"
    assert said.stderr == ""


def test_runs_are_chosen_by_part_of_their_ids_with_or_without_those_below(shell: Typed) -> None:
    assert records(shell("export", "alpha").stdout).count("run") == 2
    assert records(shell("export", "alpha", "--only").stdout).count("run") == 1
    assert records(shell("export", "alpha.kid", "beta").stdout).count("run") == 2
    assert "no run" in shell("export", "nobody", code=1).stderr


@pytest.mark.parametrize("asked", [(), ("--all", "alpha"), ("--all", "--only")])
def test_what_makes_no_sense_is_told_before_anything_is_made(shell: Typed, asked: tuple[str, ...]) -> None:
    said = shell("export", *asked, code=2)
    assert said.stdout == ""
    assert "error:" in said.stderr


def test_a_file_is_made_once_and_taken_in_once(shell: Typed, tmp_path: Path) -> None:
    file, there = tmp_path / "all.jsonl.zst", tmp_path / "b"
    there.mkdir()
    made = shell("export", "--all", "-o", str(file))
    assert made.stdout.strip() == str(file)
    assert "3 runs" in made.stderr
    assert "exists" in shell("export", "--all", "-o", str(file), code=1).stderr
    assert json.loads(shell("export", "--all", "-o", str(file), "--force", "--json").stdout)["runs"] == 3
    other = Typed(there)
    assert "3 runs: came in" in other("import", str(file)).stderr
    again = json.loads(other("import", str(file), "--json").stdout)
    assert (again["runs"], again["present"], again["messages"]) == (0, 3, 0)
    assert json.loads(other("runs", "show", "alpha", "--json").stdout)["title"] == "First"


def test_a_file_that_was_changed_is_refused_by_its_line(shell: Typed, tmp_path: Path) -> None:
    lines = shell("export", "--all").stdout
    (tmp_path / "cut").write_text(lines[: len(lines) // 2])
    (tmp_path / "edited").write_text(lines.replace("pangolin", "armadillo"))
    (tmp_path / "b").mkdir()
    other = Typed(tmp_path / "b")
    for name in ("cut", "edited"):
        said = other("import", str(tmp_path / name), "--json", code=1)
        error = json.loads(said.stderr.splitlines()[-1])
        assert "invalid_export" in json.dumps(error)
        assert "line " in json.dumps(error)
    assert json.loads(other("runs", "list", "--json").stdout)["items"] == []


def test_a_file_that_is_not_there_makes_no_workspace(tmp_path: Path) -> None:
    assert "there is no file" in Typed(tmp_path)("import", "nothing", "--workspace", "new", code=1).stderr
    assert not (tmp_path / "new").exists()


def test_a_pipe_carries_runs_from_one_workspace_to_another(shell: Typed, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "runstone", "--workspace"]
    source = [*program, str(tmp_path / "a"), "export", "--all"]
    with subprocess.Popen(source, stdout=subprocess.PIPE) as first:
        target = [*program, str(tmp_path / "b"), "import", "-"]
        second = subprocess.run(target, stdin=first.stdout, timeout=60, check=True)
    assert (first.returncode, second.returncode) == (0, 0)
    with runstone.open(tmp_path / "b") as ledger:
        assert len(ledger.search("pangolin")) == 1
        assert ledger.care.verify() == []


def test_runs_are_moved_and_taken_back(shell: Typed, tmp_path: Path) -> None:
    with runstone.open(tmp_path / "a") as ledger:
        ledger.start_run(run_id="gamma").pause(state={"n": 1})
    file = tmp_path / "gamma.jsonl"
    for asked in (
        ["gamma", "--move"],
        ["gamma", "--move", "--only", "-o", str(file)],
        ["gamma", "--move", "--force", "-o", str(file)],
        ["gamma", "--undo"],
        ["--move", "--undo"],
    ):
        assert "error:" in shell("export", *asked, code=2).stderr
    said = shell("export", "gamma", "--move", "-o", str(file))
    assert said.stdout.strip() == str(file)
    assert "1 run of 1 unfinished, and sealed here" in said.stderr
    assert "moved" in shell("runs", "list", "--status", "moved").stdout
    shown = shell("runs", "show", "gamma")
    assert "moved to gamma.jsonl of 20" in shown.stdout
    refused = shell("runs", "stop", "gamma", code=1)
    assert "gamma.jsonl" in refused.stderr
    assert shell("export", "--all", "--move", "-o", str(tmp_path / "rest.jsonl")).stderr.count("0 runs of 3")
    assert "1 run can go on here" in shell("export", "--move", "--undo", "gamma").stderr
    assert json.loads(shell("export", "--move", "--undo", "--all", "--json").stdout) == {"returned": 0}
    assert json.loads(shell("runs", "show", "gamma", "--json").stdout)["status"] == "paused"


def test_a_tree_that_was_moved_away_can_be_removed_and_come_back(shell: Typed, tmp_path: Path) -> None:
    with runstone.open(tmp_path / "a") as ledger:
        ledger.start_run(run_id="gamma").pause(state={"n": 1})
    file, there = tmp_path / "gamma.jsonl", Typed(tmp_path / "b")
    (tmp_path / "b").mkdir()
    shell("export", "gamma", "--move", "-o", str(file))
    there("import", str(file))
    there("runs", "edit", "gamma", "--title", "gone on")
    there("export", "gamma", "--move", "-o", str(tmp_path / "back.jsonl"))
    assert "is here" in shell("import", str(tmp_path / "back.jsonl"), code=1).stderr
    shell("runs", "rm", "gamma", "--yes")
    shell("import", str(tmp_path / "back.jsonl"))
    assert json.loads(shell("runs", "show", "gamma", "--json").stdout)["title"] == "gone on"
