"""A run's life: created, claimed, parked, resumed, ended, interrupted."""

from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.inputs import BUDGET_KEY
from runstone.domain.runs import Head
from runstone.errors import IllegalTransition, InvalidInput, OrphanAlive, RunIsLive, RunMismatch
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes import dispatching, inputs, limits, lineage, orders, texts, waits


class NewRun(msgspec.Struct, kw_only=True):
    """A run on its way in. `identity` is the payload of `run.created`; blobs are packed rows."""

    run_id: str
    kind: str
    identity: dict[str, Any]
    blobs: list[Row] = []
    prompt: str | None = None
    at: int | None = None


class Owner(msgspec.Struct, frozen=True):
    """Who holds an attempt: a text id, its identity as JSON, and how long its leases last."""

    owner: str
    identity_json: str
    lease_us: int


class Claimed(msgspec.Struct, frozen=True):
    """What a claim gives: the head as it is now, and whether the run was created by this write."""

    head: Head
    created: bool = False
    continues: bool = False
    """The run was parked and woken: the attempt goes on with the try of the one before."""


def create(batch: Batch, new: NewRun, known_parent: Head | None = None) -> Head:
    """Stages the run, its `run.created`, and `child.started` of its parent. Reads first.

    With `known_parent` the id is one that Runstone made itself, so nobody can have named it before.
    """
    parent_id = new.identity.get("parent_run_id")
    if parent_id == new.run_id:
        raise InvalidInput(f"run {new.run_id} cannot be its own parent", run_id=new.run_id)
    parent = known_parent or (batch.find(parent_id) if parent_id else None)
    orphans = lineage.Orphans(batch, new.run_id, parent) if known_parent is None else None
    head = batch.new_head(run_id=new.run_id, kind=new.kind)
    head.parent = parent.pk if parent is not None else None
    head.root = parent.root if parent is not None else head.pk
    identity = {
        "kind": new.kind,
        **new.identity,
        "root_run_id": parent.root_run_id if parent is not None else new.run_id,
        "depth": parent.depth + 1 if parent is not None else 0,
    }
    for blob in new.blobs:
        batch.put_blob(blob)
    batch.record(head, "run.created", identity, at=new.at)
    texts.of_new_run(batch, head, new.prompt)
    if parent is not None:
        child = {
            "child_run_id": head.run_id,
            "agent_id": head.agent_id,
            "key": head.child_key,
            "phase": head.phase,
        }
        batch.record(
            parent, "child.started", {name: value for name, value in child.items() if value is not None}
        )
    if orphans is not None and orphans.heads:
        orphans.attach(batch, head)
    return head


def check_same(head: Head, new: NewRun) -> None:
    """Raises `RunMismatch` unless the existing run is the one that is asked for again."""
    for name in ("agent_id", "definition_id", "input_ref"):
        have, asked = getattr(head, name), new.identity.get(name)
        if have != asked:
            raise RunMismatch(f"run {head.run_id} exists with another {name}", run_id=head.run_id, field=name)
    if head.kind != new.kind:
        raise RunMismatch(
            f"run {head.run_id} exists with kind {head.kind}, not {new.kind}", run_id=head.run_id
        )


class CreateRun(Write):
    """Creates the run, or finds it: creation under a caller's id is idempotent. The value is `Claimed`."""

    __slots__ = ("new", "size")

    def __init__(self, new: NewRun) -> None:
        self.new = new
        self.size = 2000 + sum(len(blob[3]) for blob in new.blobs)

    def decide(self, batch: Batch) -> Claimed:
        head = batch.find(self.new.run_id)
        if head is not None:
            check_same(head, self.new)
            runs.check_here(head)
            return Claimed(_copy(head))
        return Claimed(_copy(create(batch, self.new)), created=True)


