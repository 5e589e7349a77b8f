"""A plan of a declarative workflow says what a resume then really does, whatever was recorded, edited and asked for."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import runstone
from runstone import Ledger, Registry, ResumePolicy
from runstone.domain import workflows
from runstone.domain.workflows import WorkflowDefinition
from runstone.errors import InvalidInput, RunOutcome

ITEMS = ["a", "b", "c", "d"]


@st.composite
def definitions(draw: st.DrawFn) -> WorkflowDefinition:
    """Up to four phases that depend on each other, over lists, the input, and results of phases before."""
    phases: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 4))):
        above = [phase["name"] for phase in phases if draw(st.booleans())]
        lists: list[Any] = [None, draw(st.lists(st.sampled_from(ITEMS), max_size=4)), "{input.items}"]
        lists += [f"{{phases.{name}.results}}" for name in above]
        lists += [
            f"{{phases.{p['name']}.result}}" for p in phases if p["name"] in above and "for_each" not in p
        ]
        phase: dict[str, Any] = {
            "name": f"p{number}", "agent": draw(st.sampled_from(["work", "other"])), "depends_on": above,
            "on_failure": draw(st.sampled_from(["stop", "skip_dependents", "continue"])),
        }  # fmt: skip
        each = draw(st.sampled_from(lists))
        if each is not None:
            phase["for_each"] = each
        inputs = [
            "{item}" if each is not None else "one",
            "fixed",
            *(f"{{phases.{name}.results}}" for name in above),
        ]
        phase["input"] = draw(st.sampled_from(inputs))
        phases.append(phase)
    return workflows.parse("flow", {"phases": phases})


POLICIES = st.sampled_from(
    [
        ResumePolicy(),
        ResumePolicy(),
        ResumePolicy(failed="keep"),
        ResumePolicy(failures="all"),
        ResumePolicy(from_phase="p0"),
        ResumePolicy(from_phase="p1"),
        ResumePolicy(max_attempts=1),
    ]
)
BAD = st.sets(st.sampled_from([*ITEMS, "one", "fixed", "x"]), min_size=1, max_size=4)
HOLD = st.one_of(st.none(), st.integers(0, 4))


class Work:
    """The agents of one example, and which children they ran."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.bad: set[str] = set()
        self.hold_after: int | None = None
        self.held: asyncio.Event

    def registry(self, definition: WorkflowDefinition) -> Registry:
        names = Registry()

        async def work(ctx: Any, input: Any) -> Any:
            self.begun.append(ctx.run_id)
            if self.hold_after is not None and len(self.begun) > self.hold_after:
                self.held.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            if input in self.bad if isinstance(input, str) else False:
                raise ValueError(input)
            return [input if isinstance(input, str) else "many", "z"]

        names.agent("work")(work)
        names.agent("other")(work)
        names.add_declarative(definition)
        return names


async def attempt(work: Work, ledger: Ledger, names: Registry, bad: set[str], hold: int | None) -> None:
    """One attempt in which some inputs fail, and which is cut off once so many children have begun."""
    work.held, work.bad = asyncio.Event(), bad
    work.hold_after = None if hold is None else len(work.begun) + hold
    given = {"items": ["a", "x"]}
    run = asyncio.create_task(runstone.run("flow", given, ledger=ledger, run_id="r", registry=names))
    held = asyncio.create_task(work.held.wait())
    await asyncio.wait([run, held], return_when=asyncio.FIRST_COMPLETED)
    run.cancel()
    held.cancel()
    await asyncio.wait([run, held])
    if not run.cancelled():
        run.exception()


async def go_on(work: Work, ledger: Ledger, names: Registry, policy: ResumePolicy) -> None:
    work.bad, work.hold_after = set(), None
    try:
        await runstone.resume("r", ledger=ledger, registry=names, policy=policy)
    except RunOutcome:
        return  # a failure that the policy keeps


def reused(ledger: Ledger, attempt: int) -> "Counter[str]":
    found = ledger.events("r", limit=10_000).items
    return Counter(
        e.payload["child_run_id"] for e in found if e.type == "child.reused" and e.attempt == attempt
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=definitions(),
    edited=st.one_of(st.none(), definitions()),
    rounds=st.lists(st.tuples(BAD, HOLD), min_size=1, max_size=2),
    policy=POLICIES,
)
def test_a_resume_does_what_the_plan_said(
    first: WorkflowDefinition,
    edited: WorkflowDefinition | None,
    rounds: list[tuple[set[str], int | None]],
    policy: ResumePolicy,
) -> None:
    work = Work()
    with tempfile.TemporaryDirectory() as folder, runstone.open(Path(folder)) as ledger:
        for bad, hold in rounds:
            asyncio.run(attempt(work, ledger, work.registry(first), bad, hold))
        names = work.registry(edited or first)
        before = ledger.get_run("r")
        try:
            plan = runstone.plan("r", ledger=ledger, registry=names, policy=policy)
        except InvalidInput:
            event("the policy names a phase that there is not")
            return
        begun = len(work.begun)
        asyncio.run(go_on(work, ledger, names, policy))
        ran = Counter(ledger.get_run(child).child_key for child in work.begun[begun:])
        told = Counter(entry.key for entry in (*plan.rerun, *plan.start))
        unknown = told.pop(None, 0)
        event(f"{before.status}, exact {plan.exact}, ran {min(3, sum(ran.values()))}")
        assert told <= ran
        if not plan.exact:
            return
        assert sum(ran.values()) == sum(told.values()) + unknown
        if before.status != "completed":
            now = ledger.get_run("r")
            assert reused(ledger, now.attempt) == Counter(entry.child_run_id for entry in plan.reuse)
            if now.status == "completed":
                left = {
                    run.id for run in ledger.list_runs(parent_id="r", limit=1_000).items if run.superseded
                }
                dropped = {entry.child_run_id for entry in ledger.journal("r") if entry.dropped}
                assert left - dropped == {entry.child_run_id for entry in plan.superseded}
        assert ledger.care.verify() == []
