"""Processes to kill, and what must hold after each kill."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import runstone
from runstone.engine.processes import ProcessIdentity, is_alive
from runstone.ledger import Ledger

PROGRAMS = Path(__file__).with_name("programs.py")


class Server:
    """Forks programs of `programs.py`; start one for many kills."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAMS), "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._number = 0

    def start(
        self, folder: Path, program: str, *arguments: str, crash: tuple[str, int] | None = None
    ) -> "Victim":
        self._number += 1
        said = folder / f"said-{self._number}"
        said.touch()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"program": program, "arguments": list(arguments), "said": str(said), "crash": crash}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Victim(int(self._process.stdout.readline()), said)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Victim:
    """A program under way."""

    def __init__(self, pid: int, said: Path) -> None:
        self.pid = pid
        self._said = said

    def said(self) -> list[dict[str, Any]]:
        """What it has said up to now."""
        lines = self._said.read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        failed = [line["failed"] for line in told if "failed" in line]
        assert not failed, failed + [line for line in lines if not line.startswith("{")][-30:]
        return told

    def acknowledged(self) -> list[dict[str, Any]]:
        return [line for line in self.said() if "op" in line]

    def in_flight(self) -> list[str]:
        """What it had begun and not said to be done."""
        open_: dict[str, str] = {}
        for line in self.said():
            if "begin" in line:
                open_[line["by"]] = line["begin"]
        return sorted(open_.values())

    def wait_said(self, word: str, limit_s: float = 30.0) -> bool:
        """Until it has said the word; False if it ended without."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if any(word in line for line in self.said()):
                return True
            if not self.alive():
                return any(word in line for line in self.said())
            pause(0.003)
        raise AssertionError(f"it did not say {word} within {limit_s} s: {self.said()[-3:]}")

    def wait_lines(self, count: int, limit_s: float) -> bool:
        """Until it has said so many lines; False if it has ended."""
        deadline = time.monotonic() + limit_s
        while self._said.read_bytes().count(b"\n") < count and time.monotonic() < deadline:
            if not self.alive():
                return False
            pause(0.002)
        return True

    def alive(self) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def wait_gone(self, limit_s: float = 30.0) -> bool:
        deadline = time.monotonic() + limit_s
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            pause(min(0.002, limit_s))
        return True

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        assert self.wait_gone()


def pause(seconds: float) -> None:
    """Lets a moment pass while another process works; every use is bounded."""
    select.select([], [], [], seconds)


# --- what must hold --------------------------------------------------------------------------------------


def require_whole(ledger: Ledger, acknowledged: Iterable[dict[str, Any]]) -> None:
    """All that was acknowledged is there, in order and without gaps; nothing is shown that is not so."""
    found = ledger.care.verify()
    assert not found, "\n".join(map(str, found))
    require_live_leases(ledger)
    by_run: dict[str, list[dict[str, Any]]] = {}
    for line in acknowledged:
        if "run" in line:
            by_run.setdefault(line["run"], []).append(line)
        elif "card" in line:
            assert ledger.boards.card(line["card"]).revision >= line["revision"], line
        elif "board" in line:
            assert ledger.boards.get(line["board"]).revision >= line["revision"], line
    for run_id, lines in by_run.items():
        _require_run(ledger, run_id, lines)


def _require_run(ledger: Ledger, run_id: str, lines: list[dict[str, Any]]) -> None:
    events = {event.seq: event for event in all_events(ledger, run_id)}
    assert sorted(events) == list(range(1, len(events) + 1)), f"gaps in {run_id}"
    for line in lines:
        if "seq" in line and "type" in line:
            event = events.get(line["seq"])
            assert event is not None, f"{line} is lost"
            assert (event.type, event.payload["n"]) == (line["type"], line["n"]), line
        elif line["op"] == "complete" and "workflow" not in line:
            assert ledger.get_run(run_id).status == "completed"
            assert ledger.result(run_id) == {"run": run_id}
        elif line["op"] == "checkpoint":
            _require_state(ledger, run_id, line)
    requests = {line["request"] for line in lines if "request" in line}
    assert ledger.telemetry(run_id).own.requests >= len(requests)
    texts = {line["text"] for line in lines if "text" in line}
    if texts:
        thread = ledger.get_run(run_id).worker_thread_id
        assert thread is not None
        assert texts <= {message.text for message in ledger.threads.messages(thread, limit=1000).items}


def _require_state(ledger: Ledger, run_id: str, line: dict[str, Any]) -> None:
    """The checkpoint is as it was saved, or was removed with an event that says so."""
    removed = [
        event.payload["numbers"] for event in all_events(ledger, run_id) if event.type == "checkpoint.removed"
    ]
    if not any(line["checkpoint"] in numbers for numbers in removed):
        assert ledger.checkpoints.state(run_id, line["checkpoint"])["at"] == line["at"]


def all_events(ledger: Ledger, run_id: str) -> list[Any]:
    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = ledger.events(run_id, after=after, limit=1000)
        found += page.items
        after = page.next_cursor
    return found


def require_live_leases(ledger: Ledger) -> None:
    """No row is `running` without a lease, and no lease is held by a process that is gone."""
    assert ledger.reader.rows("running_without_lease") == []
    for lease in ledger.reader.attempts.leases():
        if "observed" in lease.identity:
            continue  # no process of ours: silence ends it
        identity = ProcessIdentity(**{k: v for k, v in lease.identity.items() if k != "worker_id"})
        assert is_alive(identity) is not False, (
            f"run {lease.run_id} is held by the dead process {identity.pid}"
        )


def executions(folder: Path, offset: int = 0) -> tuple[list[list[str]], int]:
    """Lines (what, key, pid) that executions noted from the offset on, and the next offset."""
    file = folder / "executions"
    data = file.read_bytes()[offset:] if file.exists() else b""
    return [line.split() for line in data.decode().splitlines()], offset + len(data)


def completed_keys(ledger: Ledger, run_id: str) -> set[str]:
    """Keys of what a tree has finished: children that completed, and the recorded step."""
    keys = set()
    for node in ledger.tree(run_id).walk():
        if node.run.status == "completed" and node.run.agent_id in ("leaf", "tool"):
            keys.add(ledger.input(node.run.id)["key"])
    if any(entry.kind == "step" for entry in ledger.journal(run_id)):
        keys.add(f"{run_id}/step")
    return keys


def tools_alive(folder: Path) -> Iterator[str]:
    """Command lines of tools of this workspace that still run."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"tool.py {folder} " in line:
                yield line


def stage_of(folder: Path, run_id: str) -> str:
    """Where the workflow was when its process was killed, as the ledger shows it before anybody reconciles."""
    with runstone.open(folder, readonly=True) as ledger:
        try:
            run = ledger.get_run(run_id)
        except runstone.NotFound:
            return "before the run"
        if run.status == "completed":
            return "after the end"
        begun = [
            event.payload["phase"] for event in all_events(ledger, run_id) if event.type == "phase.started"
        ]
        ended = [event for event in all_events(ledger, run_id) if event.type == "phase.completed"]
        return begun[-1] if len(begun) > len(ended) else "between phases" if begun else "plan"


def describe(stages: Counter[str]) -> str:
    return ", ".join(f"{stage} {count}" for stage, count in stages.most_common())
