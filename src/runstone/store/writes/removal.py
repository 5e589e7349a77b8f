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
from runstone.store.writes import lineage

CHUNK = 1_000
"""Rows that one write removes at most, so that none lasts over 200 ms."""

PLACES_AT_ONCE = 10_000
"""Checkpoints go all at once up to here: of half of them somebody could go on with half a state."""

COLLECT_BYTES = 8 * 1024 * 1024
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
"""What a run may have any number of: how it is found (its key first, then what blobs it refers to), and what is done."""

_ALL = (
    "delete_journal_of_child", "keep_journal_of_child", "delete_totals", "delete_tools", "delete_attempts",
    "delete_outputs", "leave_thread", "delete_thread", "delete_run",
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
    """Whether nothing comes of the run without a new try; also of one that its parent finished without."""
    left_out = bool(head.superseded) and head.status == "pending"
    return head.status in runs.ENDED or head.status == "interrupted" or left_out


def _check_over(head: Head) -> None:
    if not is_over(head):
        raise IllegalTransition(
            f"run {head.run_id} is {head.status}; only ended runs are removed", run_id=head.run_id
        )


class PruneRun(Write):
    """Leaves a tombstone of an ended run, then removes what is below it, a chunk a time. The value is a `Chunk`."""

    __slots__ = ("limit", "run_id")

    def __init__(self, run_id: str, limit: int = CHUNK) -> None:
        self.run_id = run_id
        self.limit = limit

    def decide(self, batch: Batch) -> Chunk:
        head = batch.head(self.run_id)
        _check_over(head)
        return _prune(batch, head, self.limit) or Chunk()


def _prune(batch: Batch, head: Head, limit: int) -> Chunk | None:
    """Takes the next chunk; None where only the tombstone is left."""
    floor = batch.read("pruned_floor", run=head.pk)[0][0]
    if floor is None or floor < head.last_seq:
        batch.record(head, "run.pruned", {"row": _row(head)})
        return Chunk(more=True)
    root = batch.head_at(head.root).pk
    events = batch.read("old_events", run=head.pk, floor=floor, limit=limit)
    room = limit - len(events)
    messages = batch.read("old_messages", run=head.pk, root=root, limit=room) if room else []
    chunk = Chunk(more=True, events=len(events), messages=len(messages))
    _stage_events(batch, events, chunk)
    for message, text, *refs in messages:
        if text is not None:
            batch.stage("delete_text", text)
            batch.stage("delete_texts", text)
        batch.stage("delete_message", message)
        chunk.refs.update(filter(None, refs))
    if len(events) + len(messages) < limit:
        return chunk if _prune_checkpoints(batch, head, chunk) or events or messages else None
    return chunk


def _stage_events(batch: Batch, events: list[Row], chunk: Chunk) -> None:
    for position, ref in events:
        batch.stage("delete_event", position)
        if ref is not None:
            chunk.refs.add(ref)
    if events:
        batch.stage("removed_up_to", str(max(position for position, _ in events)))


def _prune_checkpoints(batch: Batch, head: Head, chunk: Chunk) -> bool:
    """Removes all checkpoints with what they hold; of very many the oldest places first. Whether there were any."""
    places = batch.db.rows("old_places", {"run": head.pk, "limit": PLACES_AT_ONCE + 1})
    chunk.refs.update(ref for *_, ref in places if ref is not None)
    if len(places) > PLACES_AT_ONCE:
        for *place, _ in places[:CHUNK]:
            batch.stage("delete_place", head.pk, *place)
        return True
    count = batch.db.rows("checkpoint_count", {"run": head.pk})[0][0]
    if places or count:
        batch.stage("delete_places", head.pk)
        batch.stage("delete_checkpoints", head.pk)
        chunk.checkpoints = count
    return bool(places or count)


def _row(head: Head) -> dict[str, Any]:
    """The folded row, so that it can still be proved, and gone on with, once its events are gone."""
    row: dict[str, Any] = msgspec.structs.asdict(head)
    for name in ("pk", "parent", "root", "last_seq", "run_id"):
        del row[name]
    return row


class RemoveRun(Write):
    """Removes an ended run that has no children left, with all that belongs to it, a chunk a time.

    The value is a `Chunk`. What it had spent is kept in `removed_usage`.
    """

    __slots__ = ("limit", "run_id")

    def __init__(self, run_id: str, limit: int = CHUNK) -> None:
        self.run_id = run_id
        self.limit = limit

    def decide(self, batch: Batch) -> Chunk:
        head = batch.head(self.run_id)
        _check_over(head)
        if batch.read("children_pks", run=head.pk):
            raise IllegalTransition(
                f"run {head.run_id} has children; they are removed first", run_id=head.run_id
            )
        return _prune(batch, head, self.limit) or self._remove(batch, head)

    def _remove(self, batch: Batch, head: Head) -> Chunk:
        usage = batch.read("old_usage", run=head.pk, limit=self.limit)
        processes = batch.read("old_processes", run=head.pk, limit=self.limit)
        room = self.limit - len(usage) - len(processes)
        found: list[tuple[str, list[Row]]] = []
        for query in _MANY:
            if room > 0:
                found.append((query, batch.read(query, run=head.pk, limit=room)))
                room -= len(found[-1][1])
        tools = batch.read("own_tools", run=head.pk)
        cards = lineage.cards_of(batch, head)
        chunk = Chunk(more=room <= 0, requests=len(usage))
        _keep_usage(batch, head, usage)
        for process in processes:
            batch.stage("delete_process", *process)
        for query, rows in found:
            _stage_rows(batch, query, rows, chunk)
        if not chunk.more:
            lineage.release_cards(batch, cards)
            _stage_row(batch, head, tools, chunk)
        return chunk


def _stage_rows(batch: Batch, query: str, rows: list[Row], chunk: Chunk) -> None:
    if query == "left_events":
        chunk.events = len(rows)
        return _stage_events(batch, rows, chunk)
    for number, *refs in rows:
        for statement in _MANY[query]:
            batch.stage(statement, number)
        chunk.refs.update(filter(None, refs))


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
            head.labels_json, provider, model, source, *counts,
        )  # fmt: skip


class CollectBlobs(Write):
    """Removes those of the blobs that no row refers to, some megabytes a time.

    The value: how many went, their stored bytes, and the digests that are still to be looked at.
    """

    __slots__ = ("digests",)

    def __init__(self, digests: list[str]) -> None:
        self.digests = digests

    def decide(self, batch: Batch) -> tuple[int, int, list[str]]:
        loose = batch.read("loose_blobs", digests=codec.encode(self.digests).decode())
        count = size = 0
        for digest, stored in loose:
            if count and size + stored > COLLECT_BYTES:
                break
            batch.stage("delete_blob", digest)
            count, size = count + 1, size + stored
        return count, size, [digest for digest, _ in loose[count:]]


class TidySearch(Write):
    """Merges so many pages of the full-text index, which drops what removed texts left in it.

    `pages` below 0 begins with all of it. The value says whether there was anything to do.
    """

    __slots__ = ("pages",)

    def __init__(self, pages: int) -> None:
        self.pages = pages

    def decide(self, batch: Batch) -> bool:
        before = batch.read("total_changes")[0][0]
        batch.stage("merge_search", self.pages)
        return int(batch.read("total_changes")[0][0]) - int(before) >= 2  # as FTS5 documents it


class GiveBack(Write):
    """Gives a chunk of free pages back to the file system. The value: how many are still free."""

    __slots__ = ()

    def decide(self, batch: Batch) -> int:
        batch.read("give_back_pages")
        return int(batch.read("free_pages")[0][0])
