"""`import`: the runs of an export, taken into a ledger that is in use.

The whole file is checked and compared with what is here before the first write. Then each tree comes in whole, with its
values before it and its messages after it. An import that was cut off is finished by doing it again.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from runstone.care.export_file import Block, ExportFile, TreeRows
from runstone.domain import codec, exported
from runstone.domain.exported import Line
from runstone.errors import ImportConflict, InvalidExport, Refused, RunstoneError, StoreError
from runstone.store import lists
from runstone.store.base import Row, Write
from runstone.store.blobs import pack
from runstone.store.writes.importing import (
    CloseThread,
    ImportBoards,
    ImportMessages,
    ImportTree,
    RunRows,
    StoreBlobs,
    TreeIn,
    refs_of,
)
from runstone.store.writes.repair_parts import IndexTexts
from runstone.store.writes.views import ImportViews

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_CHUNK_BYTES: Final = 2 * 1024 * 1024
_CHUNK_ROWS: Final = 500
_TEXTS: Final = 50
"""What one write takes, so that it stays below 200 ms."""

_PAGE: Final = 5_000
_TRIES: Final = 3
"""So often values are sent again that a collection took away before their tree came."""

Told = Callable[[int, int], None]


class Imported(msgspec.Struct, kw_only=True):
    """What an import brought. `present` are runs that were here already, with what the file has of them."""

    runs: int = 0
    present: int = 0
    messages: int = 0
    cards: int = 0
    interrupted: int = 0
    """Runs that were running when the export was made, and those that hung on them."""
    rejected: int = 0
    disowned: int = 0
    from_epoch: str = ""
    made_at: str = ""
    elapsed_ms: int = 0


def import_(ledger: "Ledger", source: Path | IO[bytes], *, told: Told = lambda done, of: None) -> Imported:
    """Takes in what an export has and the ledger has not. Raises `InvalidExport`, `ImportConflict`, `NotFound`.

    Ids and `seq` stay, positions are new. Nothing has changed where the file is refused.
    """
    began = time.monotonic()
    with ExportFile(source) as file:
        work = _Work(ledger, file, told)
        present = [work.compare(block) for block in file.blocks]
        for block, here in zip(file.blocks, present, strict=True):
            work.take(block, here)
    work.done.elapsed_ms = int((time.monotonic() - began) * 1000)
    return work.done


class _Work:
    """Compares the blocks of a file with the ledger, and writes them."""

    def __init__(self, ledger: "Ledger", file: ExportFile, told: Told) -> None:
        self._writer = ledger.core.writer
        self._reader = ledger.reader
        self._file = file
        self._told = told
        header = file.header
        self._moved = header.moves
        self._reason = f"imported from an export of {header.made_at} of ledger {header.epoch}"
        self.done = Imported(from_epoch=header.epoch, made_at=header.made_at)

    def _do(self, write: Write) -> Any:
        try:
            return self._writer.submit(write, []).result(None)
        except StoreError as error:
            if error.code != StoreError.code:
                raise  # the disk, or the ledger: not what the file has
            raise InvalidExport(f"the file has what a ledger refuses: {error}") from error

    # --- comparing -----------------------------------------------------------------------------------------------

    def compare(self, block: Block) -> frozenset[str]:
        """The runs of the block that are here already. Raises `ImportConflict` for what is here and differs."""
        here = set()
        for run in self._file.tree(block).runs:
            rows = self._reader.rows("pk_of", run_id=run.head.run_id)
            if rows:
                self._compare_run(rows[0][0], run)
                here.add(run.head.run_id)
        thread: dict[str, Any] = {}
        for line in self._file.lines(block):
            if line.record == "thread":
                thread = self._compare_thread(line)
            elif line.record == "message" and thread:
                self._compare_message(line, thread)
            elif line.record in ("board", "card"):
                self._compare_card(line)
            elif line.record == "view":
                _check_view(line)
        return frozenset(here)

    def _compare_run(self, pk: int, run: RunRows) -> None:
        """Every event of the file must be here, unless it was pruned; what came after them here may be more."""
        run_id, asked = run.head.run_id, iter(run.rows["event"])
        event: Row | None = next(asked)
        first = True
        for row in self._events(pk):
            while first and event is not None and event[0] < row[0]:
                event = next(asked, None)
            first = False
            if event is None:
                return
            if event != row:
                told = f"event {event[0]} is {row[3]} here and {event[3]} in the file"
                if row[3] == event[3]:
                    told = f"event {event[0]} ({row[3]}) has another content"
                raise ImportConflict(f"run {run_id} is here, and is another one: {told}", run_id=run_id)
            event = next(asked, None)
        if event is not None:
            told = f"run {run_id} is here up to event {event[0] - 1}, the file has more of it"
            raise ImportConflict(told, run_id=run_id)

    def _events(self, pk: int) -> Iterator[Row]:
        after = 0
        while rows := self._reader.rows("present_events", run=pk, after=after, limit=_PAGE):
            yield from rows
            after = rows[-1][0]

    def _compare_thread(self, line: Line) -> dict[str, Any]:
        thread_id = line["thread_id"]
        rows = self._reader.rows("present_thread", thread_id=thread_id)
        if rows and rows[0][1] != line["created_at"]:
            raise ImportConflict(f"thread {thread_id} is here, and is another one", thread_id=thread_id)
        return {"id": thread_id} if rows else {}

    def _compare_message(self, line: Line, thread: dict[str, Any]) -> None:
        rows = self._reader.rows("present_message", thread_id=thread["id"], seq=line["seq"])
        mine = tuple(line[name] for name in ("role", "at", "text", "text_ref", "extra", "extra_ref"))
        if rows and rows[0] != mine:
            told = f"message {line['seq']} of thread {thread['id']} is here with another content"
            raise ImportConflict(told, thread_id=thread["id"])

    def _compare_card(self, line: Line) -> None:
        name = line[f"{line.record}_id"]
        present = f"present_{line.record}"
        for *_, revision, made in self._reader.rows(present, **{f"{line.record}_id": name}):
            if made != line["created_at"] or revision < line["revision"]:
                raise ImportConflict(f"{line.record} {name} is here with another content")

    # --- writing -------------------------------------------------------------------------------------------------

    def take(self, block: Block, present: frozenset[str]) -> None:
        """Writes what is not here."""
        tree = self._file.tree(block)
        if tree.runs:
            self._take_tree(block, tree, present)
        self._take_threads(block)
        self._take_boards(block)
        self._take_views(block)
        self._told(self.done.runs + self.done.present, self._file.runs)

    def _take_tree(self, block: Block, tree: TreeRows, present: frozenset[str]) -> None:
        write = ImportTree(tree.runs, tree.owners, present=present, reason=self._reason, moved=self._moved)
        for _ in range(_TRIES):
            if len(present) < len(tree.runs):
                self._take_blobs(block, tree, present)
            found: TreeIn | None = self._do(write)
            if found is not None:
                break
        else:
            raise Refused("values are collected as fast as they come in", hint="import again")
        self.done.runs += len(found.new)
        self.done.present += len(present)
        self.done.interrupted += found.interrupted
        self.done.rejected += found.rejected
        self.done.disowned += found.disowned
        self._index(tree)

    def _take_blobs(self, block: Block, tree: TreeRows, present: frozenset[str]) -> None:
        wanted = {ref for run in tree.runs if run.head.run_id not in present for ref in refs_of(run)}
        chunk: list[Row] = []
        for digest in block.blobs:  # in the order of the file
            if digest in wanted:
                chunk.append(pack(self._file.blob(block, digest)))
                if len(chunk) == _CHUNK_ROWS or sum(len(one[3]) for one in chunk) > _CHUNK_BYTES:
                    self._do(StoreBlobs(chunk))
                    chunk = []
        if chunk:
            self._do(StoreBlobs(chunk))

    def _index(self, tree: TreeRows) -> None:
        """Makes the runs findable; those, too, of an import that was cut off here."""
        items: list[tuple[str, int]] = []
        for run in tree.runs:
            for (pk,) in self._reader.rows("pk_of", run_id=run.head.run_id):
                items += [(source, pk) for source in _texts(run)]
        for start in range(0, len(items), _TEXTS):
            self._do(IndexTexts(items[start : start + _TEXTS]))

    def _take_threads(self, block: Block) -> None:
        thread: Line | None = None
        chunk: list[tuple[Row, tuple[str, list[Row]]]] = []
        size = 0
        for line in self._file.lines(block):
            if line.record in ("thread", "board", "card", "view"):
                self._send(thread, chunk, close=True)
                thread, chunk, size = (line if line.record == "thread" else None), [], 0
            elif line.record == "message":
                body, blobs = self._message(block, line)
                chunk.append((line.values, (body, blobs)))
                size += len(body) + sum(len(blob[3]) for blob in blobs)
                if len(chunk) == _CHUNK_ROWS or size > _CHUNK_BYTES:
                    self._send(thread, chunk, close=False)
                    chunk, size = [], 0
        self._send(thread, chunk, close=True)

    def _message(self, block: Block, line: Line) -> tuple[str, list[Row]]:
        values = {ref: self._file.blob(block, ref) for ref in (line["text_ref"], line["extra_ref"]) if ref}
        ref = line["text_ref"]
        try:
            body = line["text"] or "" if ref is None else values[ref].decode()
        except UnicodeDecodeError:
            raise exported.wrong(line.number, "the text of the message is no text") from None
        return body, [pack(data) for data in values.values()]

    def _send(
        self, thread: Line | None, chunk: list[tuple[Row, tuple[str, list[Row]]]], *, close: bool
    ) -> None:
        if thread is None:
            return
        rows, bodies = [row for row, _ in chunk], [body for _, body in chunk]
        self.done.messages += self._do(ImportMessages(thread.values, rows, bodies))
        if close and thread["last_seq"]:
            self._do(CloseThread(thread["thread_id"], thread["last_seq"]))

    def _take_boards(self, block: Block) -> None:
        lines = list(self._file.lines(block)) if block.root is None else []
        boards = [line.values for line in lines if line.record == "board"]
        cards = [line for line in lines if line.record == "card"]
        for start in range(0, max(len(cards), 1 if boards else 0), _CHUNK_ROWS):
            some = cards[start : start + _CHUNK_ROWS]
            blobs = [pack(self._file.blob(block, line["body_ref"])) for line in some if line["body_ref"]]
            write = ImportBoards(boards, [line.values for line in some], blobs)
            self.done.cards += self._do(write)

    def _take_views(self, block: Block) -> None:
        """Views that are not here: what people had looked at is no reason to refuse a file."""
        lines = list(self._file.lines(block)) if block.root is None else []
        views = [line.values for line in lines if line.record == "view"]
        if views:
            self._do(ImportViews(views))


def _check_view(line: Line) -> None:
    """Raises `InvalidExport` for a view that nobody could have saved."""
    try:
        lists.plain_filters(codec.decode(line["filters"]))
    except (ValueError, RunstoneError) as error:
        raise exported.wrong(line.number, f"its filters cannot be read: {error}") from None
    if (
        line["sort"] not in lists.SORTS
        or line["order"] not in ("asc", "desc")
        or line["default"] not in (0, 1)
    ):
        raise exported.wrong(line.number, "its order is none that a list has")


def _texts(run: RunRows) -> Iterator[str]:
    """What the index holds of a run."""
    head = run.head
    if head.title:
        yield "title"
    if head.prompt_ref is not None:
        yield "prompt"
    if head.summary and head.status == "completed":
        yield "summary"
    if any(row[3] == "run.failed" for row in run.rows["event"]):
        yield "error"
