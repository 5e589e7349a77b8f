"""The main job's truth: the report says what the tools say, and no tool runs again for a finished child."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import runstone
from runstone.audit.processes import find_tool
from runstone.audit.python_checks import COMPLEX, RUFF_RULES
from tests.audit.prepared import (
    EXPECTED_TEXT,
    FILES,
    NAMES_OF_BYTES,
    TRAPS,
    CountedTools,
    fingerprint,
    make_repository,
)

TIMEOUT_S = 100


class Audit:
    """A workspace, the prepared repository and the counted tools, and the command line over them."""

    def __init__(self, folder: Path) -> None:
        self.repository = make_repository(folder / "repository")
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.tools = CountedTools(folder / "tools")
        self.mark = folder / "executed"
        self.report = self.workspace / ".runstone" / "reports" / "audit.md"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "runstone", "--workspace", str(self.workspace), *arguments]
        environment = os.environ | self.tools.environment()
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=environment, cwd=self.workspace, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *arguments: str) -> str:
        with self.start(*arguments) as process:
            out, error = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, f"{out}\n{error}"
        return out

    def audit(self, *more: str) -> str:
        return self.run("run", "repo-audit", f"path={self.repository}", "--id", "audit", *more)

    def kill_while_inspecting(self, data: bytes) -> None:
        """Kills the auditor while ruff has just this file: with one child at a time, others are done or not begun."""
        self.tools.hold(data)
        with self.start(
            "run", "repo-audit", f"path={self.repository}", "concurrency=1", "--id", "audit"
        ) as process:
            held = self.tools.wait_held()
            process.kill()
            process.communicate(timeout=TIMEOUT_S)
        os.kill(held, signal.SIGKILL)
        self.tools.release()


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


def test_the_report_says_what_the_tools_say(audit: Audit) -> None:
    before = fingerprint(audit.repository)
    audit.audit()
    assert fingerprint(audit.repository) == before, "the audited repository was written to"
    assert not audit.mark.exists(), "code or configuration of the audited repository was executed"
    found = findings(audit.report.read_text())
    assert {place for place in found if place[3] == "ruff"} == ruff_says(audit.repository)
    assert {place for place in found if place[3] == "radon"} == radon_says(audit.repository)
    text = {place[:3] for place in found if place[3] == "text" and place[0] not in ("radon.cfg", "ruff.toml")}
    assert text == EXPECTED_TEXT
    assert ("app/broken.py", 1, "syntax-error", "compile") in found
    assert found["app/faulty.py", 1, "F401", "ruff"] == "confirmed"
    assert found["app/faulty.py", 5, "B006", "ruff"] == "no second check"
    assert found["app/broken.py", 1, "syntax-error", "compile"] == "confirmed"
    assert found["docs/conflict.txt", 1, "conflict-marker", "text"] == "confirmed"


def test_the_numbers_are_sums_of_what_the_ledger_holds(audit: Audit) -> None:
    audit.audit()
    with runstone.open(audit.workspace) as ledger:
        run = ledger.get_run("audit")
        children = list(ledger.list_runs(parent_id="audit", limit=200))
        counts = ledger.telemetry("audit").subtree_tool_counts
        started = Counter(
            event.payload["tool"]
            for run_id in ["audit", *(child.id for child in children)]
            for event in ledger.events(run_id, limit=1000)
            if event.type == "tool.started"
        )
    text = audit.report.read_text()
    found = findings(text)
    totals = dict(re.findall(r"^\| ([a-z ]+) \| ([\d,]+) \|$", text, re.MULTILINE))
    lines = [line for line in text.split("\n") if line.startswith(("- line ", "- whole file"))]
    assert int(totals["findings"]) == len(lines) >= len(found)
    assert int(totals["confirmed"]) == sum(1 for line in lines if line.endswith("— confirmed"))
    assert int(totals["files"]) == len(FILES) + len(NAMES_OF_BYTES) + len(TRAPS) + 3
    assert (int(totals["binary"]), int(totals["skipped"])) == (1, 1)
    assert run.summary is not None
    assert run.summary.startswith(f"{totals['files']} files, {totals['findings']} findings")
    assert counts == dict(started)
    assert "- not checked: `link.py`, symbolic link" in text


def test_no_tool_runs_again_for_a_finished_child(audit: Audit) -> None:
    audit.kill_while_inspecting(FILES["app/faulty.py"])
    finished = finished_children(audit.workspace)
    before = audit.tools.calls()
    assert finished, "the kill came before any child had finished"
    # The auditor's own run may have been parked for its children by then.
    assert status(audit.workspace) in {"interrupted", "waiting"}
    children = children_by_status(audit.workspace)
    assert (children["running"], children["interrupted"] >= 1) == (0, True)
    audit.run("resume", "audit")
    again = Counter(audit.tools.calls()[len(before) :])
    for child in finished.values():
        assert (again["ruff", child["sha256"]], again["radon", child["sha256"]]) == (0, 0), child
    held_digest = hashlib.sha256(FILES["app/faulty.py"]).hexdigest()
    assert again["ruff", held_digest] == 1, "the interrupted child runs again, once"
    assert max(again.values()) == 1
    assert {run_id: event_count(audit.workspace, run_id) for run_id in finished} == {
        run_id: child["events"] for run_id, child in finished.items()
    }, "a finished child got new events"
    assert status(audit.workspace) == "completed"
    resumed = audit.report.read_text()
    audit.run("run", "repo-audit", f"path={audit.repository}", "--id", "other")
    other = (audit.report.parent / "other.md").read_text()
    assert resumed == other.replace("Run `other`", "Run `audit`"), (
        "a resumed audit says what an uninterrupted one says"
    )


def test_a_file_that_changed_between_kill_and_resume_is_the_only_finished_one_inspected_again(
    audit: Audit,
) -> None:
    audit.kill_while_inspecting(FILES["app/faulty.py"])
    before = audit.tools.calls()
    new = b"import os\n\nprint(1)\n"
    (audit.repository / "app" / "clean.py").write_bytes(new)
    audit.run("resume", "audit")
    again = Counter(audit.tools.calls()[len(before) :])
    assert again["ruff", hashlib.sha256(new).hexdigest()] == 1
    assert again["ruff", hashlib.sha256(FILES["app/clean.py"]).hexdigest()] == 0
    assert again["ruff", hashlib.sha256(FILES["app/broken.py"]).hexdigest()] == 0
    assert ("app/clean.py", 1, "F401", "ruff") in findings(audit.report.read_text())


def test_a_tool_that_does_not_start_is_named_as_not_checked(audit: Audit) -> None:
    (audit.tools.folder / "radon").write_text("#!/bin/sh\nexit 127\n")
    audit.audit()
    text = audit.report.read_text()
    assert "- not checked: radon, because it is not installed or does not start" in text
    assert not [place for place in findings(text) if place[3] == "radon"]
    assert ("app/faulty.py", 1, "F401", "ruff") in findings(text)


@pytest.mark.parametrize(
    ("path", "message"),
    [("no-such-folder", "is not a folder"), (".", "not in a git work tree")],
)
def test_what_can_not_be_audited_fails_with_the_reason(audit: Audit, path: str, message: str) -> None:
    with audit.start("run", "repo-audit", f"path={path}", "--id", "audit") as process:
        out, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode != 0
    assert message in out + error


def finished_children(workspace: Path) -> dict[str, dict[str, object]]:
    """Completed children by id, with the hash of the file that they inspected and how many events they have."""
    with runstone.open(workspace) as ledger:
        done = list(ledger.list_runs(parent_id="audit", status="completed", limit=200))
        return {
            run.id: {
                "sha256": ledger.input(run.id)["file"]["sha256"],
                "events": len(list(ledger.events(run.id, limit=1000))),
            }
            for run in done
        }


def event_count(workspace: Path, run_id: str) -> int:
    with runstone.open(workspace) as ledger:
        return len(list(ledger.events(run_id, limit=1000)))


def children_by_status(workspace: Path) -> Counter[str]:
    with runstone.open(workspace) as ledger:
        return Counter(child.status for child in ledger.list_runs(parent_id="audit", limit=200))


def status(workspace: Path) -> str:
    with runstone.open(workspace) as ledger:
        return ledger.get_run("audit").status


def findings(report: str) -> dict[tuple[str, int, str, str], str]:
    """{(file, line, rule, tool): verdict} as the report's own lines say."""
    found: dict[tuple[str, int, str, str], str] = {}
    file = ""
    for line in report.split("\n"):
        if heading := re.fullmatch(r"### `(.*)`", line):
            file = heading[1]
        elif one := re.fullmatch(
            r"- (?:line (\d+)|whole file): `([^`]+)` \((\w+), \w+\) .* — ([a-z ]+)", line
        ):
            found[file, int(one[1] or 0), one[2], one[3]] = one[4]
    return found