class QueueRun(CreateRun):
    """Creates the run as `CreateRun` does, with the order that whichever process has an engine starts it."""

    __slots__ = ("by", "command_id")

    def __init__(self, new: NewRun, command_id: str, by: str | None) -> None:
        super().__init__(new)
        self.command_id = command_id
        self.by = by

    def decide(self, batch: Batch) -> Claimed:
        claimed = super().decide(batch)
        if claimed.created:
            head = batch.head(self.new.run_id)
            orders.give(batch, head, self.command_id, "start", payload={}, by=self.by)
        return claimed


class OpenRun(Write):
    """Creates a run and opens its first attempt in one transaction. The value is `Claimed`."""

    __slots__ = ("new", "owner", "payload", "size")

    def __init__(self, new: NewRun, owner: Owner, cwd: str | None = None) -> None:
        self.new = new
        self.owner = owner
        self.payload = {"cwd": cwd} if cwd else {}
        self.size = 2000 + sum(len(blob[3]) for blob in new.blobs)

    def decide(self, batch: Batch) -> Claimed:
        head = batch.find(self.new.run_id)
        if head is None:
            head = create(batch, self.new)
            start(batch, head, self.owner, self.payload)
            return Claimed(_copy(head), created=True)
        check_same(head, self.new)
        if head.status == "running":
            raise is_live(batch, head)
        runs.check_move(head, "run.started")  # a created run that nobody began yet may be opened
        if head.attempt:  # what it has saved, and answers that came, would not be given
            raise IllegalTransition(
                f"run {head.run_id} has begun already",
                hint="go on with it: ledger.continue_run",
                run_id=head.run_id,
                status=head.status,
            )
        ordered = orders.open_of(batch, head)
        start(batch, head, self.owner, self.payload)
        orders.taken(batch, head, ordered)
        return Claimed(_copy(head))


def start(batch: Batch, head: Head, owner: Owner, payload: dict[str, Any], *, at: int | None = None) -> None:
    """Stages the next attempt: `run.started`, the attempt's row and its lease; it began now, or `at`."""
    number, at = head.attempt + 1, batch.now if at is None else at
    batch.stage("insert_owner", owner.owner, owner.identity_json, batch.now)
    seq, _ = batch.record(
        head, "run.started", {"attempt": number, "owner": owner.owner, **payload}, at=at, attempt=number
    )
    batch.stage("insert_attempt", head.pk, number, owner.owner, at, seq)
    batch.stage("insert_lease", head.pk, number, owner.owner, at + owner.lease_us)


class ClaimRun(Write):
    """Opens the next attempt of a run that is ready, resuming it first where it is parked or ended.

    `expect` names the statuses that the claimer decided on; another one is refused with `RunIsLive` or
    `IllegalTransition`, so that of two claimers one wins. `limit` is the phase's concurrency. With `adopts` the claimer
    goes on with the living process of an earlier attempt, in the same try. `dispatch` is the number under which a
    worker was handed the run; one that is over is refused with `DispatchOver`. The value is `Claimed`.
    """

    __slots__ = ("adopts", "dispatch", "expect", "limit", "options", "owner", "payload", "reason", "run_id")

    def __init__(
        self,
        run_id: str,
        owner: Owner,
        *,
        expect: frozenset[str] = frozenset({"pending"}),
        reason: str | None = None,
        options: dict[str, Any] | None = None,
        limit: int | None = None,
        payload: dict[str, Any] | None = None,
        adopts: bool = False,
        dispatch: int | None = None,
    ) -> None:
        self.run_id = run_id
        self.owner = owner
        self.adopts = adopts
        self.dispatch = dispatch
        self.expect = expect
        self.reason = reason
        self.options = options
        self.limit = limit
        self.payload = payload or {}

    def decide(self, batch: Batch) -> Claimed:
        head = batch.head(self.run_id)
        if self.dispatch is not None:
            dispatching.check(batch, head, self.dispatch)
        if head.status == "running":
            raise is_live(batch, head)
        if head.status not in self.expect:
            runs.check_move(head, "run.started")  # says what is wrong with the status
        if not self.adopts:
            self._check_free(batch, head)
        ordered = orders.open_of(batch, head)
        woken = head.status == "pending" and head.attempt > 0 and head.status_reason in runs.WOKEN
        continues = woken or self.adopts
        resume(batch, head, self.reason, self.options)
        start(batch, head, self.owner, self.payload | ({"continues": True} if continues else {}))
        orders.taken(batch, head, ordered)
        return Claimed(_copy(head), continues=continues)

    def _check_free(self, batch: Batch, head: Head) -> None:
        """Raises what keeps something new from beginning: a cap, or a process of an earlier attempt."""
        limits.check(batch, head, self.limit)
        if head.attempt and (left := batch.read("unended_processes", run=head.pk)):
            raise OrphanAlive(
                f"{len(left)} process group(s) of attempt {left[0][2]} of run {self.run_id} may not have ended",
                run_id=self.run_id,
            )


