"""`runs fork` and `runs diff`: shown before, harmless in every form, and refused without a trace."""

import json

import pytest

import runstone
from tests.cli.conftest import Shell, Typed
from tests.cli.test_checkpoints import HOSTILE
from tests.cli.test_text import obeyed


@pytest.fixture
def team(shell: Shell) -> Shell:
    shell("run", "team", "items=" + json.dumps(["a", "b", "c"]), "--id", "r", "--trust")
    (shell.folder / "calls.txt").unlink()
    return shell


def calls(shell: Shell) -> list[str]:
    path = shell.folder / "calls.txt"
    return path.read_text().split() if path.exists() else []


def test_a_fork_is_shown_made_and_gone_on_with(team: Shell) -> None:
    changed = "items=" + json.dumps(["a", "x", "c"])
    shown = team("runs", "fork", "r", changed, "--dry-run")
    assert "reuse 3 (330 tokens, $0.0300)" in shown.out
    assert len(team("runs", "list", "--json").json["items"]) == 1
    done = team("runs", "fork", "r", changed, "--resume", "--id", "f")
    assert json.loads(done.out) == ["done a", "done x", "done c"]
    assert calls(team) == ["x"]
    assert team("runs", "list", "--json").json["items"][0]["forked_from"] == "r"
    differs = team("runs", "diff", "f")
    assert "a fork of the first" in differs.out
    assert "~ changed" in differs.out
    assert team("runs", "diff", "r", "--json").json["counts"] == {"same": 2, "changed": 1}


def test_a_simulation_shows_what_code_would_start_and_does_none_of_it(team: Shell) -> None:
    changed = "items=" + json.dumps(["a", "x", "c"])
    told = team("runs", "fork", "r", changed, "--dry-run", "--simulate")
    assert "reuse 2 (220 tokens, $0.0200)" in told.out
    assert "start 1" in told.out
    plan = team("runs", "fork", "r", changed, "--dry-run", "--simulate", "--json").json
    assert (
        [len(plan[what]) for what in ("reuse", "rerun", "superseded", "start")],
        plan["start"][0]["name"],
    ) == (
        [2, 0, 1, 1],
        "worker",
    )
    team("runs", "fork", "r", "items=" + json.dumps(["a", "bad", "c"]), "--id", "f")
    team("resume", "f", code=5)
    written, before = calls(team), team("runs", "events", "f", "--jsonl").out
    assert "run again 1" in team("plan", "f", "--simulate").out
    assert [one["name"] for one in team("plan", "f", "--simulate", "--json").json["rerun"]] == ["worker"]
    assert (calls(team), team("runs", "events", "f", "--jsonl").out) == (written, before)
    assert "goes with --dry-run" in team("runs", "fork", "r", "--simulate", code=2).err


def test_a_fork_is_given_a_definition_of_a_file_and_keeps_it(team: Shell) -> None:
    table = '[workflows.two]\nphases = [{ name = "one", agent = "worker", for_each = ["a", "y"] }]\n'
    (team.folder / "edited.toml").write_text(table)
    fork = team("runs", "fork", "r", "--definition", "edited.toml").out.strip()
    (team.folder / "edited.toml").unlink()
    assert "start 1" in team("plan", fork).out
    assert json.loads(team("resume", fork).out) == {"phases": {"one": ["done a", "done y"]}}
    assert calls(team) == ["y"]
    for words, says in (
        (("--definition", "nowhere.toml"), "cannot be read"),
        (("--definition", "nowhere"), "no workflow 'nowhere'"),
        (("--checkpoint", "3"), "no checkpoint 3"),
        (("--checkpoint", "other@3"), "no checkpoint of run r"),
    ):
        assert says in team("runs", "fork", "r", *words, code=1).err
    assert "exclude each other" in team("runs", "fork", "r", "--dry-run", "--resume", code=2).err
    assert len(team("runs", "list", "--json").json["items"]) == 2


def test_a_fork_from_a_checkpoint_is_printed_as_its_id_alone(typed: Typed) -> None:
    with runstone.open(typed.root) as ledger:
        made = typed("runs", "fork", "reader-run", "--checkpoint", "1", "n=2").stdout.strip()
        assert ledger.get_run(made).forked_from_checkpoint == 1
        assert (ledger.checkpoints.state(made), ledger.input(made)) == ({"n": 1}, {"n": 2})
        assert "reader-run at checkpoint 1" in typed("runs", "show", made).stdout
        ledger.command(made, "stop")
        ledger.care.remove(made)


@pytest.mark.parametrize("form", [(), ("--json",), ("--jsonl",)], ids=str)
def test_what_agents_wrote_is_harmless_in_a_comparison(typed: Typed, form: tuple[str, ...]) -> None:
    with runstone.open(typed.root) as ledger:
        for run_id in (f"hostile-{form}-1", f"hostile-{form}-2"):
            with ledger.start_run(run_id=run_id, agent_id="lead", input={HOSTILE: run_id}) as run:
                with ledger.start_run(agent_id="reader", parent=run, title=HOSTILE) as child:
                    child.complete(result=[HOSTILE, run_id, HOSTILE + "\n" + run_id * 40])
                run.complete(result={HOSTILE: run_id})
        result = typed("runs", "diff", f"hostile-{form}-1", f"hostile-{form}-2", *form)
    assert obeyed(result.stdout) <= {"\n"}
    assert obeyed(result.stderr) <= {"\n"}
