"""A tree of commands in three languages, each started by the one above: lineage, usage and messages as expected."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.domain.records import TreeNode

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "background"
AGENTS = {
    "shell": ["sh", str(FOLDER / "agent.sh")],
    "node": ["node", str(FOLDER / "agent.mjs")],
    "python": [sys.executable, str(FOLDER / "agent.py")],
}
EXEC = [sys.executable, "-m", "runstone", "exec"]


@pytest.fixture(autouse=True)
def node() -> None:
    """Node is needed: without it the tests are skipped for all to see, but never where all must be tested."""
    if shutil.which("node") is None:
        assert not os.environ.get("CI"), "node is missing"
        pytest.skip("node is missing")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder; commands that a failed test left there are ended."""
    folder = tmp_path / "folder"
    folder.mkdir()
    yield folder
    with suppress(runstone.errors.RunstoneError), runstone.open(folder) as ledger:
        for run in ledger.list_runs(status="running").items:
            ledger.command(run.id, "stop")


def run(folder: Path, command: list[str], **more: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, as somebody does whose environment knows nothing of Runstone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTONE_")}
    env = {**clean, "RUNSTONE_STATE_DIR": str(folder.parent / "state")}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=90, check=False, **more
    )


def nested(order: tuple[str, ...]) -> list[str]:
    """The command line of a tree: each agent's tool is the next one, in a run of its own."""
    command = ["echo", "at the bottom"]
    for name in reversed(order):
        command = [*EXEC, "--agent", name, "--", *AGENTS[name], *command]
    return command


def chain(ledger: runstone.Ledger) -> list[TreeNode]:
    """The runs of the only tree, from the top."""
    (root,) = ledger.list_runs(depth="0").items
    nodes = [ledger.tree(root.id)]
    while nodes[-1].children:
        (below,) = nodes[-1].children
        nodes.append(below)
    return nodes


@pytest.mark.parametrize("order", list(itertools.permutations(AGENTS)), ids="-".join)
def test_a_tree_three_deep_is_recorded_as_it_was_started(folder: Path, order: tuple[str, ...]) -> None:
    done = run(folder, nested(order))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "at the bottom",
        *(f"{n}: the tool ended with 0" for n in reversed(order)),
    ]
    with runstone.open(folder, readonly=True) as ledger:
        nodes = chain(ledger)
        assert [(one.run.agent_id, one.run.depth, one.run.status) for one in nodes] == [
            (name, depth, "completed") for depth, name in enumerate(order)
        ]
        assert {one.run.root_run_id for one in nodes} == {nodes[0].run.id}
        assert [(one.own.input_tokens, one.subtree.input_tokens) for one in nodes] == [
            (100, 300), (100, 200), (100, 100),
        ]  # fmt: skip
        assert [one.subtree.cost_picousd for one in nodes] == [3 * 10**9, 2 * 10**9, 10**9]
        for one in nodes:
            check_reports(ledger, one)
        assert ledger.care.verify() == []


def check_reports(ledger: runstone.Ledger, node: TreeNode) -> None:
    """What each of the three examples says of itself, and what it printed, is in its own run."""
    run = node.run
    told = [event for event in ledger.events(run.id, limit=1_000) if event.type.startswith("tool.")]
    assert [(event.type, event.payload["call_id"]) for event in told] == [
        ("tool.started", "c1"), ("tool.completed", "c1"),
    ]  # fmt: skip
    assert ledger.telemetry(run.id).tool_counts == {"command": 1}
    assert ledger.checkpoints.state(run.id) == {"code": 0}
    assert (run.summary, ledger.result(run.id)) == ("the tool ended with 0", {"code": 0})
    messages = ledger.threads.messages(str(run.worker_thread_id), limit=1_000).items
    assert [message.text for message in messages if message.role == "assistant"] == ["I use my tool"]
    printed = "\n".join(m.text for m in messages if m.role == "output" and m.extra["stream"] == "stdout")
    assert printed.splitlines()[-1] == f"{run.agent_id}: the tool ended with 0"
    assert "runstone" not in printed, "no report is taken for output"
    assert [(out.stream, out.broken) for out in ledger.reader.attempts.outputs(run.id) if out.broken] == []


def test_a_failure_at_the_bottom_is_told_all_the_way_up(folder: Path) -> None:
    command = nested(("shell", "node", "python"))
    done = run(folder, [*command[:-2], "false"])
    assert done.returncode == 5
    with runstone.open(folder, readonly=True) as ledger:
        nodes = chain(ledger)
        assert [one.run.status for one in nodes] == ["failed"] * 3
        failures = [ledger.telemetry(one.run.id).tool_failures for one in nodes]
        assert failures == [{"command": 1}] * 3
        exits = [ledger.processes(one.run.id)[0].exit_code for one in nodes]
        assert exits == [5, 5, 1], "`runstone exec` ends with 5 where its command failed"


def test_siblings_are_children_of_the_command_that_started_them(folder: Path) -> None:
    start = " ".join([*EXEC, "--quiet", "--agent"])
    script = f"{start} one -- sh {FOLDER}/agent.sh true & {start} two -- node {FOLDER}/agent.mjs true & wait"
    done = run(folder, [*EXEC, "--quiet", "--agent", "top", "--", "sh", "-c", script])
    assert done.returncode == 0, done.stderr
    with runstone.open(folder, readonly=True) as ledger:
        (root,) = ledger.list_runs(depth="0").items
        children = ledger.tree(root.id).children
        assert {child.run.agent_id for child in children} == {"one", "two"}
        assert ledger.telemetry(root.id).subtree.input_tokens == 200


def test_a_program_that_uses_the_library_becomes_a_child_of_its_command(folder: Path) -> None:
    program = (
        "import runstone\n"
        "with runstone.open() as ledger, ledger.start_run(agent_id='inside') as run:\n"
        "    run.usage(provider='p', model='m', input_tokens=7)\n"
    )
    done = run(folder, [*EXEC, "--agent", "outside", "--", sys.executable, "-c", program])
    assert done.returncode == 0, done.stderr
    with runstone.open(folder, readonly=True) as ledger:
        outside, inside = chain(ledger)
        assert (outside.run.agent_id, inside.run.agent_id) == ("outside", "inside")
        assert outside.subtree.input_tokens == 7


def test_a_parent_that_is_named_goes_before_the_one_that_is_there(folder: Path) -> None:
    run(folder, [*EXEC, "--id", "other-parent", "--", "true"])
    inner = " ".join([*EXEC, "--id", "inner", "--parent", "other-parent", "--", "true"])
    run(folder, [*EXEC, "--id", "starter", "--", "sh", "-c", inner])
    with runstone.open(folder, readonly=True) as ledger:
        assert ledger.get_run("inner").parent_run_id == "other-parent"


@pytest.mark.parametrize("name", AGENTS)
def test_an_example_alone_says_nothing_of_runstone(folder: Path, name: str) -> None:
    done = run(folder, [*AGENTS[name], "echo", "hello"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"hello\n{name}: the tool ended with 0\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", AGENTS)
def test_reports_on_standard_output_count_as_those_on_the_descriptor(folder: Path, name: str) -> None:
    script = f"RUNSTONE_FD=1 exec {' '.join(AGENTS[name])} true"
    done = run(folder, [*EXEC, "--jsonl", "--agent", name, "--", "sh", "-c", script])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["text"] for line in lines[:-1] if "n" in line] == [f"{name}: the tool ended with 0"]
    with runstone.open(folder, readonly=True) as ledger:
        (node,) = chain(ledger)
        assert node.own.input_tokens == 100
        check_reports(ledger, node)