def is_live(batch: Batch, head: Head) -> RunIsLive:
    """The error that says who has the run. Reads."""
    rows = batch.read("owner_identity", owner=head.owner)
    who = codec.decode(rows[0][0]) if rows else {}
    named = f"process {who['pid']} on {who.get('host', 'this host')}" if "pid" in who else f"{head.owner}"
    return RunIsLive(
        f"run {head.run_id} is running: {named} works on it, in attempt {head.attempt}",
        run_id=head.run_id,
        attempt=head.attempt,
        owner=head.owner,
        pid=who.get("pid"),
        host=who.get("host"),
    )


def resume(batch: Batch, head: Head, reason: str | None, options: dict[str, Any] | None = None) -> None:
    """Stages `run.resumed` unless the run is pending already."""
    if head.status == "pending" and options is None:
        return
    check_whole(batch, head)
    payload: dict[str, Any] = {"reason": reason, "from": head.status}
    if options is not None:
        payload["options"] = options
        asked = [row for row in inputs.open_of(batch, head) if str(row[4] or "").startswith(BUDGET_KEY)]
        inputs.withdraw(batch, head, asked)
    if head.status == "pending":
        batch.record(head, "run.updated", {"options": options})
        return
    batch.stage("delete_waits", head.pk)
    batch.record(head, "run.resumed", payload)


def check_whole(batch: Batch, head: Head) -> None:
    """Raises `RunMoved` for a run that goes on elsewhere, also one that had ended in a tree which does, and
    `IllegalTransition` for one whose removal was cut off between its checkpoints and what they hold.
    """
    runs.check_here(head)
    if head.status in runs.ENDED and (rows := batch.read("moved_in_tree", root=head.root)):
        raise runs.moved(head.run_id, f"of a tree that was {rows[0][0]}")
    if head.attempt and batch.read("half_removed", run=head.pk)[0][0]:
        raise IllegalTransition(
            f"run {head.run_id} was being removed, and a part of its saved state is gone",
            hint=f"finish that: runstone runs rm {head.root_run_id}",
            run_id=head.run_id,
        )


class ResumeRun(Write):
    """Makes a parked or ended run ready to go on, for whatever worker claims it. The value is the head.

    One that has another status than those of `expect`, or another `attempt` than that, is left as it is.
    """

    __slots__ = ("attempt", "expect", "options", "reason", "run_id")

    def __init__(
        self,
        run_id: str,
        reason: str | None,
        *,
        expect: frozenset[str] | None = None,
        options: dict[str, Any] | None = None,
        attempt: int | None = None,
    ) -> None:
        self.run_id = run_id
        self.reason = reason
        self.expect = expect
        self.options = options
        self.attempt = attempt

    def decide(self, batch: Batch) -> Head:
        head = batch.head(self.run_id)
        same = self.attempt is None or head.attempt == self.attempt
        if same and (self.expect is None or head.status in self.expect):
            resume(batch, head, self.reason, self.options)
        return _copy(head)


