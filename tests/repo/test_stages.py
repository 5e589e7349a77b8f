"""The test runner's arithmetic: a stage that fails, or runs no test, can't end in a green closing line."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts import stages


def stage(text: str, status: int) -> stages.Outcome:
    code = f"print({text!r}); raise SystemExit({status})"
    return stages.run_stage("unit", [sys.executable, "-c", code])


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("12 passed in 0.51s", {"passed": 12}),
        (
            "=== 3 failed, 9 passed, 1 skipped in 61.20s (0:01:01) ===",
            {"failed": 3, "passed": 9, "skipped": 1},
        ),
        ("no tests ran in 0.01s", {}),
        ("tests/test_x.py: 12 passed", {}),
    ],
)
def test_the_closing_line_of_a_stage_is_read(line: str, counts: dict[str, int]) -> None:
    assert stage(line, 0).counts == Counter(counts)


def test_the_last_line_sums_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    stages.report([stage("12 passed in 0.51s", 0), stage("3 passed, 1 skipped in 0.51s", 0)], 1.0)
    assert capsys.readouterr().out.splitlines()[-1] == "===== 15 passed, 1 skipped in 1.00s ====="


def test_a_stage_that_failed_without_a_failed_test_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    stages.report([stage("12 passed in 0.51s", 0), stage("no tests ran in 0.01s", 5)], 1.0)
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0] == "failed stages: unit"
    assert last[1].startswith("===== 1 failed, 12 passed in ")


def test_python_keeps_what_it_has_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = "import sys; raise SystemExit(sys.dont_write_bytecode)"
    assert stages.run_stage("unit", [sys.executable, "-c", code]).status == 0


def test_every_folder_of_tests_belongs_to_a_stage() -> None:
    commands = stages.commands()
    assert commands["unit"][-len(stages.OWN_STAGE) - 1 :] == [
        "tests",
        *(f"--ignore=tests/{n}" for n in stages.OWN_STAGE),
    ]
    assert all(f"tests/{name}" in commands[name] for name in stages.OWN_STAGE)


def test_temporary_files_are_in_memory_where_there_is_room_and_gone_after_the_stage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stages, "MEMORY", tmp_path)
    with stages.environment("unit") as given:
        place = Path(given["TMPDIR"])
        assert place.parent == tmp_path
        (place / "left").mkdir()
    assert not place.exists()
    monkeypatch.setattr(stages, "MEMORY", tmp_path / "missing")
    for name in ("unit", *stages.ON_DISK):
        with stages.environment(name) as given:
            assert given.get("TMPDIR") == os.environ.get("TMPDIR")


def test_a_crash_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stages, "MEMORY", tmp_path)
    with stages.environment("crash") as given:
        assert given.get("TMPDIR") == os.environ.get("TMPDIR")


MEET = """import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[1:])
print('1 passed in 0.1s', flush=True)
mine.touch()
until = time.monotonic() + 60
while not other.exists() and time.monotonic() < until: time.sleep(0.01)
print(mine.name if other.exists() else 'alone')"""


def test_a_stage_beside_another_one_overlaps_it_and_is_printed_after_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each waits for the file of the other one, so both end only where they run at the same time."""
    files = [str(tmp_path / "a"), str(tmp_path / "b")]
    commands = {
        "first": [sys.executable, "-c", MEET, *files],
        "last": [sys.executable, "-c", "print('2 passed in 0.1s')"],
        "second": [sys.executable, "-c", MEET, *reversed(files)],
    }
    monkeypatch.setattr(stages, "BESIDE", {"second": "first"})
    outcomes = stages.run_stages(list(commands), commands)
    assert [outcome.name for outcome in outcomes] == ["first", "second", "last"]
    assert outcomes[1].text == "1 passed (beside first)"
    printed = [line for line in capfd.readouterr().out.splitlines() if line]
    passed = "1 passed in 0.1s"
    assert printed == ["--- first", passed, "a", "--- second", passed, "b", "--- last", "2 passed in 0.1s"]


def test_a_stage_alone_runs_without_the_one_that_it_is_beside_of() -> None:
    command = [sys.executable, "-c", "print('1 passed in 0.1s')"]
    (outcome,) = stages.run_stages(["chaos"], {"chaos": command})
    assert outcome.text == "1 passed"


def test_a_stage_that_fails_beside_another_one_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = [sys.executable, "-c", "print()"], [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(stages, "BESIDE", {"b": "a"})
    assert [outcome.status for outcome in stages.run_stages(["a", "b"], {"a": good, "b": bad})] == [0, 3]