def shown(path: bytes) -> str:
    """A name as the report shows it."""
    return path.decode("utf-8", "backslashreplace").replace("\n", "\\n")


def ruff_says(repository: Path) -> set[tuple[str, int, str, str]]:
    """Ruff over the files themselves, by their names."""
    ruff = find_tool("ruff")
    assert ruff is not None
    target = f"py{sys.version_info.major}{sys.version_info.minor}"
    rules = ["--isolated", "--no-cache", "--target-version", target, "--select", RUFF_RULES]
    found = set()
    for path in python_files(repository):
        command = [
            ruff,
            "check",
            *rules,
            "--output-format",
            "json",
            "--",
            os.path.join(os.fsencode(repository), path),
        ]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, cwd=repository.parent)
        for item in json.loads(done.stdout):
            found.add((shown(path), item["location"]["row"], item["code"] or "invalid-syntax", "ruff"))
    return found


def radon_says(repository: Path) -> set[tuple[str, int, str, str]]:
    """Radon's own sentences, `F 1:0 tangled - C (15)`, over the files themselves."""
    radon = find_tool("radon")
    assert radon is not None
    found = set()
    for path in python_files(repository):
        command = [
            radon,
            "cc",
            "--no-assert",
            "--show-complexity",
            os.path.join(os.fsencode(repository), path),
        ]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60, cwd=repository.parent)
        for line, value in re.findall(rb"[FM] (\d+):\d+ \S+ - [A-F] \((\d+)\)", done.stdout):
            if int(value) > COMPLEX:
                found.add((shown(path), int(line), "complex-function", "radon"))
    return found


def python_files(repository: Path) -> list[bytes]:
    names = [*map(os.fsencode, FILES), *NAMES_OF_BYTES, *map(os.fsencode, TRAPS)]
    return [name for name in names if name.endswith(b".py")]