class EndRun(Write):
    """Ends the open attempt and the run: `run.completed`, `run.failed` or `run.cancelled`.

    Only the owner writes it (`attempt` is the fence); a person's stop of a run that nobody holds comes with None. In
    the same transaction: the attempt's row, the lease, the card's claim, parents that wait, open questions and orders,
    children that the code did not ask for again (`claimed` is the set of keys that it did), and events of its own
    (`before`).
    """

    __slots__ = ("at", "attempt", "before", "blob", "claimed", "event_type", "payload", "run_id", "size")

    def __init__(
        self,
        run_id: str,
        attempt: int | None,
        event_type: str,
        payload: dict[str, Any],
        *,
        blob: Row | None = None,
        claimed: list[int] | None = None,
        before: list[tuple[str, dict[str, Any]]] | None = None,
        at: int | None = None,
    ) -> None:
        self.run_id = run_id
        self.at = at  # when it ended, where that was before now
        self.attempt = attempt
        self.event_type = event_type
        self.payload = payload
        self.blob = blob
        self.claimed = claimed
        self.before = before or []
        self.size = 1000 + (len(blob[3]) if blob else 0)

    def decide(self, batch: Batch) -> Head:
        head = batch.head(self.run_id)
        if self.attempt is not None:
            runs.check_fence(head, self.attempt)
        runs.check_move(head, self.event_type)
        woken = waits.met_by(batch, head)
        leftover = waits.unclaimed(batch, head, self.claimed) if self.claimed is not None else []
        cards = lineage.cards_of(batch, head)
        questions = inputs.open_of(batch, head)
        ordered = orders.open_of(batch, head)
        for event_type, payload in self.before:
            batch.record(head, event_type, payload)
        inputs.withdraw(batch, head, questions)
        payload = dict(self.payload)
        if self.blob is not None:
            payload["result_ref"] = batch.put_blob(self.blob)
        end_attempt(batch, head, self.event_type, payload, at=self.at)
        texts.of_ended_run(batch, head, (payload.get("error") or {}).get("message"))
        lineage.release_cards(batch, cards, done=head.status == "completed")
        orders.settle(batch, head, ordered)
        for child in leftover:
            batch.record(child, "run.superseded", {})
        waits.wake(batch, woken)
        return _copy(head)


def end_attempt(
    batch: Batch, head: Head, event_type: str, payload: dict[str, Any], *, at: int | None = None
) -> None:
    """Stages a status event that ends the open attempt (now, or `at`), with the attempt's row and the lease."""
    open_, number, error = head.live, head.attempt, payload.get("error") or {}
    at = batch.now if at is None else at
    batch.record(head, event_type, payload, at=at, attempt=number)
    for child in filter(None, map(batch.find, error.get("caused_by", ()))):
        batch.stage("mark_unhandled", head.pk, child.pk)
    if head.status in runs.ENDED and head.parent is not None:
        _tell_parent(batch, head, batch.head_at(head.parent))
    if open_:
        outcome = "failed" if error else head.status
        reason = error.get("message") or payload.get("reason")
        batch.stage("end_attempt", head.pk, number, at, outcome, reason and str(reason)[:1000])
        batch.stage("delete_lease", head.pk, number)


def _tell_parent(batch: Batch, head: Head, parent: Head) -> None:
    if parent.status not in runs.ENDED:
        batch.record(parent, "child.completed", {"child_run_id": head.run_id, "status": head.status})


