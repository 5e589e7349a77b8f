"""The matrix of kill points of ask, save, answer, claim and continue: alone, and with two processes racing.

Whatever is killed: each answer is applied once, no work that was saved before the question is done again, and no
question is lost or asked twice.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone import workspace
from tests.crash.asking import MESSAGE
from tests.crash.world import Server, require_live_leases
from tests.engine.background.commands import end_all

MATRIX: list[tuple[str, str, int]] = [
    # program, write, at its how-manieth commit
    ("loop", "OpenRun", 1),
    ("loop", "SaveCheckpoint", 1),
    ("loop", "AskAndPark", 1),
    ("loop", "AnswerInput", 1),
    ("loop", "ContinueRun", 1),
    ("loop", "EndRun", 1),
    ("quiz", "RecordStep", 1),
    ("quiz", "AskInput", 1),
    ("quiz", "ParkRun", 1),
    ("quiz", "AnswerInput", 1),
    ("quiz", "ClaimRun", 1),
    ("quiz", "EndRun", 1),
    ("lead", "ContinueChild", 1),
    ("lead", "ClaimRun", 3),
    ("lead", "AnswerInput", 1),
    ("costly", "AskBudget", 1),
    ("costly", "ParkRun", 1),
    ("costly", "AnswerInput", 1),
]
RACING = [
    ("loop", "AskAndPark", 1, "before"), ("loop", "AnswerInput", 1, "after"), ("loop", "ContinueRun", 1, "before"),
    ("loop", "ContinueRun", 1, "after"), ("quiz", "ParkRun", 1, "after"), ("quiz", "ClaimRun", 1, "after"),
    ("lead", "ContinueChild", 1, "after"), ("costly", "AskBudget", 1, "after"), ("costly", "ParkRun", 1, "after"),
]  # fmt: skip
"""All of the matrix is raced by tests/campaign/test_asking.py."""

ENDED = ("completed", "failed", "cancelled")
_STEPS = 12
"""So many processes bring a run to its end, at most, after one was killed."""


class Case:
    """One run of the matrix. The kill comes in the first process that passes the point."""

    def __init__(
        self, folder: Path, server: Server, program: str, point: str, count: int, *, racing: bool
    ) -> None:
        self.folder, self.server, self.program = folder, server, program
        self.racing = racing
        self.crash: tuple[str, int] | None = (point, count)
        self.killed = False
        self.told: list[object] = []

    def drive(self) -> None:
        """Does what is to be done next, until the run has ended; each step in processes of its own."""
        for _ in range(_STEPS):
            step = self._next()
            if step is None:
                return
            words = ("asking", str(self.folder), self.program, step)
            first = self.server.start(self.folder, *words, crash=self._arm(step))
            others = [self.server.start(self.folder, *words) for _ in range(self.racing)]
            for process in (first, *others):
                assert process.wait_gone(30), f"{step} does not end"
            said = first.said()
            self.told.append((step, said))
            if self.crash is not None and self._armed(step) and not any("done" in line for line in said):
                self.killed, self.crash = True, None
        raise AssertionError(f"the run does not end: {self._next()}")

    def _armed(self, step: str) -> bool:
        assert self.crash is not None
        return self.crash[0].startswith("AnswerInput") == (step != "go")

    def _arm(self, step: str) -> tuple[str, int] | None:
        return self.crash if self.crash is not None and self._armed(step) else None

    def _next(self) -> str | None:
        """`go`, an answer, or None where all is done; as a new process sees it."""
        with runstone.open(self.folder, lease_s=1.0, heartbeat_s=0.2) as ledger:
            require_live_leases(ledger)
            try:
                run = ledger.get_run("r")
            except runstone.NotFound:
                return "go"
            if run.status in ENDED:
                return None
            asked = ledger.inputs.list().items
            assert len(asked) <= 1, "it was asked twice"
            waits = ledger.inputs.awaited("r")
            return ("raise" if self.program == "costly" else "main") if asked and waits else "go"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("program", "write", "count"), MATRIX, ids=str)
def test_a_kill_at_any_point_loses_no_question_and_applies_each_answer_once(
    tmp_path: Path, server: Server, program: str, write: str, count: int, side: str
) -> None:
    kill(tmp_path, server, program, write, count, side=side, racing=False)


@pytest.mark.parametrize(("program", "write", "count", "side"), RACING, ids=str)
def test_a_kill_beside_a_process_that_does_the_same_loses_nothing_either(
    tmp_path: Path, server: Server, program: str, write: str, count: int, side: str
) -> None:
    kill(tmp_path, server, program, write, count, side=side, racing=True)


def kill(
    tmp_path: Path, server: Server, program: str, write: str, count: int, *, side: str, racing: bool
) -> None:
    """One case of the matrix, to its end."""
    case = Case(tmp_path, server, program, f"{write}.{side}_commit", count, racing=racing)
    case.drive()
    assert case.killed or racing, f"the point was not passed: {case.told}"
    unsaved = side == "before" and (
        write in ("RecordStep", "SaveCheckpoint") or (program, write) == ("loop", "EndRun")
    )
    # A parent that is killed as it parks takes a child along whose step is done and not saved.
    require_once(tmp_path, case, repeats=int(unsaved or (program, write) == ("costly", "ParkRun")))


def require_once(folder: Path, case: Case, *, repeats: int) -> None:
    """What must hold of a run that came to its end. `repeats`: so much work was killed before it was saved."""
    answer = "raise" if case.program == "costly" else "main"
    with runstone.open(folder) as ledger:
        runs = list(ledger.tree("r").walk())
        assert {node.run.status for node in runs} == {"completed"}
        assert ledger.result("r") == answer
        events = Counter(event.type for node in runs for event in ledger.events(node.run.id, limit=10_000))
        asked = 1 + (case.program == "costly" and was_spent_in_vain(ledger))
        assert (events["input.requested"], events["input.answered"]) == (asked, asked)
        assert [one.response for one in ledger.inputs.list(status=None).items] == [answer] * asked
        if case.program == "lead":
            (child,) = ledger.list_runs(parent_id="r").items
            texts = [one.text for one in ledger.threads.messages(child.worker_thread_id or "").items]
            assert (texts, events["run.continued"]) == ([MESSAGE], 1)
        if case.program == "costly":
            keys = [e.payload["key"] for e in ledger.events("r", limit=10_000) if e.type == "input.requested"]
            assert len(set(keys)) == asked, "one budget was asked about twice"
            assert events["budget.changed"] == asked
            assert ledger.get_run("r").options["budget"] == {"max_tokens": 10 * 2**asked}
        assert ledger.care.verify() == []
    calls = Counter((folder / "calls.txt").read_text().splitlines())
    assert set(calls) == {"before", f"after {answer}"}, calls
    assert sum(calls.values()) <= 2 + repeats, calls


def was_spent_in_vain(ledger: runstone.Ledger) -> bool:
    """Whether the second child was killed between its spending and its end: the raised budget is used up without it.

    What the first one spends is the budget that is raised for the second; a repeated report of it adds nothing.
    """
    second = ledger.list_runs(parent_id="r", sort="created", order="asc").items[1]
    told = [event.type for event in ledger.events(second.id, limit=10_000)]
    ends = [place for place, kind in enumerate(told) if kind == "run.interrupted"]
    return any("usage.reported" in told[:end] for end in ends)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("racing", [False, True], ids=["alone", "racing"])
def test_a_message_of_a_killed_continuation_is_there_once_and_is_given_again(
    tmp_path: Path, server: Server, side: str, racing: bool
) -> None:
    with runstone.open(tmp_path) as ledger:
        ledger.start_run(run_id="r", agent_id="loop").pause(state={"done": ["before"]})
    point = (f"ContinueRun.{side}_commit", 1)
    first = server.start(tmp_path, "continuing", str(tmp_path), MESSAGE, crash=point)
    others = [server.start(tmp_path, "continuing", str(tmp_path), MESSAGE) for _ in range(racing)]
    for process in (first, *others):
        assert process.wait_gone(30)
    given = [line["message"] for process in others for line in process.said() if "message" in line]
    last = server.start(tmp_path, "continuing", str(tmp_path), MESSAGE)
    assert last.wait_gone(30)
    given += [line["message"] for line in last.said() if "message" in line]
    assert set(given) == {MESSAGE}
    with runstone.open(tmp_path) as ledger:
        run = ledger.get_run("r")
        assert run.status == "interrupted"
        texts = [one.text for one in ledger.threads.messages(run.worker_thread_id or "").items]
        assert texts == [MESSAGE]
        assert ledger.care.verify() == []


def test_a_paused_worker_is_continued_after_its_process_was_killed(tmp_path: Path, server: Server) -> None:
    victim = server.start(tmp_path, "pausing", str(tmp_path))
    assert victim.wait_said("paused")
    victim.kill()
    assert workspace.locate(tmp_path, create=False).created is False, "it is there before anybody opens it"
    with runstone.open(tmp_path) as ledger:
        assert ledger.get_run("r").status == "paused"
        with ledger.continue_run("r", MESSAGE) as run:
            assert (run.state, run.message_in, run.attempt) == ({"turns": [1, 2]}, MESSAGE, 2)
        assert ledger.care.verify() == []


COMMAND = """
import json, os
if "RUNSTONE_RESUME" in os.environ:
    told = {"runstone": "complete", "result": json.load(open(os.environ["RUNSTONE_RESUME"]))["message"]}
else:
    told = {"runstone": "ask", "message": "Which?"}
os.write(3, json.dumps(told).encode() + b"\\n")
"""


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_command_is_told_its_message_once_however_who_tells_it_is_killed(
    tmp_path: Path, server: Server, side: str
) -> None:
    with runstone.open(tmp_path) as ledger:
        try:
            ledger.exec([sys.executable, "-c", COMMAND], run_id="r", cwd=tmp_path)
            assert ledger.wait("r", timeout=30).status == "awaiting_user"
            killed = server.start(
                tmp_path, "telling", str(tmp_path), MESSAGE, crash=(f"TellRun.{side}_commit", 1)
            )
            assert killed.wait_gone(30)
            assert killed.said() == []
            again = server.start(tmp_path, "telling", str(tmp_path), MESSAGE)
            assert again.wait_said("told")
            assert ledger.wait("r", timeout=30).status == "completed"
            assert ledger.result("r") == MESSAGE
            thread = ledger.get_run("r").worker_thread_id or ""
            assert [one.text for one in ledger.threads.messages(thread).items if one.role == "user"] == [
                MESSAGE
            ]
            assert ledger.care.verify() == []
        finally:
            end_all(tmp_path)
