"""The engine of a worker: it executes runs that it is handed, one attempt at a time, and leaves their children in line.

A run that waits is parked after a moment, whatever it waits for: its place is another run's then, and the commit that
fulfils its wait dispatches it again, to whichever worker is next.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from runstone.domain import codec
from runstone.domain.dispatches import OPTION, QueueSettings, placement_of, queue_of_agent
from runstone.domain.orders import How, how_of
from runstone.domain.records import AgentRun
from runstone.engine.context import Context
from runstone.engine.core import Core
from runstone.engine.driving import Tree
from runstone.engine.executor import execute
from runstone.engine.limits import own_cap
from runstone.engine.local import LocalEngine
from runstone.engine.orphans import end_orphans
from runstone.engine.registry import Entry, Registry
from runstone.engine.secrets import Vault, secret_names
from runstone.engine.supervisor import Supervisor
from runstone.errors import (
    BudgetReached,
    DispatchOver,
    IllegalTransition,
    NotFound,
    OrphanAlive,
    Refused,
    RunIsLive,
    RunstoneError,
    SecretMissing,
)
from runstone.store.writes.dispatching import ReturnDispatch
from runstone.store.writes.lifecycle import Claimed, ResumeRun
from runstone.store.writes.limits import PhaseFull

PARK_AFTER_S: Final = 0.1
"""So long a run whose code only waits keeps its place: about what parking and being woken cost."""

_RETURNED_S: Final = 5.0
"""So long a run is left alone that a worker could not begin; another one may have its code, or its secret."""

_AT_CAP_S: Final = 5.0
"""As well one that a budget keeps from beginning: whoever asks a person lets it go on at once."""

_CAP_S: Final = 0.05
"""What was read of budgets holds so long for all children of a run; whoever claims one asks anew."""


class DispatchedEngine(LocalEngine):
    """Executes dispatched runs in the event loop in which it was made."""

    def __init__(
        self,
        core: Core,
        supervisor: Supervisor,
        workspace: Path,
        registry: Registry,
        *,
        slots: int,
        queues: Mapping[str, QueueSettings],
        park_after_s: float = PARK_AFTER_S,
    ) -> None:
        super().__init__(core, supervisor, workspace, slots=slots, park_after_s=park_after_s)
        self.registry = registry
        self.queues = queues
        self._cap: tuple[str, float, BudgetReached | None] = ("", 0.0, None)

    def place(self, ctx: Context, name: str, phase: str | None) -> dict[str, Any]:
        placement = placement_of(ctx.options_json)
        if placement is None:
            return {}
        limit = None if phase is None else ctx.limits.get(phase)
        return {OPTION: placement.of_child(queue_of_agent(self.queues, name), limit).option()}

    async def take(self, run_id: str, n: int) -> None:
        """Executes one attempt of a dispatched run; it ends, parks, or is left to another. Raises `StoreError`."""
        await asyncio.shield(self.spawn(self._take(run_id, n)))

    async def _take(self, run_id: str, n: int) -> None:
        try:
            run = self.core.reader.runs.get(run_id)
            how = How()
            if run.attempt:
                await asyncio.to_thread(end_orphans, self.core, self.supervisor, run_id)
                how = how_of(self.core.reader.commands.of(run_id))
            tree = self._tree_of(run, how)
            entry = self.entry_of(self.core.reader, tree, run)
            await self._execute_next(run, n, tree, entry, how)
        except (DispatchOver, RunIsLive, IllegalTransition):
            return  # somebody else has it, or it was paused or stopped meanwhile
        except BudgetReached as reached:
            await self._at_cap(run, n, reached)
        except (NotFound, SecretMissing, OrphanAlive, PhaseFull) as reason:
            await self._give_back(run_id, n, reason, _RETURNED_S)

    async def _execute_next(self, run: AgentRun, n: int, tree: Tree, entry: Entry, how: How) -> None:
        options = None if how.budget is None else {**run.options, "budget": how.budget}
        seat = await self.slots.seat()
        try:
            claimed: Claimed = await self._claim(run, tree, entry, None, dispatch=n, options=options)
            await execute(self, tree, entry, claimed, seat)
        finally:
            seat.give_up()

    def _tree_of(self, run: AgentRun, how: How) -> Tree:
        """What the run is executed with. Raises `SecretMissing`."""
        vault = Vault(self.core.redactor, None, self.core.secrets)
        inputs = {} if run.input_ref is None else {run.id: self.core.reader.values.blob(run.input_ref)}
        names = secret_names(inputs.get(run.id, b""))
        vault.allow(names)
        vault.require(run.id, names)
        tree = Tree(
            registry=self.registry, thread_id=run.parent_thread_id, root_id=run.id, ended={}, inputs=inputs,
            vault=vault,
        )  # fmt: skip
        if how.policy is not None:
            tree.policy = how.policy
        return tree

    async def _give_back(self, run_id: str, n: int, reason: RunstoneError, delay_s: float) -> None:
        text = codec.clip(self.core.redactor.text(str(reason)), 500)
        with suppress(NotFound):  # it was removed
            await self.core.submit(ReturnDispatch(run_id, n, text, delay_s), [])

    async def _at_cap(self, run: AgentRun, n: int, reached: BudgetReached) -> None:
        """A budget above keeps the run from beginning: its parent goes on, which has a person asked."""
        await self._give_back(run.id, n, reached, _AT_CAP_S)
        if run.parent_run_id is not None:
            with suppress(Refused):  # it is at work
                waiting = frozenset({"waiting"})
                await self.core.submit(
                    ResumeRun(run.parent_run_id, "a budget was reached", expect=waiting), []
                )

    async def _drive(
        self, run_id: str, tree: Tree, gate: asyncio.Semaphore | None, limit: int | None
    ) -> AgentRun:
        """A child is looked at when its parent was not parked in the moment that it may wait: mostly it is then."""
        if tree.root_id is None or self._cap_above(tree.root_id) is None:
            await asyncio.sleep(min(self.park_after_s, PARK_AFTER_S))
        return await super()._drive(run_id, tree, gate, limit)

    async def _in_turn(
        self, run: AgentRun, tree: Tree, gate: asyncio.Semaphore | None, limit: int | None
    ) -> bool:
        """A child is in line, for whichever worker is next: whoever drives it waits for that."""
        if OPTION not in run.options:
            return await super()._in_turn(run, tree, gate, limit)
        self._check_budgets(run)
        self.idle.add(run.id)
        try:
            await self.until_changed(run.id, run)
        finally:
            self.idle.discard(run.id)
        return True

    def is_forsaken(self, run: AgentRun) -> bool:
        """What a run for workers waits for is in line, whoever parked it."""
        return OPTION not in run.options and super().is_forsaken(run)

    def comes_back(self, run: AgentRun) -> bool:
        """A run whose owner is silent is shown interrupted; as soon as that is judged, it is dispatched again."""
        if run.status != "interrupted" or OPTION not in run.options:
            return False
        return self.is_unjudged(run.id) or self.core.reader.runs.get(run.id).status != "interrupted"

    def _check_budgets(self, run: AgentRun) -> None:
        """Raises `BudgetReached` where a budget above the run keeps it from beginning, so that its parent asks."""
        if run.attempt == 0 and run.parent_run_id is not None:
            reached = self._cap_above(run.parent_run_id)
            if reached is not None:
                raise reached

    def _cap_above(self, parent_id: str) -> BudgetReached | None:
        """That a budget of the parent, or above it, keeps its children from beginning; read once for all of them."""
        asked, until, reached = self._cap
        if asked == parent_id and self.loop.time() < until:
            return reached
        above: str | None = parent_id
        reached = None
        while above is not None and reached is None:
            run = self.core.reader.runs.get(above)
            options = codec.encode(run.options).decode()
            reached = own_cap(self.core.reader, above, options, children=True)
            above = run.parent_run_id
        self._cap = (parent_id, self.loop.time() + _CAP_S, reached)
        return reached

    def executing(self, ctx: Context, entered: bool) -> None:
        """What an attempt leaves waiting is the ledger's to bring on; nobody here waits for it any longer."""
        super().executing(ctx, entered)
        if entered:
            return
        ctx.finish()
        for task, call in list(ctx.work.items()):
            if call.kind in ("child", "timer", "ask"):
                task.cancel()
                for child_id in call.open_ids & self._drives.keys():
                    self._drives[child_id].task.cancel()
