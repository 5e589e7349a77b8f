"""Interprets a declarative workflow over `ctx`: the phases that may start run side by side, the rest waits for them.

What starts and what is skipped is decided in `domain/phases.py`, which `plan` asks, too.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, final

from runstone.domain import phases, workflows
from runstone.domain.workflows import PhaseDefinition, WorkflowDefinition
from runstone.errors import ChildrenFailed, InputRefused

if TYPE_CHECKING:
    from runstone.engine.context import Context

_END_S: Final = 10.0
"""A cancelled phase only waits for the ledger; longer than this means that the loop itself is stuck."""


async def interpret(definition: WorkflowDefinition, ctx: "Context", input: Any) -> dict[str, Any]:
    """Runs the definition and gives {"phases": {name: [results]}}, with null where a child failed.

    Raises InputRefused for an input of another shape, and ChildrenFailed at the end if a phase failed for good
    that is not to be continued.
    """
    run = _Interpretation(definition, ctx, workflows.check_input(definition, input))
    await run.to_the_end()
    run.raise_failures()
    summary = phases.summarize(definition, run.input, run.results)
    if summary is not None:
        ctx.set_summary(summary)
    return {"phases": {phase.name: run.results.get(phase.name, []) for phase in definition.phases}}


@final
class _Interpretation:
    """One attempt of a declarative workflow: how its phases stand, and what they gave."""

    def __init__(self, definition: WorkflowDefinition, ctx: "Context", input: Any) -> None:
        self.definition = definition
        self.ctx = ctx
        self.input = input
        self.states: dict[str, str] = {}
        self.results: dict[str, list[Any]] = {}
        self.errors: dict[str, ChildrenFailed | InputRefused] = {}
        self._broken: BaseException | None = None

    async def to_the_end(self) -> None:
        """Starts and skips phases until none is left; raises only what is no phase's failure."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                if self._broken is None:
                    tasks |= await self._begin()
                if not tasks:
                    break
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    # What breaks one phase (no such agent, say) must not stop the running children of the others.
                    self._broken = self._broken or _error_of(task)
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_END_S)
        if self._broken is not None:
            raise self._broken

    async def _begin(self) -> set["asyncio.Task[None]"]:
        """Skips what is to be skipped and starts what may start."""
        step = phases.ready(self.definition, self.states)
        for name, reason in step.skip:
            await self.ctx.skip_phase(name, reason)
            self.states[name], self.results[name] = "skipped", []
        self.states.update(dict.fromkeys(step.start, "running"))
        return {asyncio.create_task(self._phase(self.definition.phase(name))) for name in step.start}

    async def _phase(self, phase: PhaseDefinition) -> None:
        try:
            self.results[phase.name] = await self._children(phase)
        except (ChildrenFailed, InputRefused) as error:
            self.errors[phase.name] = error
            self.results[phase.name] = list(error.results) if isinstance(error, ChildrenFailed) else []
            self.states[phase.name] = "failed"
        else:
            self.states[phase.name] = "completed"

    async def _children(self, phase: PhaseDefinition) -> list[Any]:
        refused: InputRefused | None = None
        specs: list[phases.ChildSpec] = []
        try:
            specs = phases.expand(phase, self.input, self.results)
        except InputRefused as error:
            refused = error
        async with self.ctx.phase(phase.name, concurrency=phase.concurrency, planned=len(specs)):
            if refused is not None:
                raise refused  # inside, so that the phase is shown as failed, with the reason
            if not specs:
                return []
            found = await self.ctx.map(phase.agent, [spec.input for spec in specs], retry=phase.retry)
        return list(found)

    def raise_failures(self) -> None:
        """Raises what failed for good, all of it at once: a resume then tries each of these children again."""
        names = phases.failed_for_good(self.definition, self.states)
        if not names:
            return
        errors = [self.errors[name] for name in names]
        if len(errors) == 1:
            raise errors[0]
        failures = tuple(f for error in errors if isinstance(error, ChildrenFailed) for f in error.failures)
        told = "; ".join(f"phase {name}: {error}" for name, error in zip(names, errors, strict=True))
        raise ChildrenFailed(f"{len(names)} phases failed: {told}", failures=failures) from errors[0]


def _error_of(task: "asyncio.Task[None]") -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()