class ParkRun(Write):
    """Parks a run: the status, what it waits for and what going on needs, in one transaction.

    `branches` lists for each parked branch its mode (`any`, `all`) and the ids of its children, `questions` the ids of
    those that branches wait for. A branch that is met by now refuses the park (the value is False): the code goes on
    instead. A run that was ordered to pause, and had not seen it, is paused in the same transaction.
    """

    __slots__ = ("attempt", "branches", "event_type", "extra", "payload", "questions", "run_id")

    def __init__(
        self,
        run_id: str,
        attempt: int,
        event_type: str,
        payload: dict[str, Any],
        *,
        branches: list[tuple[str, list[str]]] | None = None,
        questions: list[str] | None = None,
        extra: Write | None = None,
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.event_type = event_type
        self.payload = payload
        self.branches = branches or []
        self.questions = questions or []
        self.extra = extra

    def decide(self, batch: Batch) -> bool:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        branches = [(mode, [batch.head(child) for child in children]) for mode, children in self.branches]
        if any(waits.is_met(mode, children) for mode, children in branches):
            return False
        if inputs.any_closed(batch, self.questions):
            return False
        ordered = orders.open_of(batch, head)
        if self.extra is not None:
            self.extra.decide(batch)
        for number, (mode, children) in enumerate(branches):
            for pk in dict.fromkeys(child.pk for child in children):
                waits.add(batch, head, number, mode, pk)
        end_attempt(batch, head, self.event_type, self.payload)
        if head.status == "paused":
            orders.paused(batch, head, ordered)
        else:
            orders.pause_unheld(batch, head, ordered)
        return True


class PauseParked(Write):
    """Pauses a run that is parked for children none of which can go on, and those that are parked for it alone.

    Children that have not begun count as kept from it: the caller has seen that nothing new may start. The value says
    whether the run was paused.
    """

    __slots__ = ("reason", "run_id")

    def __init__(self, run_id: str, reason: str) -> None:
        self.run_id = run_id
        self.reason = reason

    def decide(self, batch: Batch) -> bool:
        stuck = waits.stuck(batch, batch.head(self.run_id))
        asking = {head.pk: inputs.open_of(batch, head) for head in stuck}
        for head in stuck:
            batch.stage("delete_waits", head.pk)
            asks = any(str(row[4] or "").startswith(BUDGET_KEY) for row in asking[head.pk])
            batch.record(head, "run.awaited" if asks else "run.paused", {"reason": self.reason})
            if asks:
                break  # those above wait for it, as for any child that asks
        return bool(stuck)


class InterruptRun(Write):
    """Marks a run whose owner is gone, with those that hang on it. The value lists the ids that changed.

    `attempt` is the one that the observer judged; a newer one is left alone. `lease_expired` asks again inside the
    transaction, so that a renewal in the last moment counts. The attempt's time ends when its owner was last heard of:
    `last_seen_at`, or its last event after that. `living` are process groups of the run that outlived him. A run of
    another `status` than `running` is one that nobody is left to bring on. One that is for workers is dispatched again
    in the same transaction, unless it lost its owner too often or has orders; then nothing that hangs on it is touched.
    """

    __slots__ = (
        "again",
        "at",
        "attempt",
        "last_seen_at",
        "lease_expired",
        "living",
        "reason",
        "run_id",
        "status",
    )

    def __init__(
        self,
        run_id: str,
        attempt: int,
        reason: str,
        *,
        lease_expired: bool = False,
        last_seen_at: int | None = None,
        living: list[int] | None = None,
        status: str = "running",
        at: int | None = None,
        again: bool = True,
    ) -> None:
        self.again = again  # False leaves it to people also where it is for workers
        self.at = at  # when it was interrupted, where somebody saw that
        self.living = living
        self.status = status
        self.run_id = run_id
        self.attempt = attempt
        self.reason = reason
        self.lease_expired = lease_expired
        self.last_seen_at = last_seen_at

    def decide(self, batch: Batch) -> list[str]:
        head = batch.head(self.run_id)
        if head.attempt != self.attempt or head.status != self.status:
            return []
        if self.lease_expired:
            lease = batch.read("lease_of", run=head.pk)
            if lease and lease[0][2] >= batch.now:
                return []
        ordered = orders.open_of(batch, head)
        held_back = any(values[3] in ("stop", "pause") for values in ordered)
        again = None if held_back or not self.again else dispatching.again(batch, head)
        above = waits.stranded(batch, head) if again is None else []
        below = waits.never_begun(batch, above[-1] if above else head) if again is None else []
        cards = [card for run in (head, *below, *above) for card in lineage.cards_of(batch, run)]
        payload: dict[str, Any] = {"reason": self.reason}
        if self.last_seen_at is not None:
            last = batch.read("last_sign", run=head.pk)[0][0]
            payload["last_seen_at"] = min(batch.now, max(self.last_seen_at, last))
        if self.living:
            payload["living"] = self.living
        end_attempt(batch, head, "run.interrupted", payload, at=self.at)
        lineage.release_cards(batch, cards)
        for child in below:
            batch.record(child, "run.interrupted", {"reason": "parent interrupted before it began"})
        for parent in above:
            batch.stage("delete_waits", parent.pk)
            batch.record(parent, "run.interrupted", {"reason": "what it waited for was interrupted"})
        if not any(values[3] == "stop" for values in ordered):  # that outweighs a pause
            orders.pause_unheld(batch, head, ordered)
        if again is not None:
            resumed = {"reason": "its owner is gone", "from": head.status, "not_before": again}
            batch.record(head, "run.resumed", resumed)
        return [head.run_id, *(run.run_id for run in (*below, *above))]


class YieldRun(Write):
    """The owner itself leaves its run interrupted: Ctrl-C, a closed ledger, a cancelled loop."""

    __slots__ = ("attempt", "reason", "run_id")

    def __init__(self, run_id: str, attempt: int, reason: str) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.reason = reason

    def decide(self, batch: Batch) -> list[str]:
        runs.check_fence(batch.head(self.run_id), self.attempt)
        return InterruptRun(self.run_id, self.attempt, self.reason).decide(batch)


class UpdateRun(Write):
    """Edits title, labels, links or marks, by a person or fenced by an attempt. The value is the head."""

    __slots__ = ("attempt", "changes", "run_id")

    def __init__(self, run_id: str, changes: dict[str, Any], attempt: int | None = None) -> None:
        self.run_id = run_id
        self.changes = changes
        self.attempt = attempt

    def decide(self, batch: Batch) -> Head:
        head = batch.head(self.run_id)
        if self.attempt is not None:
            runs.check_fence(head, self.attempt)
        stale = batch.read("texts_of_run", run=head.pk, source="title") if "title" in self.changes else []
        for (number,) in stale:
            batch.stage("delete_text", number)
            batch.stage("delete_texts", number)
        marks: dict[str, Any] = {
            name: bool(self.changes[name]) for name in runs.MARKS if name in self.changes
        }
        rest = {name: value for name, value in self.changes.items() if name not in marks}
        if any(getattr(head, name) != value for name, value in marks.items()):
            batch.record(head, "run.marked", marks)
        if rest or not marks:
            batch.record(head, "run.updated", rest)
        if self.changes.get("title"):
            texts.add(batch, "title", self.changes["title"], run=head.pk)
        return _copy(head)


class RecordEvents(Write):
    """Events of Runstone's own on a run, fenced by an attempt where one is given. Gives the last (seq, position)."""

    __slots__ = ("attempt", "events", "run_id")

    def __init__(
        self, run_id: str, attempt: int | None, events: list[tuple[str, dict[str, Any], int]]
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.events = events

    def decide(self, batch: Batch) -> tuple[int, int]:
        head = batch.head(self.run_id)
        if self.attempt is not None:
            runs.check_fence(head, self.attempt)
        last = (0, 0)
        for event_type, payload, importance in self.events:
            last = batch.record(head, event_type, payload, importance=importance)
        return last


class RenewLeases(Write):
    """The heartbeat of a process: one statement for all its attempts, first in its batch."""

    __slots__ = ("owner",)
    urgent = True

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def decide(self, batch: Batch) -> int:
        expires = batch.now + self.owner.lease_us
        batch.stage("renew_leases", expires, self.owner.owner)
        return expires


def _copy(head: Head) -> Head:
    return msgspec.structs.replace(head)
