"""What `run` says of ids, names, files and bytes that it cannot take."""

import json
import os

import pytest

from tests.cli.conftest import Shell


@pytest.mark.parametrize("words", [("--id", "a b"), ("--input", '"\\ud800"')], ids=["id", "input"])
def test_a_refused_run_is_not_announced(shell: Shell, words: tuple[str, ...]) -> None:
    said = shell("run", "team", "--trust", *words, code=1)
    assert "error: " in said.err
    assert [line for line in said.err.splitlines() if line.startswith("run ")] == []
    assert shell("runs", "list", "--json").json["items"] == []


def test_the_id_is_said_once_before_the_result(shell: Shell) -> None:
    for _ in range(2):  # also where the run is there before
        said = shell("run", "team", 'items=["a"]', "--trust", "--id", "job")
        assert [line for line in said.err.splitlines() if line.startswith("run ")] == ["run job"]


def test_a_file_below_the_workspace_is_not_passed_over_in_silence(shell: Shell) -> None:
    shell("run", "team", 'items=["a"]', "--trust")
    below = shell.folder / "below"
    below.mkdir()
    (below / "runstone.toml").write_text('[agents.lower]\ncommand = ["echo", "3"]\n')
    above, shell.folder = shell.folder, below
    said = shell("run", "lower", code=1)
    assert f"warning: {below / 'runstone.toml'} is not read, the workspace is {above}" in said.err
    assert "--workspace ." in said.err
    assert f"read: {above / 'runstone.toml'}" in said.err
    assert "is not read" not in shell("agents", "list", "--workspace", "..").err
    assert shell("run", "lower", "--workspace", ".", "--trust").out == "3\n"
    assert "is not read" not in shell("agents", "list").err


def test_an_unknown_name_is_refused_with_the_bundled_ones_and_the_file(shell: Shell) -> None:
    known = shell("run", "nobody", "--trust", code=1).err
    assert "there are: repo-audit, echo, team, worker; read: " in known
    assert str(shell.folder / "runstone.toml") in known
    (shell.folder / "runstone.toml").unlink()
    assert f"there is no {shell.folder / 'runstone.toml'}" in shell("run", "nobody", code=1).err
    assert "repo-audit" in shell("workflows", "show", "nobody", code=1).err


@pytest.mark.parametrize(
    "words", [("runs", "show"), ("run",), ("runs", "stop", "job", "--reason")], ids=" ".join
)
def test_bytes_that_are_no_text_are_wrong_usage(shell: Shell, words: tuple[str, ...]) -> None:
    said = shell(*words, os.fsdecode(b"\xff"), code=2)
    assert said.err.startswith("error: ")
    assert "\nhint: " in said.err
    problem = json.loads(shell(*words, os.fsdecode(b"\xff"), "--json", code=2).err)
    assert problem["code"] == "usage"
