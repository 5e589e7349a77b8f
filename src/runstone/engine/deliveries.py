"""Telling listeners of ends: each end until it is acknowledged, and never after that."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from runstone.domain.bounds import asked_id
from runstone.domain.deliveries import PARENT, check_listener
from runstone.domain.records import AgentRun, at
from runstone.domain.runs import ENDED
from runstone.engine.core import Core
from runstone.engine.liveness import identity_of
from runstone.engine.processes import identify_self, is_alive
from runstone.errors import InvalidInput, NotFound
from runstone.store.base import Write
from runstone.store.reads import Reader
from runstone.store.writer import Receipt
from runstone.store.writes.deliveries import Acknowledge, End, Meant, Release, TakeEnds, ends_of, free_ends

_MOST: Final = 10_000
"""Ends that one call gives; a write that takes more would last too long."""

_LOOK_S: Final = 1.0
"""What another process had in hand is free again without a word, so look now and then anyway."""


class Delivery:
    """The end of a run, told to a listener: `run` as it ended, and its `result`. It is told again until `ack`.

    As a context manager it acknowledges when the block ends, and gives the end back where the block failed.
    """

    def __init__(
        self, core: Core, listener: str, run: AgentRun, end: End, *, parent: tuple[str, int] | None = None
    ) -> None:
        self.listener = listener
        self.run = run
        self.end = end
        """What is acknowledged."""
        self._core = core
        self._parent = parent

    @property
    def result(self) -> Any:
        """The run's whole result; None if it has none. Raises `NotFound` where the run was removed meanwhile."""
        return self._core.reader.values.json(self.run.result_ref)

    def ack(self) -> Receipt:
        """Acknowledges the end. `AlreadyDelivered` refuses it where this was done, or another process has it now."""
        write = Acknowledge(
            self.listener, [self.end], holder=holder(), dead=_dead_holder(self._core.reader, self),
            parent=self._parent,
        )  # fmt: skip
        return self._core.submit(write)

    def release(self) -> Receipt:
        """Gives the end back: the next call is told of it again."""
        return self._core.submit(Release(self.listener, self.end, holder=holder()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self.ack() if error is None else self.release()).result()


def holder() -> str:
    """This process, as it is stored beside what it has in hand."""
    return msgspec.json.encode(identify_self()).decode()


def meant(
    reader: Reader,
    *,
    run_id: str | Iterable[str] | None = None,
    parent: str | None = None,
    root: str | None = None,
    thread_id: str | None = None,
) -> Meant:
    """The runs that a listener names, at least one of these ways. Raises `InvalidInput` and `NotFound`."""
    if run_id is None and parent is None and root is None and thread_id is None:
        raise InvalidInput("say whose ends are meant: run_id, parent, root or thread_id")
    ids = () if run_id is None else (run_id,) if isinstance(run_id, str) else tuple(run_id)
    return Meant(
        parent=None if parent is None else reader.runs.pk(parent),
        root=None if root is None else reader.runs.pk(root),
        thread=None if thread_id is None else asked_id("a thread's id", thread_id),
        runs=tuple(reader.runs.pk(one) for one in ids),
    )


def take_ends(
    core: Core,
    listener: str,
    runs: Meant,
    *,
    limit: int = 100,
    hold_s: float = 60.0,
    timeout: float | None = 0.0,
) -> list[Delivery]:
    """Ends that the listener has not acknowledged and no process of it has in hand; waits until there is one."""
    check_listener(listener)
    limit = _checked_limit(limit)
    if not 0 < hold_s < 1e9:
        raise InvalidInput(f"hold_s is a number of seconds above 0, not {hold_s!r:.80}")
    changed = threading.Event()
    number = core.signals.subscribe(None, changed.set)
    until = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            changed.clear()
            if found := _take(core, listener, runs, limit, hold_s):
                return found
            left = _LOOK_S if until is None else until - time.monotonic()
            if left <= 0:
                return []
            changed.wait(min(_LOOK_S, left))
    finally:
        core.signals.unsubscribe(number)


def _checked_limit(limit: int) -> int:
    """The limit, at most what one call gives. Raises `InvalidInput`."""
    if type(limit) is not int or limit < 1:
        raise InvalidInput(f"limit is a whole number from 1, not {limit!r:.80}")
    return min(limit, _MOST)


def _take(core: Core, listener: str, runs: Meant, limit: int, hold_s: float) -> list[Delivery]:
    """Looks as a reader, so that nobody waits for it, and takes what it saw in a write that is short however many runs
    are meant."""
    now = core.now()
    holders = core.reader.rows("holders_of", **runs.params(listener), now=now)
    dead = [one for (one,) in holders if _is_dead(one)]
    rows = core.reader.rows("pending_ends", **free_ends(listener, runs, now, dead, limit))
    if not rows:
        return []
    write = TakeEnds(
        listener, [row[3] for row in rows], holder=holder(), hold_us=int(hold_s * 1e6), dead=frozenset(dead)
    )
    return _delivered(core, listener, core.submit(write, []).result())


def of_parent(core: Core, run_id: str, attempt: int, limit: int = 100) -> list[Delivery]:
    """Ends of a run's children that it has not acknowledged; its lease says that nobody else has them in hand."""
    children = Meant(parent=core.reader.runs.pk(run_id))
    chosen = free_ends(PARENT, children, core.now(), (), _checked_limit(limit))
    rows = core.reader.rows("pending_ends", **chosen)
    return _delivered(core, PARENT, ends_of(rows), parent=(run_id, attempt))


def acknowledging(write: Write | None, run_id: str, attempt: int, ends: Iterable[Delivery]) -> Acknowledge:
    """A parent's write that acknowledges ends of its children in the same transaction."""
    told = list(ends)
    for one in told:
        if not isinstance(one, Delivery) or one.listener != PARENT:
            raise InvalidInput("acknowledge= takes what run.finished_children() gave")
    return Acknowledge(PARENT, [one.end for one in told], parent=(run_id, attempt), write=write)


def _delivered(
    core: Core, listener: str, ends: Iterable[End], *, parent: tuple[str, int] | None = None
) -> list[Delivery]:
    """The ends with their runs; a run that was resumed or removed in this moment has another end, or none."""
    found = []
    for end in ends:
        try:
            run = core.reader.runs.get(end.run_id)
        except NotFound:
            continue
        if run.attempt == end.attempt and run.status in ENDED and run.completed_at == at(end.ended_at):
            found.append(Delivery(core, listener, run, end, parent=parent))
    return found


def _dead_holder(reader: Reader, told: Delivery) -> list[str]:
    """The process that has the end in hand, if it is proven dead."""
    found = reader.rows("acknowledgement_of", run=reader.runs.pk(told.run.id), listener=told.listener)
    return [row[3] for row in found if row[3] is not None and _is_dead(row[3])]


def _is_dead(holder_json: str) -> bool:
    identity = identity_of(msgspec.json.decode(holder_json))
    return identity is not None and is_alive(identity) is False
