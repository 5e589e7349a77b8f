"""Observed runs: what is reported of them from elsewhere, and the leases that reports extend."""

from typing import Any, Final

import msgspec

from runstone.domain import observed, runs
from runstone.domain.runs import Head
from runstone.errors import RunMismatch
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes.events import Append, NewEvent
from runstone.store.writes.lifecycle import (
    EndRun,
    InterruptRun,
    NewRun,
    Owner,
    check_whole,
    create,
    end_attempt,
    start,
)

ACCEPTED: Final = "accepted"
REPEATED: Final = "repeated"
LATE: Final = "late"
"""What became of a report: taken; known already; or told so late that it changed no status."""


class Told(msgspec.Struct, frozen=True):
    """What became of a report, and where its event is."""

    outcome: str
    seq: int | None = None
    position: int | None = None


class ObserveRun(Write):
    """Makes the run that a report names, or finds it. The value is `Told`.

    `named` are the fields that the report gives: those of a run that is there must be the same.
    """

    __slots__ = ("named", "new", "size")

    def __init__(self, new: NewRun, named: frozenset[str]) -> None:
        self.new = new
        self.named = named
        self.size = 2000 + sum(len(blob[3]) for blob in new.blobs)

    def decide(self, batch: Batch) -> Told:
        head = batch.find(self.new.run_id)
        if head is None:
            made = create(batch, self.new)
            return Told(ACCEPTED, made.last_seq)
        self.check(head)
        return Told(REPEATED)

    def check(self, head: Head) -> None:
        """Raises `RunMismatch` where the run that is there is another one than the report names."""
        for name in ("kind", "agent_id", "parent_run_id", "input_ref"):
            asked = self.new.kind if name == "kind" else self.new.identity.get(name)
            if name in self.named and getattr(head, name) != asked:
                raise RunMismatch(
                    f"run {head.run_id} exists with another {name}", run_id=head.run_id, field=name
                )


class ReportStatus(Write):
    """How an observed run stands since `at`; `of` says which run it is. The value is `Told`.

    Raises `NotObserved`, `IllegalTransition`, `RunMismatch`.
    """

    __slots__ = ("at", "blob", "of", "payload", "run_id", "size", "status")

    def __init__(
        self, of: ObserveRun, status: str, at: int, payload: dict[str, Any], *, blob: Row | None = None
    ) -> None:
        self.of = of
        self.run_id = of.new.run_id
        self.status = status
        self.at = at
        self.payload = payload
        self.blob = blob
        self.size = 1000 + (len(blob[3]) if blob else 0)

    def decide(self, batch: Batch) -> Told:
        head = batch.head(self.run_id)
        self.of.check(head)
        observed.check_observed(head)
        runs.check_here(head)
        times = batch.read("attempt_times", run=head.pk, number=head.attempt)
        began, ended = times[0] if times else (None, None)
        moves = observed.moves(head, self.status, self.at, began=began, ended=ended)
        if not moves:
            extend(batch, head, self.at)
            return Told(REPEATED if head.status == self.status else LATE)
        for event_type in moves:
            self._move(batch, head, event_type)
        return Told(ACCEPTED, head.last_seq)

    def _move(self, batch: Batch, head: Head, event_type: str) -> None:
        if event_type == "run.resumed":
            ready(batch, head, self.at)
        elif event_type == "run.started":
            start(batch, head, owner_of(head), {}, at=self.at)
        elif event_type == "run.interrupted":
            reason = self.payload.get("reason") or "its reporter says so"
            InterruptRun(self.run_id, head.attempt, reason, at=self.at).decide(batch)
        elif runs.MOVES[event_type][1] in runs.ENDED:
            EndRun(self.run_id, head.attempt, event_type, self.payload, blob=self.blob, at=self.at).decide(
                batch
            )
        else:
            end_attempt(batch, head, event_type, self.payload, at=self.at)


class ReportEvents(Append):
    """Events of a run, each kept once by its key. The value lists `Told`. They are news of an observed run."""

    __slots__ = ()

    def __init__(self, run_id: str, events: list[NewEvent]) -> None:
        super().__init__(run_id, None, events)
        self.light = False  # it opens attempts

    def decide(self, batch: Batch) -> list[Told]:  # type: ignore[override]
        head = batch.head(self.run_id)
        runs.check_here(head)
        known = self._known(batch, head)
        told: list[Told] = []
        for event in self.events:
            found = known.get(event.event_key) if event.event_key is not None else None
            if found is not None:
                told.append(Told(REPEATED, *found))
                continue
            hear(batch, head, event.at)
            seq, position = self._append(batch, head, event)
            if event.event_key is not None:
                known[event.event_key] = (seq, position)
            told.append(Told(ACCEPTED, seq, position))
        extend(batch, head, max(event.at for event in self.events))
        return told


class Reported(Write):
    """Usage or messages of a run, and that it was heard of. The value is `Told`.

    With a `key` it is done once. `news` says that it shows a run that lives: what is spent may be told of long after.
    """

    __slots__ = ("at", "inner", "key", "news", "run_id", "size")

    def __init__(
        self, inner: Write, run_id: str, at: int, *, key: str | None = None, news: bool = False
    ) -> None:
        self.inner = inner
        self.run_id = run_id
        self.at = at
        self.key = key
        self.news = news
        self.size = inner.size

    def decide(self, batch: Batch) -> Told:
        head = batch.head(self.run_id)
        if self.key is not None:
            found = batch.read("event_by_key", run=head.pk, event_key=self.key)
            if found:
                return Told(REPEATED, *found[0])
        if self.news:
            hear(batch, head, self.at)
        new = self.inner.decide(batch)
        extend(batch, head, self.at)
        if new is False:
            return Told(REPEATED)
        return Told(ACCEPTED, head.last_seq, batch.cache.next["events"] - 1)


def hear(batch: Batch, head: Head, at: int) -> None:
    """Opens the next attempt of an observed run that fell silent, where this happened after that."""
    if observed.is_news(head, at):
        ready(batch, head, at)
        start(batch, head, owner_of(head), {}, at=at)


def ready(batch: Batch, head: Head, at: int) -> None:
    """Stages `run.resumed` of an observed run."""
    check_whole(batch, head)
    batch.stage("delete_waits", head.pk)
    batch.record(head, "run.resumed", {"reason": "reported", "from": head.status}, at=at)


def extend(batch: Batch, head: Head, at: int) -> None:
    """A report was heard of a run: its lease lasts from then on, if it is an observed one that lives."""
    if head.status != "running" or head.owner != observed.OWNER:
        return
    silent_us = observed.silent_after_us(head)
    if silent_us is not None:
        batch.stage("extend_lease", head.pk, at + silent_us)


def owner_of(head: Head) -> Owner:
    """The owner of a reported attempt: no process, and a lease as long as its reporter may be silent."""
    silent_us = observed.silent_after_us(head)
    assert silent_us is not None
    return Owner(observed.OWNER, '{"observed":true}', silent_us)
