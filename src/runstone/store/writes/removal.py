"""Removing whole ended trees: a tombstone with the folded row first, then the rest in chunks, then the rows.

Each write is short, and every state between two of them is a valid ledger: a removal that was cut off is gone on with
by asking again. What a run had spent moves into `removed_usage` in the transaction that takes it from the run, so that
it counts once at every moment. Integer keys and seqs are never used again.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.errors import IllegalTransition
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import unpack
from runstone.store.writes import lineage

CHUNK = 1_000
"""Rows that one write removes at most, so that none lasts over 200 ms."""

PLACES_AT_ONCE = 10_000
"""What checkpoints hold goes all at once up to here. Of more the checkpoints go first, and then nobody can go on with
half a state: a run that has places and no checkpoint is not resumed."""

DAY_US = 86_400_000_000

_MANY = {
    "old_texts": ("delete_text", "delete_texts"),
    "old_mentioned_texts": ("forget_run_in_text",),
    "old_mentions": ("forget_run_in_message",),
    "old_journal": ("delete_journal_record",),
    "old_commands": ("delete_command",),
    "old_inputs": ("delete_input",),
    "left_events": ("delete_event",),
}
"""What a run may have any number of: how it is found (its key, then digests that it refers to), and what is done."""

_ALL = (
    "delete_journal_of_child", "keep_journal_of_child", "delete_totals", "delete_tools", "delete_attempts",
    "delete_outputs", "delete_acknowledgements", "leave_thread", "delete_thread", "delete_dispatches",
    "delete_run",
)  # fmt: skip
"""What goes with the row of a run, in the order that its references ask for."""


class Chunk(msgspec.Struct):
    """What one write took away, and whether more is left (then it is true). `refs` are digests of blobs."""

    more: bool = False
    runs: int = 0
    events: int = 0
    messages: int = 0
    checkpoints: int = 0
    requests: int = 0
    refs: set[str] = msgspec.field(default_factory=set)

    def __bool__(self) -> bool:
        return self.more


def is_over(head: Head) -> bool:
    """Whether nothing comes of the run here without a new try; also of one that its parent finished without."""
    left_out = bool(head.superseded) and head.status == "pending"
    return head.status in runs.ENDED or head.status in ("interrupted", "moved") or left_out


def _check_over(batch: Batch, head: Head) -> None:
    if not is_over(head):
        raise IllegalTransition(
            f"run {head.run_id} is {head.status}; only ended runs are removed", run_id=head.run_id
        )
    if head.status == "interrupted" and batch.read("unended_processes", run=head.pk):
        raise IllegalTransition(
            f"run {head.run_id} is interrupted, but a process of it may still run",
            hint="end it first: runstone runs stop RUN",
            run_id=head.run_id,
        )


class PruneRun(Write):
    """Leaves a tombstone of an ended run, then removes what is below it, a chunk a time. The value is a `Chunk`."""

    __slots__ = ("limit", "run_id")

    def __init__(self, run_id: str, limit: int = CHUNK) -> None:
        self.run_id = run_id
        self.limit = limit

    def decide(self, batch: Batch) -> Chunk:
        head = batch.head(self.run_id)
        _check_over(batch, head)
        if not _is_pruned(batch, head):
            return _bury(batch, head)
        chunk = _prune(batch, head, self.limit)
        return Chunk() if chunk is None else chunk


def _is_pruned(batch: Batch, head: Head) -> bool:
    """Whether the tombstone is there, and nothing came after it."""
    return batch.read("last_type", run=head.pk) == [("run.pruned",)]


def _bury(batch: Batch, head: Head) -> Chunk:
    """Leaves the tombstone: the folded row, so that it can still be proved, and gone on with, without its events."""
    row: dict[str, Any] = msgspec.structs.asdict(head)
    for name in ("pk", "parent", "root", "last_seq", "run_id"):
        del row[name]
    payload: dict[str, Any] = {"row": row}
    if head.forked_from is not None and (own := _own_definition(batch, head)) is not None:
        payload |= {"definition": own, "pinned": True}
    batch.record(head, "run.pruned", payload)
    return Chunk(more=True)


def _own_definition(batch: Batch, head: Head) -> dict[str, Any] | None:
    """The definition that a fork was given: what is registered under its name is another one."""
    payload, ref = batch.read("definitions_of", run=head.pk)[-1]
    if ref is not None:
        number, data, _ = batch.read("blob", digest=ref)[0]
        payload = unpack(ref, number, data)
    told = codec.decode(payload)
    own: dict[str, Any] | None = told.get("definition") if told.get("pinned") else None
    return own


def _prune(batch: Batch, head: Head, limit: int) -> Chunk | None:
    """Takes the next chunk of what is below the tombstone; None where nothing is.

    Messages go before the last of the events: what somebody writes into the conversation later is not the run's.
    """
    events = batch.read("old_events", run=head.pk, floor=head.last_seq, limit=limit)
    messages = _messages(batch, head, limit) if events else []
    events = events[: limit - len(messages)]
    full = len(events) + len(messages) >= limit
    places = [] if full else _places(batch, head)
    count = 0 if full else batch.read("checkpoint_count", run=head.pk)[0][0]
    if not (events or messages or places or count):
        return None
    chunk = Chunk(more=full or len(places) > PLACES_AT_ONCE)
    _stage_events(batch, events, chunk)
    _stage_messages(batch, messages, chunk)
    if not full:
        _stage_checkpoints(batch, head, places, count, chunk)
    return chunk


def _messages(batch: Batch, head: Head, limit: int) -> list[Row]:
    """Messages of its conversation that go with a run."""
    root = batch.head_at(head.root).pk
    return batch.read("old_messages", run=head.pk, root=root, limit=limit)


def _places(batch: Batch, head: Head) -> list[Row]:
    return batch.read("old_places", run=head.pk, limit=PLACES_AT_ONCE + 1)


def _stage_events(batch: Batch, events: list[Row], chunk: Chunk) -> None:
    for position, ref in events:
        batch.stage("delete_event", position)
        if ref is not None:
            chunk.refs.add(ref)
    if events:
        batch.stage("removed_up_to", str(max(position for position, _ in events)))
    chunk.events += len(events)


def _stage_messages(batch: Batch, messages: list[Row], chunk: Chunk) -> None:
    for message, text, *refs in messages:
        if text is not None:
            batch.stage("delete_text", text)
            batch.stage("delete_texts", text)
        batch.stage("delete_message", message)
        chunk.refs.update(filter(None, refs))
    chunk.messages += len(messages)


def _stage_checkpoints(batch: Batch, head: Head, places: list[Row], count: int, chunk: Chunk) -> None:
    """Removes all checkpoints with what they hold; of very much a chunk."""
    if count:
        batch.stage("delete_checkpoints", head.pk)
        chunk.checkpoints += count
    if len(places) > PLACES_AT_ONCE:
        places = places[:CHUNK]
        for *place, _ in places:
            batch.stage("delete_place", head.pk, *place)
    elif places:
        batch.stage("delete_places", head.pk)
    chunk.refs.update(ref for *_, ref in places if ref is not None)


class RemoveRun(Write):
    """Removes an ended run that has no children left, with all that belongs to it. The value is a `Chunk`.

    A run that one write cannot take gets its tombstone, and then goes a chunk a time. What it had spent is kept in
    `removed_usage`.
    """

    __slots__ = ("limit", "run_id")

    def __init__(self, run_id: str, limit: int = CHUNK) -> None:
        self.run_id = run_id
        self.limit = limit

    def decide(self, batch: Batch) -> Chunk:
        head = batch.head(self.run_id)
        _check_over(batch, head)
        if batch.read("children_pks", run=head.pk):
            raise IllegalTransition(
                f"run {head.run_id} has children; they are removed first", run_id=head.run_id
            )
        pruned = _is_pruned(batch, head)
        if pruned and (chunk := _prune(batch, head, self.limit)) is not None:
            return msgspec.structs.replace(chunk, more=True)
        left = _Left(batch, head, self.limit, whole=not pruned)
        if left.more and not pruned:
            return _bury(batch, head)
        return left.stage(batch, head)


class _Left:
    """What is left of a run, up to a limit; `whole` for one that was not pruned. Reads only, until it is staged."""

    def __init__(self, batch: Batch, head: Head, limit: int, *, whole: bool) -> None:
        self.messages = _messages(batch, head, limit) if whole else []
        self.places = _places(batch, head) if whole else []
        self.checkpoints = batch.read("checkpoint_count", run=head.pk)[0][0] if whole else 0
        self.usage = batch.read("old_usage", run=head.pk, limit=limit)
        self.processes = batch.read("old_processes", run=head.pk, limit=limit)
        room = limit - len(self.messages) - len(self.usage) - len(self.processes)
        self.rows: dict[str, list[Row]] = {}
        for query in _MANY:
            if room > 0:
                self.rows[query] = batch.read(query, run=head.pk, limit=room)
                room -= len(self.rows[query])
        self.more = room <= 0 or len(self.places) > PLACES_AT_ONCE
        self.tools = batch.read("own_tools", run=head.pk)
        self.cards = lineage.cards_of(batch, head)

    def stage(self, batch: Batch, head: Head) -> Chunk:
        chunk = Chunk(more=self.more, requests=len(self.usage))
        _stage_messages(batch, self.messages, chunk)
        _stage_checkpoints(batch, head, self.places, self.checkpoints, chunk)
        _keep_usage(batch, head, self.usage)
        for process in self.processes:
            batch.stage("delete_process", *process)
        _stage_events(batch, self.rows.pop("left_events", []), chunk)
        for query, rows in self.rows.items():
            for number, *refs in rows:
                for statement in _MANY[query]:
                    batch.stage(statement, number)
                chunk.refs.update(filter(None, refs))
        if not self.more:
            lineage.release_cards(batch, self.cards)
            _stage_row(batch, head, self.tools, chunk)
        return chunk


def _stage_row(batch: Batch, head: Head, tools: Iterable[Row], chunk: Chunk) -> None:
    if head.parent is not None:
        for tool, *counts in tools:
            batch.raise_tools(batch.head_at(head.parent), tool, [-count for count in counts])
    for statement in _ALL:
        batch.stage(statement, head.pk)
    chunk.runs = 1
    chunk.refs.update(filter(None, (head.prompt_ref, head.input_ref, head.result_ref)))
    batch.cache.threads.clear()
    batch.cache.heads.pop(head.run_id, None)
    batch.cache.by_pk.pop(head.pk, None)


def _keep_usage(batch: Batch, head: Head, usage: list[Row]) -> None:
    """Moves requests into the sums of what was removed, and takes them from the totals of the tree."""
    root, sums = batch.head_at(head.root), dict[tuple[Any, ...], list[int]]()
    labels = codec.encode({**codec.decode(root.labels_json), **codec.decode(head.labels_json)}).decode()
    for number, at, provider, model, *tokens, cost, source in usage:
        batch.stage("delete_request", number)
        counts = [1, *tokens, cost or 0, int(cost is None)]
        batch.add_totals(head, provider, model, [-count for count in (*counts, int(source == "priced"))])
        have = sums.setdefault((at // DAY_US, provider, model, source), [0] * len(counts))
        for index, count in enumerate(counts):
            have[index] += count
    for (day, provider, model, source), counts in sums.items():
        batch.stage(
            "add_removed_usage",
            day, head.kind, head.agent_id or "", root.definition_id or "", head.parent_thread_id or "",
            labels, provider, model, source, *counts,
        )  # fmt: skip
