"""Bringing on parked trees that no process has: their time has come, or a person has answered. One engine does."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from runstone.domain import codec
from runstone.domain.records import AgentRun
from runstone.domain.runs import WOKEN
from runstone.engine.driving import Tree
from runstone.engine.secrets import Vault, secret_names
from runstone.errors import NotFound, RunstoneError, SecretMissing

if TYPE_CHECKING:
    from runstone.engine.local import LocalEngine

_LOOK_S: Final = 1.0
"""So often it is looked for them; the look is one query over an index of what is parked."""

_ASK_AGAIN: Final = 60
"""After so many looks those that this process could not bring on are looked at again: it may have learnt their code."""


class Timers:
    """What one engine brings on of trees that are not its own."""

    def __init__(self, engine: "LocalEngine") -> None:
        self._engine = engine
        self._tree: Tree | None = None
        self._watching: asyncio.Task[None] | None = None
        self._strange: set[str] = set()
        """Runs of which this process has not got the code: a look takes some, and must come to those behind them."""

    def begin(self, tree: Tree) -> None:
        """Looks from now on, for runs of agents and workflows that the tree's registry knows."""
        self._tree = tree
        if self._watching is None:
            self._watching = self._engine.spawn(self._watch())

    async def _watch(self) -> None:
        engine, looks = self._engine, 0
        while True:
            await asyncio.sleep(_LOOK_S)
            looks += 1
            if looks % _ASK_AGAIN == 0:
                self._strange.clear()
            with suppress(RunstoneError):  # looked for again in a second
                # A process that only waits for others has no heartbeat in which it would see that they died.
                if looks % max(1, round(engine.supervisor.heartbeat_s / _LOOK_S)) == 0:
                    await asyncio.to_thread(engine.supervisor.reconcile)
                self.look()

    def look(self) -> None:
        """Brings on what is due. Of two engines that do, the ledger lets one claim it."""
        core = self._engine.core
        but = codec.encode(list(self._strange)).decode()
        for (run_id,) in core.reader.rows("left_to_go_on", now=core.now(), but=but):
            if not self._engine.brings_on(run_id):
                self._bring_on(core.reader.runs.get(run_id))

    def _bring_on(self, run: AgentRun) -> None:
        if (tree := self._tree_of(run)) is None:
            self._strange.add(run.id)
        else:
            task = self._engine.begin(run.id, tree, detached=True)
            task.add_done_callback(lambda task: None if task.cancelled() else self._go_up(run))

    def _tree_of(self, run: AgentRun) -> Tree | None:
        """What the run is brought on with; None where this process has not got its code, or a secret that it needs."""
        engine, known = self._engine, self._tree
        assert known is not None
        vault = Vault(engine.core.redactor, None, engine.core.secrets)
        tree = Tree(
            registry=known.registry, thread_id=run.parent_thread_id, root_id=run.root_run_id, vault=vault
        )
        try:
            engine.entry_of(engine.core.reader, tree, run)
            data = b"" if run.input_ref is None else engine.core.reader.values.blob(run.input_ref)
            names = secret_names(data)
            vault.allow(names)
            vault.require(run.id, names)
        except (NotFound, SecretMissing):
            return None
        return tree

    def _go_up(self, run: AgentRun) -> None:
        """Goes on with the parent that the end of the run has woken."""
        with suppress(RunstoneError):
            parent = (
                None if run.parent_run_id is None else self._engine.core.reader.runs.get(run.parent_run_id)
            )
            woken = parent is not None and parent.status == "pending" and parent.status_reason in WOKEN
            if parent is not None and woken and not self._engine.brings_on(parent.id):
                self._bring_on(parent)
