"""What an export brings, written in: whole trees at once, and what may come after them in chunks.

A tree is one write, so that nobody sees a part of it; what is long of it comes before (values) or after (messages), and
may be cut off anywhere and written again. Nothing in it is in anybody's hands: see `restoring`.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from runstone.domain import codec, exported
from runstone.domain.runs import Head
from runstone.errors import ImportConflict, Refused
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.writes import dispatching, lineage, texts, waits
from runstone.store.writes.boards import MoveCommand
from runstone.store.writes.lifecycle import InterruptRun
from runstone.store.writes.repair_parts import LinkChild, SettleWaits
from runstone.store.writes.restoring import DisownProcess

_OPEN: Final = frozenset({"requested", "acknowledged"})


class RunRows(msgspec.Struct, kw_only=True):
    """A run of the file: its row as its events add up to it, and its other rows by record, as the file has them."""

    head: Head
    rows: dict[str, list[Row]]
    """Places have a codec and stored bytes in place of their JSON."""


class TreeIn(msgspec.Struct, kw_only=True):
    """What became of a tree."""

    new: list[tuple[str, int]] = []
    """Runs that came in, each with its integer key."""
    interrupted: int = 0
    rejected: int = 0
    disowned: int = 0


class StoreBlobs(Write):
    """Stores values that rows to come refer to. Those that nothing comes to refer to are collected one day."""

    __slots__ = ("blobs", "size")

    def __init__(self, blobs: list[Row]) -> None:
        self.blobs = blobs
        self.size = 200 + sum(len(blob[3]) for blob in blobs)

    def decide(self, batch: Batch) -> int:
        for blob in self.blobs:
            batch.put_blob(blob)
        return len(self.blobs)


class ImportTree(Write):
    """Writes runs that belong together, parents first. The value is a `TreeIn`; None where values are not there.

    With `moved` nobody goes on with them elsewhere, and those that were in line for workers are in line here.
    `present` are the ids of those that are here already. All else is asked before anything is staged. Raises
    `ImportConflict`, and `Refused` where the ledger changed since it was compared.
    """

    __slots__ = ("moved", "owners", "present", "reason", "runs", "size")

    def __init__(
        self,
        runs: list[RunRows],
        owners: list[Row],
        *,
        present: frozenset[str],
        reason: str,
        moved: bool = False,
    ) -> None:
        self.moved = moved
        self.runs = runs
        self.owners = owners
        self.present = present
        self.reason = codec.clip(reason, 1_000)
        self.size = 2_000 + 300 * sum(len(rows) for run in runs for rows in run.rows.values())

    def decide(self, batch: Batch) -> TreeIn | None:
        new = [run for run in self.runs if run.head.run_id not in self.present]
        if not new:
            return TreeIn()
        self._require_same(batch)
        _require_free(batch, new)
        if not _values_known(batch, new):
            return None
        for owner in self.owners:
            batch.stage("insert_owner", *owner)
        heads = [_stage_run(batch, run) for run in new]
        _stage_links(batch, heads, new)
        for head, run in zip(heads, new, strict=True):
            repeated = _stage_usage(batch, head, run)
            _settle_lineage(batch, head, run.head, repeated)
            for tool, calls, failed in run.rows.get("tool", ()):
                batch.stage("rewrite_tool", head.pk, 0, tool, calls, failed)
                batch.raise_tools(head, tool, [calls, failed])
        found = TreeIn(new=[(head.run_id, head.pk) for head in heads])
        self._part(batch, heads, new, found)
        return found

    def _require_same(self, batch: Batch) -> None:
        here = {run.head.run_id for run in self.runs if batch.find(run.head.run_id) is not None}
        if here != self.present:
            raise Refused("the ledger changed while the file was compared with it", hint="import it again")

    def _part(self, batch: Batch, heads: list[Head], new: list[RunRows], found: TreeIn) -> None:
        """Joins the runs with what is here, and takes them out of the hands of those who had them."""
        for head in heads:
            orphans = lineage.Orphans(batch, head.run_id, head)
            if orphans.heads:
                orphans.attach(batch, head)
        for head, run in zip(heads, new, strict=True):
            _link_to_parent(batch, head)
            for row in run.rows.get("process", ()):
                if row[5] is None:
                    DisownProcess(head.run_id, row[0], row[1], self.reason).decide(batch)
                    found.disowned += 1
            for row in run.rows.get("command", ()):
                if row[4] in _OPEN:
                    MoveCommand(row[0], "rejected", self.reason).decide(batch)
                    found.rejected += 1
        for head, run in zip(heads, new, strict=True):
            if head.status == "running":
                left = InterruptRun(head.run_id, head.attempt, self.reason, again=False)
                found.interrupted += len(left.decide(batch))
            elif head.status == "pending" and self.moved:
                dispatching.follow(batch, head, {})
            elif head.status == "waiting":
                found.interrupted += _settle_waits(batch, head, run)


def _require_free(batch: Batch, new: list[RunRows]) -> None:
    """Raises `ImportConflict` for ids that another run has, and for parents that are below their children here."""
    ids = [row[0] for run in new for record in ("input", "command") for row in run.rows.get(record, ())]
    for one, run_id in batch.read("present_ids", ids=codec.encode(ids).decode()) if ids else ():
        raise ImportConflict(f"{one} belongs to run {run_id} here", run_id=run_id)
    above = {
        parent.root
        for run in new
        if run.head.parent_run_id and (parent := batch.find(run.head.parent_run_id)) is not None
    }
    for run in new:
        for (pk,) in batch.read("unattached_children", run_id=run.head.run_id) if above else ():
            if pk in above:
                told = (
                    f"run {run.head.run_id} would come to be above and below run {batch.head_at(pk).run_id}"
                )
                raise ImportConflict(told, run_id=run.head.run_id)


def refs_of(run: RunRows) -> Iterator[str]:
    """Digests of the values that a run refers to."""
    head = run.head
    yield from filter(None, (head.prompt_ref, head.input_ref, head.result_ref))
    for record, rows in run.rows.items():
        places = [index for index, column in enumerate(exported.OF_RUN[record]) if column.kind == "b"]
        for row in rows if places else ():
            found = (row[-1],) if record == "place" else (row[index] for index in places)
            yield from filter(None, found)


def _values_known(batch: Batch, new: list[RunRows]) -> bool:
    wanted = sorted({ref for run in new for ref in refs_of(run)})
    if not wanted:
        return True
    return len(batch.read("blobs_known", digests=codec.encode(wanted).decode())) == len(wanted)


def _stage_run(batch: Batch, run: RunRows) -> Head:
    """Stages the row, its events and what refers to nothing but it."""
    says = run.head
    head = batch.new_head(run_id=says.run_id, kind=says.kind)
    batch.touch(head)
    for name in exported.HEAD_FIELDS:
        setattr(head, name, getattr(says, name))
    parent = batch.find(says.parent_run_id) if says.parent_run_id is not None else None
    head.parent = None if parent is None else parent.pk
    head.root = head.pk if parent is None else parent.root
    head.last_seq = says.last_seq
    for seq, attempt, at, kind, version, importance, *body in run.rows.get("event", ()):
        position = batch.number("events")
        batch.stage("insert_event", position, head.pk, seq, attempt, at, kind, version, importance, *body)
    for record, statement in _PLAIN.items():
        for row in run.rows.get(record, ()):
            batch.stage(statement, head.pk, *row)
    for command_id, *rest in run.rows.get("command", ()):
        batch.stage("save_command", batch.number("commands"), command_id, head.pk, *rest)
    batch.changed.add(head.run_id)
    return head


_PLAIN: Final = {
    "attempt": "rewrite_attempt",
    "process": "import_process",
    "output": "import_output",
    "place": "insert_place",
    "acknowledgement": "import_acknowledgement",
}


def _stage_links(batch: Batch, heads: list[Head], new: list[RunRows]) -> None:
    """Stages what refers to several runs: journals, what was known or answered by them, and waits."""
    for head, run in zip(heads, new, strict=True):
        numbers = [_stage_record(batch, head, row) for row in run.rows.get("journal", ())]
        for *checkpoint, known in run.rows.get("checkpoint", ()):
            newest = None if known is None else max((n for n in numbers[:known] if n is not None), default=0)
            batch.stage("insert_checkpoint", head.pk, *checkpoint, newest)
        for input_id, *rest, journal in run.rows.get("input", ()):
            number = None if journal is None else numbers[journal - 1]
            batch.stage("save_input", batch.number("inputs"), input_id, head.pk, *rest, number)
            batch.cache.asking.add(head.pk)
        for branch, mode, child_id in run.rows.get("wait", ()):
            child = batch.find(child_id)
            if child is not None:
                waits.add(batch, head, branch, mode, child.pk)


def _stage_record(batch: Batch, head: Head, row: Row) -> int | None:
    """Stages a record of the journal. One of a child that is not here goes as with a child that was removed."""
    key, kind, name, phase, previous, child_id, value, ref, *rest = row
    child = None if child_id is None else batch.find(child_id)
    if child_id is not None and child is None:
        if ref is None:
            return None
        kind = "removed"
    number = batch.number("journal")
    pk = None if child is None else child.pk
    batch.stage("import_journal", number, head.pk, key, kind, name, phase, previous, pk, value, ref, *rest)
    return number


def _stage_usage(batch: Batch, head: Head, run: RunRows) -> list[str]:
    """Stages the requests that the tree does not have yet; gives the others."""
    repeated: list[str] = []
    sums: dict[tuple[str, str], list[int]] = {}
    for request_id, *values in run.rows.get("usage", ()):
        if batch.request_known(head.root, request_id):
            repeated.append(request_id)
            continue
        batch.note_request(head.root, request_id)
        batch.stage("insert_usage", head.pk, head.root, request_id, *values)
        _attempt, _at, provider, model, *tokens, cost, source, _hour = values
        counts = [1, *tokens, cost or 0, int(cost is None), int(source == "priced")]
        have = sums.setdefault((provider, model), [0] * len(counts))
        for index, count in enumerate(counts):
            have[index] += count
    for (provider, model), counts in sums.items():
        batch.add_totals(head, provider, model, counts)
    return repeated


def _settle_lineage(batch: Batch, head: Head, says: Head, repeated: list[str]) -> None:
    """Says where the run stands here, if that is not where it stood, and what counts elsewhere in its tree."""
    parent = None if head.parent is None else batch.head_at(head.parent)
    root, depth = (head.run_id, 0) if parent is None else (parent.root_run_id, parent.depth + 1)
    if (root, depth) == (says.root_run_id, says.depth) and not repeated:
        return
    payload: dict[str, Any] = {"root_run_id": root, "depth": depth}
    if head.parent_run_id is not None:
        payload["parent_run_id"] = head.parent_run_id
    if repeated:
        payload["repeated"] = repeated
    batch.record(head, "run.attached", payload)


def _link_to_parent(batch: Batch, head: Head) -> None:
    """Lets a parent that came without this child know it again."""
    if head.parent is None or head.child_key is None or head.superseded:
        return
    if not batch.read("linked_child", run=head.parent, child=head.pk):
        parent = batch.head_at(head.parent)
        LinkChild(head.run_id, attempt=parent.attempt, at=head.created_at).decide(batch)


def _settle_waits(batch: Batch, head: Head, run: RunRows) -> int:
    """Interrupts a parked run whose children did not come with it; wakes one whose children have ended here."""
    rows = run.rows.get("wait", ())
    if all(batch.find(child_id) is not None for *_, child_id in rows):
        SettleWaits(head.run_id).decide(batch)
        return 0
    batch.stage("delete_waits", head.pk)
    batch.record(head, "run.interrupted", {"reason": "what it waited for did not come with it"})
    return 1


class ImportMessages(Write):
    """Writes messages of a thread that it does not have, with their values, and the thread where it is missing.

    `thread` and `messages` are as the file has them, with the text of each message. The value is how many came in.
    """

    __slots__ = ("bodies", "messages", "size", "thread")

    def __init__(self, thread: Row, messages: list[Row], bodies: list[tuple[str, list[Row]]]) -> None:
        """`bodies` has for each message its text, and its packed values."""
        self.thread = thread
        self.messages = messages
        self.bodies = bodies
        self.size = 500 + sum(500 + len(body) + sum(len(blob[3]) for blob in blobs) for body, blobs in bodies)

    def decide(self, batch: Batch) -> int:
        thread_id, title, owner_id, created_at, updated_at, _ = self.thread
        present = batch.read("present_thread", thread_id=thread_id)
        if present and present[0][1] != created_at:
            raise ImportConflict(f"thread {thread_id} is here, and is another one")
        pk, last = (present[0][0], present[0][3]) if present else (batch.number("threads"), 0)
        updated = max(updated_at, present[0][2]) if present else updated_at
        fresh = [(row, body) for row, body in zip(self.messages, self.bodies, strict=True) if row[1] > last]
        last = max([last, *(row[1] for row, _ in fresh)])
        batch.stage("save_thread", pk, thread_id, title, _key(batch, owner_id), created_at, updated, last)
        batch.set_thread(thread_id, pk, last)
        for (_, seq, role, by, *rest), (body, blobs) in fresh:
            for blob in blobs:
                batch.put_blob(blob)
            number, run = batch.number("messages"), _key(batch, by)
            batch.stage("insert_message", number, pk, seq, role, run, *rest)
            if texts.indexed(body).strip():
                texts.add(batch, "message", body, run=run, message=number)
        return len(fresh)


class CloseThread(Write):
    """Lets a thread count as far as the file says: messages of a pruned run are gone, their numbers are not."""

    __slots__ = ("last_seq", "thread_id")

    def __init__(self, thread_id: str, last_seq: int) -> None:
        self.thread_id = thread_id
        self.last_seq = last_seq

    def decide(self, batch: Batch) -> bool:
        known = batch.thread(self.thread_id)
        if known is None or known[1] >= self.last_seq:
            return False
        batch.stage("rewrite_thread", known[0], self.last_seq)
        batch.set_thread(self.thread_id, known[0], self.last_seq)
        return True


def _key(batch: Batch, run_id: str | None) -> int | None:
    head = None if run_id is None else batch.find(run_id)
    return None if head is None else head.pk


class ImportBoards(Write):
    """Writes boards and cards that are not here, with the cards' values; nobody holds a card that comes in.

    Those that went on here since they came are left as they are. Raises `ImportConflict` for others. The value is how
    many cards came in.
    """

    __slots__ = ("blobs", "boards", "cards", "size")

    def __init__(self, boards: list[Row], cards: list[Row], blobs: list[Row]) -> None:
        self.boards = boards
        self.cards = cards
        self.blobs = blobs
        self.size = 1_000 * (len(boards) + len(cards)) + sum(len(blob[3]) for blob in blobs)

    def decide(self, batch: Batch) -> int:
        keys: dict[str, int | None] = {}
        for board_id, *_, revision, created_at, _updated in self.boards:
            found = batch.read("present_board", board_id=board_id)
            keys[board_id] = found[0][0] if found else None
            _require_gone_on(f"board {board_id}", [row[1:] for row in found], revision, created_at)
        fresh = []
        for card in self.cards:
            present = batch.read("present_card", card_id=card[0])
            _require_gone_on(f"card {card[0]}", present, card[10], card[11])
            fresh += [] if present else [card]
        return self._stage(batch, keys, fresh)

    def _stage(self, batch: Batch, keys: dict[str, int | None], fresh: list[Row]) -> int:
        for blob in self.blobs:
            batch.put_blob(blob)
        pks: dict[str, int] = {}
        for board in self.boards:
            known = keys[board[0]]
            pks[board[0]] = batch.number("boards") if known is None else known
            if known is None:
                batch.stage("save_board", pks[board[0]], *board)
        for card_id, board_id, title, status, *rest in fresh:
            *kept, claimed, revision, created_at, updated_at = rest
            batch.stage(
                "save_card",
                batch.number("cards"), card_id, pks[board_id], title,
                status if claimed is None else "todo", *kept, None, revision, created_at,
                updated_at,
            )  # fmt: skip
        return len(fresh)


def _require_gone_on(what: str, present: list[Row], revision: int, created_at: int) -> None:
    for here, made in present:
        if made != created_at:
            raise ImportConflict(f"{what} is here, and is another one")
        if here < revision:
            raise ImportConflict(f"{what} is here at revision {here}, the file has {revision}")


class ImportSpent(Write):
    """Adds what removed runs of another ledger had spent, once for each ledger that it comes from."""

    __slots__ = ("epoch", "rows", "size")

    def __init__(self, epoch: str, rows: list[Row]) -> None:
        self.epoch = epoch
        self.rows = rows
        self.size = 500 + 500 * len(rows)

    def decide(self, batch: Batch) -> bool:
        mark = f"spent_of_{self.epoch}"
        if batch.read("meta", name=mark):
            return False
        for row in self.rows:
            batch.stage("add_removed_usage", *row)
        batch.stage("note_in_meta", mark, "1")
        return True
