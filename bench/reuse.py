"""What a resume runs again: executions of children, expected and counted, after a crash, a failure or an edit.

Every case runs twice on a file of its own: once until it breaks, then resumed, by edited code where the case says so.
What children execute is counted by the children themselves.
"""

import asyncio
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import runstone
from bench.table import Pace, markdown, workspace

SIX = tuple(range(1, 7))
ON_PURPOSE = "broken on purpose"
ORDERS = 200
"""Random orders of finishing, in as many runs."""


class Case(NamedTuple):
    """A line: what happened, what a resume should run again, and what it ran."""

    name: str
    expected: int
    executed: int


class Scene:
    """A ledger and the code that runs on it, which a case may edit between the first run and the resume."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executed: list[int | str] = []
        self.failing: set[int | str] = set()
        self.versions: dict[str, str] = {}
        self.delays: dict[int | str, float] = {}
        self.unfinished = True
        """Whether the workflow fails at its end, so that there is something to resume."""

    def resumed(self, before: Callable[..., Any], after: Callable[..., Any] | None = None) -> list[int | str]:
        """What executes in the resume, by `after` where the workflow was edited."""
        asyncio.run(self._first(before))
        return self.resume(after or before)

    async def _first(self, workflow: Callable[..., Any]) -> None:
        with runstone.open(self.folder) as ledger:
            try:
                await runstone.run("case", ledger=ledger, registry=self.registry(workflow), run_id="case")
            except runstone.RunFailed as error:
                if ON_PURPOSE not in str(error):
                    raise
                return
        raise AssertionError("the first run was to fail")

    def resume(self, workflow: Callable[..., Any]) -> list[int | str]:
        """Resumes the run, which ends well now, and gives what executed."""
        self.executed.clear()
        self.failing, self.delays, self.unfinished = set(), {}, False
        with runstone.open(self.folder) as ledger:
            asyncio.run(runstone.resume("case", ledger=ledger, registry=self.registry(workflow)))
        return self.executed

    def registry(self, workflow: Callable[..., Any]) -> runstone.Registry:
        """The workflow as `case`, an agent `work` that gives back its input, and `other`, which does the same."""
        registry = runstone.Registry()

        async def code(ctx: Any, _input: Any) -> None:
            await workflow(ctx)
            if self.unfinished:
                raise RuntimeError(ON_PURPOSE)

        async def work(ctx: Any, value: int | str) -> int | str:
            self.executed.append(value)
            await asyncio.sleep(self.delays.get(value, 0.0))
            if value in self.failing:
                raise ValueError(ON_PURPOSE)
            return value

        async def unique(ctx: Any, value: str) -> str:
            return f"{await work(ctx, value)}, call {len(self.executed)}"

        async def middle(ctx: Any, part: str) -> str:
            await asyncio.gather(*(ctx.child("work", f"{part}.{leaf}") for leaf in "ab"))
            return str(await work(ctx, part))

        registry.workflow("case")(code)
        for name, agent in (("work", work), ("other", work), ("unique", unique), ("middle", middle)):
            registry.agent(name, version=self.versions.get(name, "1"))(agent)
        return registry


def children(*values: Any, agent: str = "work") -> Callable[..., Any]:
    """A workflow of parallel children with these inputs."""

    async def workflow(ctx: Any) -> None:
        await asyncio.gather(*(ctx.child(agent, value) for value in values))

    return workflow


def bench(pace: Pace) -> str:
    """Expected and executed, case by case."""
    times = 10 if pace.rounds == 1 else ORDERS
    with workspace() as folder:
        numbers = iter(range(10_000))

        def scene() -> Scene:
            place = folder / str(next(numbers))
            place.mkdir()
            return Scene(place)

        cases = [killed(scene()), failed(scene()), *edited(scene), ordered(scene, times), copied(scene())]
        cases += [levels(scene), changed_input(scene()), changed_version(scene()), pipelines(scene())]
    return markdown(
        ("six parallel children, then resumed", "executions expected", "executed"), map(_line, cases)
    )


def _line(case: Case) -> tuple[str, ...]:
    wrong = "" if case.executed == case.expected else " (wrong)"
    return case.name, str(case.expected), f"{case.executed}{wrong}"


def killed(scene: Scene) -> Case:
    command = [sys.executable, "-m", "bench.reuse", str(scene.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    executed = scene.resume(children(*SIX))
    return Case("killed (`kill -9`) while child 2 runs, the others done", 1, len(executed))


async def until_killed(folder: Path) -> None:
    """The process that is killed: says so when all children but the second are done, and never ends."""
    scene = Scene(folder)
    scene.delays = {2: 3600.0}
    with runstone.open(folder) as ledger:
        run = runstone.run("case", ledger=ledger, registry=scene.registry(children(*SIX)), run_id="case")
        task = asyncio.ensure_future(run)
        await asyncio.to_thread(_until_five_completed, ledger)
        print("now", flush=True)
        await task


def _until_five_completed(ledger: runstone.Ledger) -> None:
    for _ in ledger.tail(timeout=30):
        if len(ledger.list_runs(parent_id="case", status="completed").items) == len(SIX) - 1:
            return
    raise AssertionError("they did not end")


def failed(scene: Scene) -> Case:
    scene.failing = {2}
    return Case("child 2 failed, the others done", 1, len(scene.resumed(children(*SIX))))


def edited(scene: Callable[[], Scene]) -> Iterator[Case]:
    before = children(*SIX)
    yield Case("one call inserted in front", 1, len(scene().resumed(before, children(0, *SIX))))
    yield Case("one call removed", 0, len(scene().resumed(before, children(1, 2, 4, 5, 6))))
    yield Case("calls reordered", 0, len(scene().resumed(before, children(*reversed(SIX)))))


def ordered(scene: Callable[[], Scene], times: int) -> Case:
    executed, generator = 0, random.Random(1)
    for _ in range(times):
        here = scene()
        here.delays = {value: generator.random() / 200 for value in SIX}
        executed += len(here.resumed(children(*SIX)))
    return Case(f"finished in random order, {times} times", 0, executed)


def copied(scene: Scene) -> Case:
    scene.failing = {2}
    asyncio.run(scene._first(children(*SIX)))
    copy = scene.folder.with_name(f"{scene.folder.name}-copy")
    shutil.copytree(scene.folder, copy)
    shutil.rmtree(scene.folder)
    scene.folder = copy
    return Case("workspace copied to another folder, child 2 failed", 1, len(scene.resume(children(*SIX))))


def levels(scene: Callable[[], Scene]) -> Case:
    """Exactly the failing child and its ancestors: a leaf with its middle, or a middle alone."""
    expected = {"a": ["a"], "b": ["b"], **{f"{m}.{leaf}": [m, f"{m}.{leaf}"] for m in "ab" for leaf in "ab"}}
    executed = 0
    for failing, again in expected.items():
        here = scene()
        here.failing = {failing}
        ran = here.resumed(children("a", "b", agent="middle"))
        executed += len(ran) if sorted(ran) == again else 1_000
    return Case("three levels, each of six failing in turn", sum(map(len, expected.values())), executed)


def changed_input(scene: Scene) -> Case:
    return Case("one input changed", 1, len(scene.resumed(children(*SIX), children(1, 2, 33, 4, 5, 6))))


def changed_version(scene: Scene) -> Case:
    async def workflow(ctx: Any) -> None:
        await asyncio.gather(*(ctx.child("other" if value == 2 else "work", value) for value in SIX))

    asyncio.run(scene._first(workflow))
    scene.versions = {"other": "2"}
    return Case("another version of the agent of one child", 1, len(scene.resume(workflow)))


def pipelines(scene: Scene) -> Case:
    """Two of three calls each: the middle ones are equal, and each last call's input holds what its own middle gave."""

    def workflow(*order: int) -> Callable[..., Any]:
        async def pipeline(ctx: Any, number: int) -> None:
            first = await ctx.child("work", number)
            middle = await ctx.child("unique", "the same")
            await ctx.child("work", f"{first} and {middle}")

        async def run(ctx: Any) -> None:
            await asyncio.gather(*(pipeline(ctx, number) for number in order))

        return run

    executed = scene.resumed(workflow(1, 2), workflow(2, 1))
    return Case("two pipelines with equal middle calls, arriving swapped", 0, len(executed))


if __name__ == "__main__":
    asyncio.run(until_killed(Path(sys.argv[1])))
