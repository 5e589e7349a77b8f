"""Deliveries: ends are taken in hand, given back, and acknowledged, also together with what was made of them."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.deliveries import PARENT, Standing, check_acknowledged, is_free
from runstone.errors import InvalidInput
from runstone.store.base import Row, Write
from runstone.store.batch import Batch


class Meant(msgspec.Struct, frozen=True, kw_only=True):
    """Runs by their keys: children of a run, a tree, those of a thread, and single ones."""

    parent: int | None = None
    root: int | None = None
    thread: str | None = None
    runs: tuple[int, ...] = ()

    def params(self, listener: str) -> dict[str, Any]:
        """Parameters of the statement `pending_ends`."""
        keys = codec.encode(list(self.runs)).decode()
        return {
            "parent": self.parent,
            "root": self.root,
            "thread": self.thread,
            "runs": keys,
            "listener": listener,
        }


class End(msgspec.Struct, frozen=True):
    """The end of an attempt."""

    run_id: str
    attempt: int


def free(rows: Iterable[Row], now: int, dead: Collection[str]) -> list[Row]:
    """Rows of `pending_ends` that nobody has in hand."""
    return [row for row in rows if is_free(row[2], row[3], now, dead)]


class TakeEnds(Write):
    """Takes ends in hand that the listener has not acknowledged, for a while. The value: which."""

    __slots__ = ("dead", "hold_us", "holder", "limit", "listener", "meant")

    def __init__(
        self, listener: str, meant: Meant, *, holder: str, hold_us: int, limit: int, dead: Collection[str]
    ) -> None:
        self.listener = listener
        self.meant = meant
        self.holder = holder
        self.hold_us = hold_us
        self.limit = limit
        self.dead = dead

    def decide(self, batch: Batch) -> list[End]:
        rows = batch.read("pending_ends", **self.meant.params(self.listener))
        taken = free(rows, batch.now, self.dead)[: self.limit]
        for _, attempt, _, _, pk in taken:
            batch.stage("hold_end", pk, self.listener, attempt, batch.now + self.hold_us, self.holder)
        return [End(run_id, attempt) for run_id, attempt, *_ in taken]


class Release(Write):
    """Gives an end back that this holder has in hand; one that it has no more stays as it is."""

    __slots__ = ("end", "holder", "listener")

    def __init__(self, listener: str, end: End, *, holder: str) -> None:
        self.listener = listener
        self.end = end
        self.holder = holder

    def decide(self, batch: Batch) -> None:
        head = batch.head(self.end.run_id)
        batch.stage("release_end", head.pk, self.listener, self.end.attempt, self.holder)


class Acknowledge(Write):
    """Acknowledges ends, with another write if there is one: all of it, or nothing. The value is that write's.

    A parent's own acknowledgement carries its attempt, as all of its writes do.
    """

    __slots__ = ("dead", "ends", "holder", "listener", "parent", "size", "write")

    def __init__(
        self,
        listener: str,
        ends: Iterable[End],
        *,
        holder: str = "",
        dead: Collection[str] = (),
        parent: tuple[str, int] | None = None,
        write: Write | None = None,
    ) -> None:
        self.listener = listener
        self.ends = list(dict.fromkeys(ends))
        self.holder = holder
        self.dead = dead
        self.parent = parent
        self.write = write
        self.size = 256 * len(self.ends) + (0 if write is None else write.size)

    def decide(self, batch: Batch) -> Any:
        if self.parent is not None:
            runs.check_fence(batch.head(self.parent[0]), self.parent[1])
        keys = [self._checked(batch, end) for end in self.ends]
        value = None if self.write is None else self.write.decide(batch)
        for pk, end in zip(keys, self.ends, strict=True):
            batch.stage("acknowledge_end", pk, self.listener, end.attempt, batch.now)
        return value

    def _checked(self, batch: Batch, end: End) -> int:
        head = batch.head(end.run_id)
        if self.listener == PARENT and (self.parent is None or head.parent_run_id != self.parent[0]):
            raise InvalidInput(f"run {end.run_id} is no child of this run")
        found = batch.read("acknowledgement_of", run=head.pk, listener=self.listener)
        known = Standing(*found[0]) if found else Standing()
        check_acknowledged(end.run_id, end.attempt, known, holder=self.holder, now=batch.now, dead=self.dead)
        return head.pk
