"""`prune` shows before it removes: nothing goes without a yes, and what it says is what it does."""

import json
import os
from pathlib import Path

import pytest

import runstone
from runstone.care import space
from tests.cli.conftest import Shell, Typed
from tests.cli.test_terminal import Window


@pytest.fixture
def jobs(tmp_path: Path) -> Typed:
    """Five trees that ended, of two agents, and one that did not."""
    with runstone.open(tmp_path) as ledger:
        for number in range(5):
            labels = {"pinned": "true"} if number == 0 else {"n": str(number)}
            with ledger.start_run(
                run_id=f"job-{number}", agent_id=f"a{number % 2}", title="T\x1b[2J", labels=labels
            ) as run:
                run.emit("note.written", {"text": "x" * 500})
                run.usage(provider="p", model="m", input_tokens=1, cost_usd=0.5, request_id=f"q{number}")
        ledger.start_run(run_id="live").pause(reason="later", state={})
    return Typed(tmp_path)


def left(jobs: Typed) -> list[str]:
    return sorted(item["id"] for item in json.loads(jobs("runs", "list", "--json").stdout)["items"])


ALL = ["job-0", "job-1", "job-2", "job-3", "job-4", "live"]


def test_without_a_yes_nothing_goes_and_what_to_type_is_said(jobs: Typed) -> None:
    said = jobs("prune", "--keep", "1", code=2)
    assert "job-3" in said.stdout
    assert "$1.50" in said.stdout
    assert "--yes" in said.stderr
    assert "\x1b" not in said.stdout
    assert left(jobs) == ALL


def test_a_dry_run_is_no_error_and_removes_nothing_even_with_a_yes(jobs: Typed) -> None:
    said = json.loads(jobs("prune", "--keep", "1", "--dry-run", "--yes", "--json").stdout)
    assert [tree["run_id"] for tree in said["plan"]["trees"]] == ["job-1", "job-2", "job-3"]
    assert said["plan"]["total"]["cost_usd"] == 1.5
    assert (said["plan"]["kept"], said["plan"]["living"], said["removed"]) == (2, 1, None)
    assert left(jobs) == ALL


def test_with_a_yes_it_does_what_it_said(jobs: Typed) -> None:
    before = jobs("usage", "--json").stdout
    said = json.loads(jobs("prune", "--agent", "a1", "--yes", "--json").stdout)
    assert said["removed"]["trees"] == said["plan"]["total"]["trees"] == 2
    assert left(jobs) == ["job-0", "job-2", "job-4", "live"]
    assert jobs("usage", "--json").stdout == before
    assert "removed 1 tree" in jobs("prune", "--label", "n=2", "-y").stderr
    assert "stripped 1 tree" in jobs("prune", "--keep", "0", "--keep-rows", "-y").stderr
    assert left(jobs) == ["job-0", "job-4", "live"]
    assert "no ended tree fits" in jobs("prune", "--older-than", "1d").stderr


@pytest.mark.parametrize(
    "words",
    [(), ("--keep-rows",), ("--interrupted",), ("--older-than", "soon"), ("--max-size", "2XB"), ("--per", "agent"),
     ("--keep", "-1"), ("--label", "n"), ("--status", "running"), ("--yes",)],
)  # fmt: skip
def test_a_prune_that_says_nothing_or_nonsense_is_wrong_usage(jobs: Typed, words: tuple[str, ...]) -> None:
    jobs("prune", *words, code=2)
    assert left(jobs) == ALL


@pytest.mark.parametrize(
    ("size", "goes"), [("1GB", 0), ("2.5MiB", 0), ("100MB", 0), ("1", 4), ("10k", 4), ("0B", 4)]
)
def test_sizes_are_read_as_people_write_them(jobs: Typed, size: str, goes: int) -> None:
    said = json.loads(jobs("prune", "--max-size", size, "--dry-run", "--json").stdout)
    assert len(said["plan"]["trees"]) == goes


def test_copies_of_upgrades_go_only_where_they_are_asked_for(jobs: Typed) -> None:
    copy = jobs.root / ".runstone" / "ledger-before-0004.db"
    copy.write_bytes(b"x" * 5_000)
    assert "--old-backups removes it" in jobs("prune", "--keep", "9", "--dry-run").stderr
    jobs("prune", "--keep", "3", "--yes")
    assert copy.exists()
    jobs("prune", "--old-backups", code=2)
    assert copy.exists()
    said = json.loads(jobs("prune", "--old-backups", "--yes", "--json").stdout)
    assert (said["removed"]["old_backup_bytes"], said["removed"]["trees"]) == (5_000, 0)
    assert not copy.exists()


def test_on_a_terminal_it_asks(shell: Shell) -> None:
    with runstone.open(shell.folder) as ledger, ledger.start_run(run_id="job"):
        pass
    for answer, code, stays in (("n", 130, True), ("y", 0, False)):
        window = Window(shell, "prune", "--keep", "0")
        window.until("for good? [y/N]")
        window.type(f"{answer}\n")
        window.until("")
        assert window.process.wait(30) == code
        os.close(window.leader)
        with runstone.open(shell.folder, readonly=True) as ledger:
            assert bool(ledger.list_runs().items) is stays


def test_removing_one_run_gives_its_space_back(jobs: Typed) -> None:
    with runstone.open(jobs.root) as ledger:
        with ledger.start_run(run_id="large") as run:
            run.complete(result=os.urandom(500_000).hex())
        before = space.measure(ledger).file_bytes
    jobs("runs", "rm", "large", "--yes")
    assert (jobs.root / ".runstone" / "ledger.db").stat().st_size < before - 400_000
