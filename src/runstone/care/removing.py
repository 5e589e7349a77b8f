"""Taking whole ended trees out of the ledger, in short writes: others read and write all the time.

A removal that is cut off leaves a valid ledger with a smaller tree in it; asking again goes on with it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from runstone.engine.background.folder import ExecFolder
from runstone.errors import IllegalTransition, InvalidInput, RunstoneError
from runstone.store.writes.removal import CHUNK, Chunk, PruneRun, RemoveRun
from runstone.store.writes.space import CollectBlobs

if TYPE_CHECKING:
    from runstone.ledger import Ledger

WINDOW: Final = 50
"""Runs that one transaction works on, where they are small."""

LEAST: Final = 50
"""Rows that a write takes of each run then, at least."""

DIGESTS: Final = 200
"""Values that one write looks at."""

REST: Final = 0.25
"""Between two transactions others get their turn: so much of the time that the last one took."""


class Taken(msgspec.Struct, kw_only=True):
    """What was removed up to now."""

    trees: int = 0
    runs: int = 0
    events: int = 0
    messages: int = 0
    checkpoints: int = 0
    requests: int = 0
    blobs: int = 0
    blob_bytes: int = 0

    def add(self, chunk: Chunk) -> None:
        """Adds what one write took."""
        for name in ("runs", "events", "messages", "checkpoints", "requests"):
            setattr(self, name, getattr(self, name) + getattr(chunk, name))


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a tree may go."""

    pk: int
    runs: int
    living: str | None
    interrupted: str | None
    last_active: int


Told = Callable[[Taken], None]
T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    some: list[T] = []
    for item in items:
        some.append(item)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def standing(ledger: "Ledger", run_id: str) -> Standing:
    """How the tree of a root stands. Raises `NotFound`, and `InvalidInput` for a run that is no root."""
    run = ledger.get_run(run_id)
    if run.root_run_id != run_id:
        raise InvalidInput(
            f"run {run_id} is part of a tree; only whole trees are removed: {run.root_run_id}",
            hint=f"runstone runs rm {run.root_run_id}",
        )
    pk = ledger.reader.runs.pk(run_id)
    count, living, interrupted, last = ledger.reader.rows("standing_of_tree", root=pk)[0]
    return Standing(pk=pk, runs=count, living=living, interrupted=interrupted, last_active=last)


def require_over(ledger: "Ledger", run_id: str) -> Standing:
    """The tree's standing. Raises `IllegalTransition` if a run of it has not ended."""
    found = standing(ledger, run_id)
    if found.living is not None:
        status = ledger.get_run(found.living).status
        process = ", but a process of it may still run" if status == "interrupted" else ""
        raise IllegalTransition(
            f"run {found.living} is {status}{process}; only ended trees are removed",
            hint="end it first: runstone runs stop RUN",
            run_id=found.living,
        )
    return found


class Removal:
    """Takes trees, one after the other. `taken` counts; `told` hears of it after each transaction."""

    def __init__(self, ledger: "Ledger", told: Told | None = None) -> None:
        self.ledger = ledger
        self.taken = Taken()
        self._told = told or (lambda taken: None)
        self._loose: set[str] = set()

    def prune(self, run_id: str) -> int:
        """Removes events, messages and checkpoints of an ended tree; rows and totals stay. Gives how many runs."""
        runs = self._runs(run_id)
        self._work(PruneRun, runs)
        self.collect(self._loose)
        self.taken.trees += 1
        return len(runs)

    def remove(self, run_id: str) -> int:
        """Removes an ended tree; gives how many runs. Raises what refused it, where somebody resumed it meanwhile."""
        runs = self._runs(run_id)
        if len(runs) > 1:
            self.ledger.core.submit(PruneRun(run_id), []).result()  # its tombstone says what befell the rest
        for _, level in groupby(runs, key=lambda run: run[2]):
            for some in chunks(level, WINDOW):
                self._work(RemoveRun, some)
                for (
                    run
                ) in some:  # what was printed is in the ledger; `space.sweep` finds what a kill leaves here
                    ExecFolder(self.ledger.workspace.folder, run[1]).remove()
        self.collect(self._loose)
        self.taken.trees += 1
        return len(runs)

    def _runs(self, run_id: str) -> list[Any]:
        """(key, id, depth) of the tree's runs, children before their parents."""
        return self.ledger.reader.rows("runs_of_tree", root=require_over(self.ledger, run_id).pk)

    def _work(self, write: type[PruneRun] | type[RemoveRun], runs: Sequence[Any]) -> None:
        """Writes as often as there is more."""
        left = deque(run[1] for run in runs)
        while left:
            window = [left.popleft() for _ in range(min(WINDOW, len(left)))]
            left.extendleft(reversed(self._once(write, window)))

    def _once(self, write: type[PruneRun] | type[RemoveRun], run_ids: list[str]) -> list[str]:
        """One write for each, in one transaction; those of which more is left."""
        limit = max(CHUNK // len(run_ids), LEAST)
        started = time.monotonic()
        receipts = [self.ledger.core.submit(write(run_id, limit), []) for run_id in run_ids]
        more, refused = [], None
        for run_id, receipt in zip(run_ids, receipts, strict=True):
            try:
                chunk = receipt.result()
            except RunstoneError as error:
                refused = refused or error
                continue
            self.taken.add(chunk)
            self._loose |= chunk.refs
            if chunk.more:
                more.append(run_id)
        self._rest(started)
        if refused is not None:
            raise refused
        if len(self._loose) >= DIGESTS:
            self.collect(self._loose)
        return more

    def collect(self, digests: Iterable[str]) -> None:
        """Removes those of the blobs that nobody refers to any more."""
        for some in chunks(sorted(digests), DIGESTS):
            left = list(some)
            while left:  # the first of them goes each time, however large it is
                started = time.monotonic()
                count, size, left = self.ledger.core.submit(CollectBlobs(left), []).result()
                self.taken.blobs += count
                self.taken.blob_bytes += size
                self._rest(started)
        self._loose = set()

    def _rest(self, started: float) -> None:
        self._told(self.taken)
        time.sleep(REST * (time.monotonic() - started))
