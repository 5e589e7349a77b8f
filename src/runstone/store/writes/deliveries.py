"""Deliveries: ends are taken in hand, given back, and acknowledged, also together with what was made of them."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.deliveries import PARENT, Standing, check_acknowledged
from runstone.domain.runs import Head
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
        """Parameters of the statements about them."""
        keys = codec.encode(list(self.runs)).decode()
        return {
            "parent": self.parent,
            "root": self.root,
            "thread": self.thread,
            "runs": keys,
            "listener": listener,
        }


class End(msgspec.Struct, frozen=True):
    """The end of an attempt; one that was stopped before its next try ended again."""

    run_id: str
    attempt: int
    ended_at: int


class TakeEnds(Write):
    """Takes ends in hand, for a while, of the runs (by their keys) in which a reader saw some. The value: which."""

    __slots__ = ("dead", "hold_us", "holder", "listener", "seen")

    def __init__(
        self, listener: str, seen: Collection[int], *, holder: str, hold_us: int, dead: Collection[str]
    ) -> None:
        self.listener = listener
        self.seen = tuple(seen)
        self.holder = holder
        self.hold_us = hold_us
        self.dead = dead

    def decide(self, batch: Batch) -> list[End]:
        rows = batch.read(
            "pending_ends", **free_ends(self.listener, Meant(runs=self.seen), batch.now, self.dead)
        )
        for _, attempt, _, pk in rows:
            batch.stage("hold_end", pk, self.listener, attempt, batch.now + self.hold_us, self.holder)
        return ends_of(rows)


def free_ends(
    listener: str, meant: Meant, now: int, dead: Collection[str], limit: int = -1
) -> dict[str, Any]:
    """Parameters of the statement `pending_ends`; `dead` are processes whose ends in hand are free again."""
    return meant.params(listener) | {"now": now, "dead": codec.encode(list(dead)).decode(), "limit": limit}


def ends_of(rows: Iterable[Row]) -> list[End]:
    """What the statement `pending_ends` found."""
    return [End(run_id, attempt, ended_at) for run_id, attempt, ended_at, _ in rows]


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
        found = [self._checked(batch, end) for end in self.ends]
        value = None if self.write is None else self.write.decide(batch)
        for head, end in zip(found, self.ends, strict=True):
            # An end that came after this one in the same attempt is yet to be told: it lies after what is acknowledged.
            passed = head.attempt == end.attempt and (head.completed_at or 0) > end.ended_at
            at = end.ended_at if passed else max(batch.now, end.ended_at)
            batch.stage("acknowledge_end", head.pk, self.listener, end.attempt, at)
        return value

    def _checked(self, batch: Batch, end: End) -> Head:
        head = batch.head(end.run_id)
        if self.listener == PARENT and (self.parent is None or head.parent_run_id != self.parent[0]):
            raise InvalidInput(f"run {end.run_id} is no child of this run")
        found = batch.read("acknowledgement_of", run=head.pk, listener=self.listener)
        known = Standing(*found[0]) if found else Standing()
        check_acknowledged(
            end.run_id, end.attempt, known,
            ended_at=end.ended_at, holder=self.holder, now=batch.now, dead=self.dead,
        )  # fmt: skip
        return head
