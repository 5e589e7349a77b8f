"""Whatever a workflow asks for, in whatever order, however often it is edited and interrupted: nothing finished runs
again, and no result ever lands on another child."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstone
from runstone import Registry
from runstone.domain.records import JournalEntry
from runstone.domain.resume import Claims, ResumePolicy, action_for

INPUTS = st.sampled_from("abcd")
Group = list[str]
PROGRAM = st.lists(st.lists(INPUTS, min_size=1, max_size=4), min_size=1, max_size=3)
"""Groups one after the other; the children of a group side by side. Equal inputs are equal keys."""

ENDS = st.one_of(st.just("fails"), st.integers(0, 5))
"""How an attempt ends: it fails after all, or it is cancelled once so many children have begun."""


class Work:
    """The workflow of one example, and its executions."""

    def __init__(self, program: list[Group]) -> None:
        self.program = program
        self.begun: list[str] = []
        self.finished: dict[int, str] = {}
        self.seen: list[list[tuple[str, list[Any]]]] = []
        self.hold_after: int | None = None
        self.fails = False
        self.names = Registry()

        @self.names.agent("work")
        async def work(ctx: Any, input: Any) -> Any:
            number = len(self.begun)
            self.begun.append(input)
            if self.hold_after is not None and len(self.begun) > self.hold_after:
                self.held.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return [input, number]

        @self.names.workflow("flow")
        async def flow(ctx: Any, input: Any) -> Any:
            self.seen.append([])
            for number, group in enumerate(self.program):
                async with ctx.phase(f"phase {number % 2}"):
                    found = await asyncio.gather(*(ctx.child("work", one) for one in group))
                self.seen[-1] += zip(group, found, strict=True)
            if self.fails:
                raise RuntimeError("once more")
            return "done"

    def asked(self) -> "Counter[str]":
        return Counter(one for group in self.program for one in group)


async def attempt(work: Work, ledger: runstone.Ledger, run_id: str, end: str | int | None) -> None:
    work.held, work.fails = asyncio.Event(), end == "fails"
    work.hold_after = len(work.begun) + end if isinstance(end, int) else None
    run = asyncio.create_task(runstone.run("flow", ledger=ledger, run_id=run_id, registry=work.names))
    held = asyncio.create_task(work.held.wait())
    await asyncio.wait([run, held], return_when=asyncio.FIRST_COMPLETED)
    run.cancel()
    held.cancel()
    await asyncio.wait([run, held])
    if not run.cancelled():
        run.exception()


def known(ledger: runstone.Ledger, run_id: str) -> "tuple[Counter[str], Counter[str]]":
    """Inputs of the finished children, and of the others."""
    found = ledger.list_runs(parent_id=run_id, limit=1000).items if exists(ledger, run_id) else []
    done = Counter(ledger.input(run.id) for run in found if run.status == "completed")
    return done, Counter(ledger.input(run.id) for run in found) - done


def exists(ledger: runstone.Ledger, run_id: str) -> bool:
    return any(run.id == run_id for run in ledger.list_runs(kind="workflow", limit=1000).items)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(first=PROGRAM, edits=st.lists(st.tuples(PROGRAM, ENDS), max_size=3), end=ENDS)
def test_nothing_finished_runs_again_and_no_result_lands_on_another_child(
    first: list[Group], edits: list[tuple[list[Group], Any]], end: Any
) -> None:
    work = Work(first)
    with tempfile.TemporaryDirectory() as folder, runstone.open(Path(folder)) as ledger:

        async def life() -> None:
            for program, how in [(first, end), *edits, (edits[-1][0] if edits else first, None)]:
                work.program = program
                (done, undone), begun = known(ledger, "r"), len(work.begun)
                await attempt(work, ledger, "r", how)
                again, need = Counter(work.begun[begun:]), work.asked() - done
                # A call prefers the unfinished record of its own place to a finished one of another place.
                assert again <= need + undone, (again, need, undone)
                if ledger.get_run("r").status == "completed":
                    assert again >= need
                    return

        asyncio.run(life())
        assert ledger.get_run("r").status == "completed"
        for child in ledger.list_runs(parent_id="r", limit=1000).items:
            outcomes = [one.outcome for one in ledger.attempts(child.id)]
            assert "completed" not in outcomes[:-1]  # none ran again after it had finished
        for deliveries in work.seen:
            assert all(asked == got[0] for asked, got in deliveries)
            numbers = [got[1] for _, got in deliveries]
            assert len(set(numbers)) == len(numbers)
        assert ledger.care.verify() == []


# --- the bag itself -------------------------------------------------------------------------------------------------

STATUS = st.sampled_from(["completed", "failed", "cancelled", "interrupted", "running", "pending", "waiting"])
HINT = st.sampled_from(["x", "y", None])


@st.composite
def records(draw: st.DrawFn) -> list[JournalEntry]:
    drawn = draw(st.lists(st.tuples(st.sampled_from("kl"), STATUS, HINT, HINT, st.booleans()), max_size=8))
    return [
        JournalEntry(
            number=number, key=key, kind="child", name="work", phase=phase, previous=previous, attempt=1,
            handled=handled, dropped=0, child_pk=number, child_run_id=f"run {number}", child_status=status,
            child_error=None, child_tokens=0, child_cost_picousd=0, child_attempt=1, child_tries=0,
            child_by_cascade=False, superseded=False, value=None, ref=None,
        )
        for number, (key, status, phase, previous, handled) in enumerate(drawn)
    ]  # fmt: skip


@given(entries=records(), calls=st.lists(st.tuples(st.sampled_from("klm"), HINT, HINT), max_size=10))
def test_a_record_is_claimed_once_by_its_key_and_finished_ones_first(
    entries: list[JournalEntry], calls: list[tuple[str, Any, Any]]
) -> None:
    claims, left = Claims(entries), {entry.number: entry for entry in entries}
    for key, phase, previous in calls:
        fits = [entry for entry in left.values() if entry.key == key]
        claimed = claims.claim(key, phase, previous)
        assert (claimed is None) == (not fits)
        if claimed is None:
            continue
        assert left.pop(claimed.number) is claimed
        hinted = [entry for entry in fits if (entry.phase, entry.previous) == (phase, previous)]
        if hinted:
            assert claimed in hinted
        elif any(entry.finished for entry in fits):
            assert claimed.finished
    assert {entry.number for entry in claims.left} == left.keys()


@given(
    entries=records(),
    failed=st.sampled_from(["retry", "keep", "fail"]),
    all_=st.booleans(),
    ended=st.booleans(),
)
def test_a_finished_record_is_reused_whatever_the_policy_says(
    entries: list[JournalEntry], failed: str, all_: bool, ended: bool
) -> None:
    policy = ResumePolicy(failed=failed, failures="all" if all_ else "unhandled")
    for entry in entries:
        action = action_for(entry, policy, frozenset({str(entry.child_run_id)} if ended else ()))
        assert (action == "reuse") == (entry.child_status == "completed")
        assert (action == "attach") == (entry.child_status in ("running", "pending", "waiting"))
        if entry.child_status == "failed" and failed == "retry" and (all_ or ended or not entry.handled):
            assert action == "retry"
