"""`export`: runs as lines that a person can read and another ledger can take in, as of one moment."""

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from runstone.care import parts
from runstone.domain import exported
from runstone.domain.redaction import Redactor
from runstone.domain.runs import ENDED, Head, moved
from runstone.errors import InvalidInput, NotFound
from runstone.redacting import redactor_of
from runstone.store import crashpoints
from runstone.store.base import Database, Row
from runstone.store.blobs import decompress, unpack
from runstone.store.writes.moves import is_worked_on

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from runstone.ledger import Ledger

SUFFIXES: Final = (".zst", ".gz")
_HEAD: Final = tuple(name for name in Head.__struct_fields__ if name != "last_seq")
_COPIED: Final = 1 << 20

Told = Callable[[int, int], None]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """An export that was written. `file` is None for one that went to a stream."""

    file: Path | None
    bytes: int
    """As they were written, compressed or not."""
    runs: int
    events: int
    messages: int
    blobs: int
    redacted: bool
    elapsed_ms: int
    moved: int = 0
    """Unfinished runs that were sealed here, as they go on where the file is imported."""


class Moving:
    """Notes the unfinished trees of an export that moves them, as of its snapshot."""

    def __init__(self, *, everything: bool) -> None:
        self.trees: dict[int, frozenset[Row]] = {}
        self.made_at = ""
        self._everything = everything

    def note(self, db: Database, root: int) -> bool:
        """Whether the tree is exported. Raises `RunMoved`, and `RunIsLive` where somebody works on a run of it."""
        rows = db.rows("moving_tree", root=root)
        for _, run_id, status, reason, _ in rows:
            if status == "moved" and self._everything:
                return False
            if status == "moved":
                raise moved(run_id, reason)
            if status == "running":
                raise is_worked_on(run_id)
        if any(status not in ENDED for _, _, status, *_ in rows):
            self.trees[root] = frozenset(rows)
        return True


def export(
    ledger: "Ledger",
    target: Path | IO[bytes],
    runs: Sequence[str] | None = None,
    *,
    subtree: bool = True,
    redact: bool = False,
    force: bool = False,
    moves: bool = False,
    moving: Moving | None = None,
    told: Told = lambda done, of: None,
) -> Exported:
    """Writes runs with all that belongs to them to a file (`.zst`, `.gz`: compressed) or a stream; None: everything.

    A file appears when it is whole. `redact` masks what the workspace's redaction finds in values, too: such an export
    is for reading. With `moves` it says that what is unfinished goes on where it is imported; with `moving`, too,
    and that notes what is to be sealed. Raises `NotFound`, `InvalidInput` for a file that exists, `StoreError`s.
    """
    began = time.monotonic()
    if runs is not None and not runs:
        raise InvalidInput("no run is named", hint="name runs, or export everything: runstone export --all")
    if not ledger.readonly:
        ledger.flush()
    redactor = redactor_of(ledger.workspace.root, True) if redact else None
    db = ledger.reader.another()
    try:
        with _opened(target, force) as (stream, size), db.snapshot():
            work = _Work(db, stream, redactor, told, moving, moves=moves or moving is not None)
            work.write(runs, subtree=subtree)
        written = size()
    finally:
        db.close()
    counted = work.counts
    return Exported(
        file=target if isinstance(target, Path) else None, bytes=written, runs=counted["run"],
        events=counted["event"], messages=counted["message"], blobs=counted["blob"], redacted=redact,
        elapsed_ms=int((time.monotonic() - began) * 1000),
    )  # fmt: skip


