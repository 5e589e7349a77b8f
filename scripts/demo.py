"""The demo: audits a git repository in parallel, kills the process with -9, resumes it, and shows what was reused.

Whatever is printed about the audit is read from the ledger, by this process, which does none of the work.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

import runstone
from runstone.domain.records import AgentRun
from runstone.errors import NotFound

ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / ".runstone-demo"
TIMEOUT_S = 3600  # an audit of some ten thousand files on a slow machine
SHOWN = 5  # children of each sort that are listed by name
LEAST_FILES = 6  # of fewer, a third is one child, and the process ends before it can be killed
USAGE = 2
COLORS = {"completed": "green", "interrupted": "yellow", "failed": "red", "running": "cyan"}


class NotPossible(Exception):
    """The demo can't be shown; the message says why and what to do."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Demo:
    """One audit: the processes that work on it, and its ledger, which this process only reads."""

    def __init__(self, workspace: Path, run_id: str, console: Console) -> None:
        self.workspace, self.run_id, self.console = workspace, run_id, console
        self.log = workspace / "demo.log"
        self.reconcile()  # makes the workspace
        self.ledger = runstone.open(workspace, readonly=True)
        self._steps = 0

    def reconcile(self) -> None:
        """Opening for writing marks runs of dead owners interrupted at once; readers would wait for their leases."""
        runstone.open(self.workspace).close()

    def say(self, text: str, style: str | None = None) -> None:
        """A line; its text is shown as it is."""
        self.console.print(escape(text), style=style, highlight=False, soft_wrap=True)

    def step(self, text: str) -> None:
        """A heading."""
        self._steps += 1
        self.console.print()
        self.say(f"{self._steps}. {text}", "bold")

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """`runstone ARGUMENTS` as a process of its own; it does not outlive the demo."""
        command = [sys.executable, "-m", "runstone", "--workspace", str(self.workspace), *arguments]
        self.say(f"$ runstone {' '.join(arguments)}", "cyan")
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def follow(
        self, process: subprocess.Popen[bytes], enough: Callable[[Counter[str]], bool]
    ) -> Counter[str]:
        """Follows the ledger until `enough` is true of the inspections by status, or the process has ended."""
        deadline = time.monotonic() + TIMEOUT_S
        with self.console.status("waiting for the ledger") as status:
            while time.monotonic() < deadline:
                ended = process.poll() is not None
                found = self.inspections()
                if ended or enough(found):
                    return found
                status.update(f"the ledger shows {found['completed']} of {found.total()} files inspected")
                for _event in self.ledger.tail(timeout=0.5):
                    break
        raise NotPossible(f"the audit took more than {TIMEOUT_S} seconds; its output is in {self.log}")

    def inspections(self) -> Counter[str]:
        """The children of the first phase by the status that the ledger shows."""
        try:
            phases = self.ledger.phases(self.run_id)
        except NotFound:
            return Counter()  # the process has not created its run yet
        return Counter(next((phase.children for phase in phases if phase.name == "inspect"), {}))


