"""What a process knows of the runs that it brings on."""

import asyncio

import msgspec

from runstone.domain.records import AgentRun
from runstone.domain.resume import ResumePolicy
from runstone.engine.registry import Registry
from runstone.engine.secrets import Vault


class Tree(msgspec.Struct, kw_only=True, eq=False):
    """What holds for a whole tree of runs that this process drives."""

    registry: Registry
    policy: ResumePolicy = ResumePolicy()
    thread_id: str | None = None
    root_id: str | None = None
    ended: dict[str, frozenset[str]] = {}
    """By run: children whose failure ended its last attempt."""
    vault: Vault = msgspec.field(default_factory=Vault)
    """Values of the secrets that inputs refer to; they go with the tree."""
    inputs: dict[str, bytes] = {}
    """By run: an input that was read before the attempt began."""
    applied: bool = False
    """Whether what the policy takes from the root's new attempt was taken."""


class Drive:
    """One run that this process brings on."""

    __slots__ = ("detached", "queued", "stirred", "task", "tree")

    def __init__(self, task: "asyncio.Task[AgentRun]", tree: Tree, detached: bool) -> None:
        self.task = task
        self.tree = tree
        self.detached = detached
        self.queued = False
        """It waits for its turn: a place in its phase, or a slot."""
        self.stirred = False

    def stir(self) -> None:
        """Has it look at its run again if it waits for its turn, as that may never come or be needed."""
        if self.queued and not self.stirred:
            self.stirred = True
            self.task.cancel()