@contextmanager
def _opened(target: Path | IO[bytes], force: bool) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """Where the lines go. What goes to a stream is laid aside first: a slow reader must not hold the snapshot."""
    if not isinstance(target, Path):
        with tempfile.TemporaryFile() as aside:
            written: list[int] = []
            yield aside, written.pop
            written.append(aside.tell())
            aside.seek(0)
            shutil.copyfileobj(aside, target, _COPIED)
            target.flush()
        return
    if target.is_dir():
        raise InvalidInput(f"{target} is a folder; name the file in it")
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {target.parent}", hint=f"make it: mkdir -p {target.parent}")
    taken = InvalidInput(
        f"{target} exists; nothing was written", hint="name another file, or replace it with --force"
    )
    if target.exists() and not force:
        raise taken
    with parts.writing(target) as part:
        with _packed(part, target.suffix) as stream:
            yield stream, lambda: target.stat().st_size
        parts.sync(part)
        crashpoints.point("export.before_link")
        if force:
            part.replace(target)
        elif not parts.link(part, target):
            raise taken
        crashpoints.point("export.after_link")
        parts.sync_folder(target.parent)


def _packed(part: Path, suffix: str) -> IO[bytes]:
    if suffix == ".zst":
        return zstd.open(part, "wb")  # type: ignore[return-value]
    if suffix == ".gz":
        import gzip

        return gzip.open(part, "wb")  # type: ignore[return-value]
    return part.open("wb")