def kill_midway(demo: Demo, repository: Path) -> None:
    """Starts the audit and kills its owner when a third of the children is done."""
    demo.step(f"Audit {repository} with one child for each file")
    with demo.process("run", "repo-audit", f"path={repository}", "--id", demo.run_id) as process:
        demo.follow(process, lambda found: found.total() > 0 and found["completed"] * 3 >= found.total())
        pid = owner_pid(demo) if process.poll() is None else None
        if pid is None:
            raise NotPossible(_ended_early(demo, process))
        if pid != process.pid:  # never kill what this demo did not start
            raise NotPossible(
                f"the ledger names process {pid} as the owner, but this demo started {process.pid}"
            )
        done = demo.inspections()
        demo.step(f"kill -9 {pid}, when {done['completed']} of {done.total()} files are inspected")
        os.kill(pid, signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:  # it was quicker than the signal
            raise NotPossible(_ended_early(demo, process))
    demo.reconcile()
    run = demo.ledger.get_run(demo.run_id)
    demo.say(f"The ledger says: {demo.run_id} is {run.status} ({run.status_reason or 'its owner is gone'})")
    demo.say("  files: " + told(demo.inspections()))
    plan = runstone.plan(demo.run_id, ledger=demo.ledger)
    reuse, rerun = (sum(entry.kind == "child" for entry in entries) for entries in (plan.reuse, plan.rerun))
    demo.say(f"  a resume would reuse {reuse} children, and do {rerun} and what comes after them")


def owner_pid(demo: Demo) -> int | None:
    """The process that holds the audit. Parked until its children end, the run itself has no lease; they have."""
    running = demo.ledger.list_runs(parent_id=demo.run_id, status="running", limit=1)
    leases = (demo.ledger.lease(run_id) for run_id in (demo.run_id, *(child.id for child in running)))
    return next((int(lease.identity["pid"]) for lease in leases if lease is not None), None)


def resume(demo: Demo) -> None:
    """Shows what a resume would do, and resumes in a new process."""
    demo.step("Resume it in a new process")
    with demo.process("resume", demo.run_id) as process:
        demo.follow(process, lambda _found: False)
        if process.returncode != 0:
            raise NotPossible(f"the resumed audit ended with status {process.returncode}; see {demo.log}")
    run = demo.ledger.get_run(demo.run_id)
    demo.say(f"The ledger says: {demo.run_id} is {run.status}, on attempt {run.attempt}")


def show_tree(demo: Demo) -> list[AgentRun]:
    """The run, its phases and their children; gives those that the first process had finished."""
    demo.step("What was reused")
    first = demo.ledger.attempts(demo.run_id)[0].owner
    top = demo.ledger.tree(demo.run_id)
    kept = {child.run.id for child in top.children if demo.ledger.attempts(child.run.id)[-1].owner == first}
    drawn = Tree(f"[bold]{escape(demo.run_id)}[/] {colored(top.run.status)} on attempt {top.run.attempt}")
    for phase in demo.ledger.phases(demo.run_id):
        children = [child.run for child in top.children if child.run.phase == phase.name]
        groups = {
            "[green]reused[/]": [run for run in children if run.id in kept],
            "run now": [run for run in children if run.id not in kept],
        }
        told = ", ".join(f"{len(runs)} {how}" for how, runs in groups.items() if runs)
        branch = drawn.add(f"[bold]{escape(phase.name)}[/] {colored(phase.status)} {told}".rstrip())
        for how, runs in groups.items():
            for run in runs[:SHOWN]:
                branch.add(
                    f"{escape(run.title or run.id)} {colored(run.status)}, attempt {run.attempt}, {how}"
                )
            if len(runs) > SHOWN:
                branch.add(f"[dim]and {len(runs) - SHOWN} more[/] {how}")
    demo.console.print(drawn, highlight=False)
    return [child.run for child in top.children if child.run.id in kept]


def show_totals(demo: Demo, kept: list[AgentRun]) -> None:
    """Numbers, the proof that nothing ran twice, and the report's place."""
    demo.step("Totals")
    telemetry, result = demo.ledger.telemetry(demo.run_id), demo.ledger.result(demo.run_id)
    calls = ", ".join(f"{count} {tool}" for tool, count in sorted(telemetry.subtree_tool_counts.items()))
    rows = {
        "reused": f"{len(kept)} children, for which {tools_run_again(demo, kept)} tools ran again",
        "tools": calls,
        "time": f"{telemetry.elapsed_ms / 1000:.1f} s",
        "found": demo.ledger.get_run(demo.run_id).summary or "",
        "report": result["report"],
    }
    for name, value in rows.items():  # no table: a path that is cut off or broken can't be copied
        demo.say(f"{name + ':':<8} {value}")
    demo.say(f"\nLook around: runstone --workspace {demo.workspace} runs tree {demo.run_id}", "dim")


def tools_run_again(demo: Demo, kept: list[AgentRun]) -> int:
    """Tools that were started for reused children after another process had taken the audit over."""
    attempts = demo.ledger.attempts(demo.run_id)
    taken_over = next(attempt.started_at for attempt in attempts if attempt.owner != attempts[0].owner)
    return sum(
        event.type == "tool.started" and event.timestamp >= taken_over
        for run in kept
        for event in demo.ledger.events(run.id, limit=1000)
    )


def colored(status: str) -> str:
    """A status in its color."""
    return f"[{COLORS.get(status, 'default')}]{status}[/]"


def told(counts: Counter[str]) -> str:
    """Counts as a sentence."""
    return ", ".join(f"{number} {status}" for status, number in counts.most_common()) or "no children"


def tracked_files(repository: Path) -> int:
    """How many files git tracks below a folder. Raises NotPossible if that can't be said."""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(repository), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        raise NotPossible("git is not installed", USAGE) from None
    if listed.returncode != 0:
        reason = listed.stderr.decode(errors="replace").strip().split("\n")[0]
        raise NotPossible(f"{repository} is no git work tree: {reason}", USAGE)
    return listed.stdout.count(b"\0")


def _ended_early(demo: Demo, process: subprocess.Popen[bytes]) -> str:
    if process.wait() != 0:
        return f"the audit ended with status {process.returncode} before it could be killed; see {demo.log}"
    return "the audit was finished before it could be killed; name a repository with more files: make demo REPO=path"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--repo", type=Path, default=ROOT, help="the git repository to audit (default: this one)"
    )
    parser.add_argument("--workspace", type=Path, default=WORKSPACE, help="where the ledger is kept")
    parser.add_argument("--id", default=f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}", help="the run's id")
    return parser.parse_args()


def main() -> int:
    """0: shown; 1: it did not go as it should; 2: there is nothing to show it on."""
    options = arguments()
    console = Console()
    try:
        repository = options.repo.resolve()
        count = tracked_files(repository)
        if count < LEAST_FILES:
            raise NotPossible(
                f"{repository} has {count} tracked files; the demo needs {LEAST_FILES} or more", USAGE
            )
        options.workspace.mkdir(parents=True, exist_ok=True)
        if options.workspace == WORKSPACE:
            (WORKSPACE / ".gitignore").write_text("*\n")
        demo = Demo(options.workspace.resolve(), options.id, console)
        kill_midway(demo, repository)
        resume(demo)
        show_totals(demo, show_tree(demo))
    except NotPossible as problem:
        console.print(f"demo: {escape(str(problem))}", style="red", highlight=False, soft_wrap=True)
        return problem.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
