"""The crash campaign: real processes, killed at random moments, and everything that must hold after each kill."""

import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import runstone
from tests.crash.world import (
    Server,
    Victim,
    completed_keys,
    describe,
    executions,
    require_whole,
    stage_of,
    tools_alive,
)

WORKFLOW_LINES = 48
"""About what a whole workflow says. A kill comes some lines after the start, so that it may hit any part of it, however
busy the machine is."""

TOOL_S = 0.15
APPENDING_S = 0.12
"""How much later than that it comes at most."""


class Campaign:
    """Kills in one workspace. An appending bystander lives through all of them and must not notice any."""

    def __init__(self, folder: Path, server: Server, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.stages: Counter[str] = Counter()
        self.kills = 0
        self.finished = 0
        self._server = server
        self._seed = seed
        self._acknowledged: list[dict[str, object]] = []
        self._earlier: list[dict[str, object]] = []
        self._done: set[str] = set()
        self._offset = 0
        self._bystander = server.start(folder, "append", str(folder), f"bystander-{seed}", "1")
        self._workflow = 0

    def run(self, kills: int) -> None:
        assert self._bystander.wait_said("ready")
        while self.kills < kills:
            if self.rng.random() < 0.5:
                self._kill_appender()
            else:
                self._kill_workflow(kills)
        self._finish_workflow()
        self._end_bystander()

    def _kill_appender(self) -> None:
        victim = self._server.start(self.folder, "append", str(self.folder), f"{self._seed}-{self.kills}")
        assert victim.wait_said("ready")
        victim.wait_gone(self.rng.uniform(0, APPENDING_S))
        victim.kill()
        self._count(f"append: {' + '.join(victim.in_flight()) or 'starting'}")
        self._acknowledged += victim.acknowledged()
        self._look()

    def _kill_workflow(self, kills: int) -> None:
        """Kills one workflow again and again, each time further on, until it ends."""
        self._workflow += 1
        run_id = f"w{self._seed}-{self._workflow}"
        while self.kills < kills:
            victim = self._server.start(self.folder, "execute", str(self.folder), run_id)
            lines = self.rng.randrange(0, WORKFLOW_LINES)
            if not victim.wait_lines(lines, 3.0) or victim.wait_gone(self.rng.uniform(0, TOOL_S)):
                self._require_result(victim)
                self._look(run_id)
                return
            victim.kill()
            self._count(f"workflow: {stage_of(self.folder, run_id)}")
            self._acknowledged += victim.acknowledged()
            self._look(run_id)

    def _finish_workflow(self) -> None:
        if self._workflow:
            run_id = f"w{self._seed}-{self._workflow}"
            victim = self._server.start(self.folder, "execute", str(self.folder), run_id)
            assert victim.wait_gone(60), "the resumed workflow does not end"
            self._require_result(victim)
            self._look(run_id)
        assert list(tools_alive(self.folder)) == []

    def _require_result(self, victim: Victim) -> None:
        said = victim.said()
        assert said[-1].get("result") == [5, 2, 3], said[-3:]
        self._acknowledged += victim.acknowledged()
        self.finished += 1

    def _end_bystander(self) -> None:
        assert self._bystander.alive(), self._bystander.said()[-3:]
        (self.folder / "stop").touch()
        assert self._bystander.wait_gone(60)
        self._acknowledged += self._bystander.acknowledged()
        self._look()
        with runstone.open(self.folder) as ledger:
            require_whole(ledger, self._earlier)
            mine = [run.id for run in ledger.list_runs(status="interrupted", limit=500).items]
            disturbed = {line.get("run") for line in self._bystander.acknowledged()} & set(mine)
            assert not disturbed, "a live run of another process was interrupted"

    def _count(self, stage: str) -> None:
        self.kills += 1
        self.stages[stage] += 1

    def _look(self, run_id: str | None = None) -> None:
        """A new process would see this: everything acknowledged, and nothing that finished before is executed again."""
        with runstone.open(self.folder) as ledger:
            require_whole(ledger, self._acknowledged)
            self._earlier += self._acknowledged
            self._acknowledged.clear()
            if run_id is not None:
                self._require_no_repeats(ledger, run_id)

    def _require_no_repeats(self, ledger: runstone.Ledger, run_id: str) -> None:
        lines, self._offset = executions(self.folder, self._offset)
        overlaps = [key for what, key, _ in lines if what == "overlap"]
        assert not overlaps, f"two processes of one tool at a time: {overlaps}"
        again = sorted({key for what, key, _ in lines if what == "start"} & self._done)
        assert not again, f"finished work was done again: {again}"
        with suppress(runstone.NotFound):  # killed before the run was created
            self._done |= completed_keys(ledger, run_id)

    def report(self) -> str:
        return (
            f"seed {self._seed}: {self.kills} kills, {self.finished} workflows finished; "
            f"in flight: {describe(self.stages)}"
        )


def require_spread(stages: Counter[str]) -> None:
    """A campaign whose kills all hit one stage proves nothing of the others."""
    total = sum(stages.values())
    assert len(stages) >= min(4, total), f"kills hit only {describe(stages)}"
    assert max(stages.values()) <= max(2, 0.7 * total), f"nearly all kills hit one stage: {describe(stages)}"