class _Work:
    """Writes the lines, and counts them."""

    def __init__(
        self,
        db: Database,
        stream: IO[bytes],
        redactor: Redactor | None,
        told: Told,
        moving: Moving | None,
        *,
        moves: bool,
    ) -> None:
        self.db = db
        self._moving = moving
        self._moves = moves
        self.counts: dict[str, int] = dict.fromkeys(exported.RECORDS, 0)
        self._stream = stream
        self._redactor = redactor
        self._told = told
        self._hash = hashlib.sha256()
        self._tree_blobs: set[str] = set()
        self._tree_owners: set[str] = set()
        self._threads: set[str] = set()
        self._boards: set[str] = set()
        self._cards: set[str] = set()
        self._runs = 0

    def write(self, runs: Sequence[str] | None, *, subtree: bool) -> None:
        """The whole of the export."""
        count, _, epoch, schema = self.db.rows("snapshot_facts")[0]
        header = exported.Header(
            runstone_export=exported.VERSION, schema=schema, epoch=epoch,
            made_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            what="all" if runs is None else {"runs": list(runs), "below": subtree},
            redacted=self._redactor is not None, moves=self._moves,
        )  # fmt: skip
        self._stream.write(msgspec.json.encode(header) + b"\n")
        trees = self._all() if runs is None else self._chosen(runs, subtree)
        if self._moving is not None:
            self._moving.made_at = header.made_at
            trees = [(root, pks) for root, pks in trees if self._moving.note(self.db, pks[0])]
        self._runs = count if runs is None else sum(len(pks) for _, pks in trees)
        for root, pks in trees:
            self._tree(root, pks)
        self._rest(everything=runs is None)
        counts = self.counts
        lines = 1 + sum(counts.values())
        totals = (counts["run"], counts["event"], counts["message"], counts["blob"])
        self._stream.write(exported.write("end", (lines, self._hash.hexdigest(), *totals)))

    def _all(self) -> list[tuple[str, list[int]]]:
        return [(run_id, self._below(pk)) for pk, run_id in self.db.rows("exported_roots")]

    def _below(self, pk: int) -> list[int]:
        return [one for (one,) in self.db.rows("exported_below", run=pk)]

    def _chosen(self, runs: Sequence[str], subtree: bool) -> list[tuple[str, list[int]]]:
        """The runs that were named, each once, as trees: one that is below another of them goes with that one."""
        found: dict[int, str] = {}
        for run_id in runs:
            rows = self.db.rows("exported_place", run_id=run_id)
            if not rows:
                raise NotFound(f"there is no run {run_id}", run_id=run_id)
            found[rows[0][0]] = run_id
        if not subtree:
            chosen = {pk: [pk] for pk in found}
        else:
            chosen = {pk: self._below(pk) for pk in found}
            inner = {one for pk, below in chosen.items() for one in below if one != pk}
            chosen = {pk: below for pk, below in chosen.items() if pk not in inner}
        return [(found[pk], chosen[pk]) for pk in sorted(chosen)]

    # --- lines -------------------------------------------------------------------------------------------------

    def _line(self, record: str, values: tuple[Any, ...], run_id: str | None = None) -> None:
        columns = exported.RECORDS[record]
        for column, value in zip(columns, values, strict=True):
            if column.kind == "b" and value is not None:
                self._blob(value)
            elif column.kind == "o" and value is not None and value not in self._tree_owners:
                self._tree_owners.add(value)
                for row in self.db.rows("exported_owner", owner=value):
                    self._line("owner", row)
        self._put(record, exported.write(record, values, run_id))

    def _put(self, record: str, line: bytes) -> None:
        if self._redactor is not None:
            line = self._redactor.json(line[:-1]) + b"\n"
        self.counts[record] += 1
        self._hash.update(line)
        self._stream.write(line)

    def _blob(self, digest: str) -> None:
        """The value itself, once in each tree, so that trees can be taken in one by one."""
        if digest not in self._tree_blobs:
            self._tree_blobs.add(digest)
            rows = self.db.rows("blob", digest=digest)
            if not rows:
                raise NotFound(f"the value {digest[:12]}… is gone", hint="see what is wrong: runstone verify")
            self._put("blob", exported.write_blob(digest, unpack(digest, *rows[0][:2])))

    def _begin(self) -> None:
        self._tree_blobs, self._tree_owners = set(), set()

    def _tree(self, root: str, pks: list[int]) -> None:
        self._begin()
        self._line("tree", (root, len(pks)))
        for pk in pks:
            self._run(pk)
            self._told(self.counts["run"], self._runs)
        for pk in pks:
            for row in self.db.rows("exported_threads_of", run=pk):
                self._thread(row)

    def _run(self, pk: int) -> None:
        row = self.db.select("head_columns", "head_tables", "r.id = :run", "", {"run": pk})[0]
        head = Head(**dict(zip(_HEAD, row, strict=True)))
        self._line("run", exported.head_values(head), head.run_id)
        for record in exported.OF_RUN:
            rows = self._places(pk) if record == "place" else self.db.each(f"exported_{record}", run=pk)
            for values in rows:
                self._line(record, values, head.run_id)
        if head.task_board_id is not None:
            self._boards.add(head.task_board_id)
        if head.task_card_id is not None:
            self._cards.add(head.task_card_id)

    def _places(self, pk: int) -> Iterator[Row]:
        for path, item, since, number, value, ref in self.db.each("exported_place_rows", run=pk):
            text = None if value is None else decompress(number, value).decode()
            yield path, item, since, text, ref

    def _thread(self, row: Row) -> None:
        number, thread_id, *rest = row
        if thread_id in self._threads:
            return
        self._threads.add(thread_id)
        self._line("thread", (thread_id, *rest))
        for message in self.db.each("exported_messages", thread=number):
            self._line("message", (thread_id, *message))

    def _rest(self, *, everything: bool) -> None:
        """Boards with their cards, and threads of no run; of chosen runs the boards and cards that they name."""
        self._begin()
        self._line("rest", ())
        for row in self.db.each("exported_threads") if everything else ():
            self._thread(row)
        boards = _named(self.db.rows("exported_boards"), None if everything else self._boards)
        cards = _named(self.db.rows("exported_cards"), None if everything else self._cards)
        known = {row[0] for row in boards}
        for row in boards:
            self._line("board", row)
        for row in cards:
            if row[1] in known:
                self._line("card", row)
        for row in self.db.rows("views_list") if everything else ():
            self._line("view", row)


def _named(rows: Iterable[Row], names: set[str] | None) -> list[Row]:
    return [row for row in rows if names is None or row[0] in names]
