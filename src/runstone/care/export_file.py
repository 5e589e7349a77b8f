"""Reading an export: the whole file is checked before anything of it is taken in, and then read tree by tree."""

import gzip
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Final, Self

import msgspec

from runstone.care import run_checks
from runstone.domain import exported
from runstone.domain.exported import Line, wrong
from runstone.domain.history import History
from runstone.errors import InvalidExport, InvalidInput, NotFound
from runstone.store import histories
from runstone.store.base import Row
from runstone.store.blobs import compress
from runstone.store.writes.importing import RunRows

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = b"\x1f\x8b"
_COPIED: Final = 1 << 20


class Block(msgspec.Struct, kw_only=True):
    """A tree of the file, or the rest: where its lines are, and where each of its values (offset, line)."""

    root: str | None
    start: int
    number: int
    blobs: dict[str, tuple[int, int]] = {}
    runs: int = 0


class TreeRows(msgspec.Struct, kw_only=True):
    """The runs of a block, with the owners of their attempts."""

    runs: list[RunRows]
    owners: list[Row]


class ExportFile(AbstractContextManager["ExportFile"]):
    """An export that was checked. Raises `InvalidExport`, which names the line."""

    def __init__(self, source: Path | IO[bytes]) -> None:
        self._file = _plain(source)
        self.blocks: list[Block] = []
        self.runs = 0
        self.last = 1
        try:
            first = self._file.readline(exported.MAX_LINE)
            self.header = exported.read_header(first)
            if self.header.redacted:
                hint = "export it without --redact where it came from"
                raise wrong(1, "values were masked in this export; it is for reading only", hint=hint)
            self._check(len(first))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    # --- checking ------------------------------------------------------------------------------------------------

    def _check(self, start: int) -> None:
        checker, digest, at, ended = _Checker(), hashlib.sha256(), start, False
        for number, data in self._lines(2):
            if ended:
                raise wrong(number, "there is something behind the end")
            line = exported.read(number, data)
            if line.record == "end":
                _check_end(line, digest.hexdigest(), checker)
                ended = True
            else:
                checker.take(line, at)
                digest.update(data)
            at += len(data)
            self.last = number
        if not ended:
            raise wrong(self.last + 1, "the file was cut off: its last line, the end, is missing")
        self.blocks, self.runs = checker.blocks, checker.counts["run"]

    def _lines(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Lines from where the file stands, with their numbers."""
        while data := self._file.readline(exported.MAX_LINE):
            if not data.endswith(b"\n"):
                raise wrong(number, "the file was cut off in this line")
            yield number, data
            number += 1

    # --- reading -------------------------------------------------------------------------------------------------

    def lines(self, block: Block) -> Iterator[Line]:
        """The lines of a block, values left out."""
        self._file.seek(block.start)
        for number, data in self._lines(block.number):
            line = exported.read(number, data)
            if line.record == "end" or (line.record in ("tree", "rest") and number > block.number):
                return
            if line.record != "blob":
                yield line

    def blob(self, block: Block, digest: str) -> bytes:
        """A value of the block; the place in the file stays."""
        at = self._file.tell()
        offset, number = block.blobs[digest]
        self._file.seek(offset)
        data = exported.blob_of(exported.read(number, self._file.readline(exported.MAX_LINE)))
        self._file.seek(at)
        return data

    def tree(self, block: Block) -> TreeRows:
        """The runs of a block, each proved by its events."""
        found = TreeRows(runs=[], owners=[])
        run: Line | None = None
        rows: dict[str, list[Row]] = {}
        for line in self.lines(block):
            if line.record in exported.OF_RUN:
                rows.setdefault(line.record, []).append(line.values)
            elif line.record == "owner":
                found.owners.append(line.values)
            elif run is not None and line.record in ("run", "thread"):
                found.runs.append(self._proved(block, run, rows))
                run = None
            if line.record == "run":
                run, rows = line, {}
        if run is not None:
            found.runs.append(self._proved(block, run, rows))
        return found

    def _proved(self, block: Block, line: Line, rows: dict[str, list[Row]]) -> RunRows:
        """A run with its row as its events add up to it. Raises `InvalidExport` where the lines say something else."""
        assert line.run_id is not None

        def text(value: str | None, ref: str | None) -> str:
            return value or "" if ref is None else self.blob(block, ref).decode()

        history = History(0, line.run_id)
        told = ((0, seq, kind, version, body, ref, at, attempt)
                for seq, attempt, at, kind, version, _, body, ref, _ in rows.get("event", ()))  # fmt: skip
        histories.extend(history, told, text)
        head = history.head
        says = exported.head_fields(line.values)
        if not history.count:
            raise wrong(line.number, f"run {line.run_id} has no events")
        findings = run_checks.compare(msgspec.structs.replace(head, **says), history, _stored(rows))
        if findings:
            raise wrong(line.number, str(findings[0].text))
        rows["place"] = [_packed_place(row) for row in rows.get("place", ())]
        return RunRows(head=head, rows=rows)


def _packed_place(row: Row) -> Row:
    path, item, since, text, ref = row
    number, data = (0, None) if text is None else compress(text.encode())
    return path, item, since, number, data, ref


class _Rows:
    """The rows of one run, as `compare` wants them."""

    def __init__(self, rows: dict[str, list[Row]], totals: list[Row]) -> None:
        self.attempts = {0: rows.get("attempt", [])}
        self.usage = {0: [(*row, 0) for row in rows.get("usage", ())]}
        self.totals = {0: totals}
        self.tools = {0: rows.get("tool", [])}
        self.leases: dict[int, list[Row]] = {}
        self.checkpoints = {0: rows.get("checkpoint", [])}


def _stored(rows: dict[str, list[Row]]) -> Any:
    sums: dict[tuple[str, str], list[int]] = {}
    for _, _, _, provider, model, *tokens, cost, source, _ in rows.get("usage", ()):
        counts = [1, *tokens, cost or 0, int(cost is None), int(source == "priced")]
        have = sums.setdefault((provider, model), [0] * len(counts))
        for index, count in enumerate(counts):
            have[index] += count
    return _Rows(rows, [(*key, *counts) for key, counts in sums.items()])


class _Checker:
    """Whether the lines come in the order in which they can be taken in, and name only what is there."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.counts: dict[str, int] = dict.fromkeys(exported.RECORDS, 0)
        self._runs: set[str] = set()
        self._parents: dict[str, int] = {}
        self._owners: set[str] = set()
        self._boards: set[str] = set()
        self._run: str | None = None
        self._journal = 0
        self._thread: str | None = None
        self._last = 0

    def take(self, line: Line, offset: int) -> None:
        """Looks at the next line, which begins at `offset`."""
        self.counts[line.record] += 1
        if line.record in ("tree", "rest"):
            return self._begin(line, offset)
        if not self.blocks:
            raise wrong(line.number, f"a record {line.record} before the first tree")
        block = self.blocks[-1]
        if line.record == "blob":
            exported.blob_of(line)
            block.blobs[line["digest"]] = (offset, line.number)
        elif line.record == "run":
            self._take_run(block, line)
        elif line.record in exported.OF_RUN:
            self._take_row(line)
        elif line.record == "owner":
            self._owners.add(line["owner"])
        elif line.record in ("thread", "message"):
            self._take_thread(line)
        elif line.record == "board":
            self._boards.add(line["board_id"])
        elif line.record == "card" and line["board_id"] not in self._boards:
            raise wrong(line.number, f"there is no board {line['board_id']} before this card")
        return self._require(block, line)

    def _begin(self, line: Line, offset: int) -> None:
        if self.blocks and self.blocks[-1].root is None:
            raise wrong(line.number, "there is a tree behind the rest")
        self._close(line.number)
        root = line["root"] if line.record == "tree" else None
        runs = line["runs"] if line.record == "tree" else 0
        self.blocks.append(Block(root=root, start=offset, number=line.number, runs=runs))
        self._owners, self._run, self._thread = set(), None, None

    def _close(self, number: int) -> None:
        if self.blocks and self.blocks[-1].runs:
            block = self.blocks[-1]
            raise wrong(number, f"{block.runs} runs of the tree of {block.root} are missing")

    def _take_run(self, block: Block, line: Line) -> None:
        assert line.run_id is not None
        if line.run_id in self._runs:
            raise wrong(line.number, f"run {line.run_id} is in the file twice")
        if line.run_id in self._parents:
            told = f"run {line.run_id} comes behind its child of line {self._parents[line.run_id]}"
            raise wrong(line.number, told)
        self._runs.add(line.run_id)
        parent = line["parent_run_id"]
        if parent is not None and parent not in self._runs:
            self._parents.setdefault(parent, line.number)
        self._run, self._journal, self._thread = line.run_id, 0, None
        block.runs -= 1

    def _take_row(self, line: Line) -> None:
        if line.run_id != self._run:
            raise wrong(line.number, f"it belongs to run {line.run_id}, among the lines of run {self._run}")
        self._journal += line.record == "journal"
        if line.record == "input" and not 0 < (line["journal"] or 1) <= max(1, self._journal):
            raise wrong(line.number, f"the journal of run {self._run} has no record {line['journal']}")
        if line.record == "checkpoint" and not 0 <= (line["journal"] or 0) <= self._journal:
            raise wrong(line.number, f"the journal of run {self._run} has no {line['journal']} records")

    def _take_thread(self, line: Line) -> None:
        self._run = None
        if line.record == "thread":
            self._thread, self._last = line["thread_id"], 0
        elif line["thread_id"] != self._thread:
            raise wrong(
                line.number, f"a message of thread {line['thread_id']}, which does not come before it"
            )
        elif line["seq"] <= self._last:
            raise wrong(line.number, f"message {line['seq']} comes behind message {self._last}")
        else:
            self._last = line["seq"]

    def _require(self, block: Block, line: Line) -> None:
        """What the line refers to must have come before."""
        for column, value in zip(exported.RECORDS[line.record], line.values, strict=True):
            if value is None:
                continue
            if column.kind == "b" and value not in block.blobs:
                raise wrong(line.number, f"the value {value[:12]}… of {column.name} does not come before it")
            if column.kind == "o" and value not in self._owners:
                raise wrong(line.number, f"owner {value} does not come before it")


def _check_end(line: Line, digest: str, checker: _Checker) -> None:
    checker._close(line.number)
    counts = tuple(checker.counts[record] for record in ("run", "event", "message", "blob"))
    lines, told, *counted = line.values
    if lines != line.number - 1 or tuple(counted) != counts:
        raise wrong(line.number, f"the file had {lines} lines before this one; there are {line.number - 1}")
    if told != digest:
        raise wrong(
            line.number, "the lines before do not have the digest that the end says: they were changed"
        )


def _plain(source: Path | IO[bytes]) -> IO[bytes]:
    """The lines of the source in a file that can be read anywhere; what is compressed or a stream is laid aside."""
    if isinstance(source, Path):
        if not source.exists():
            raise NotFound(f"there is no file {source}", hint="make one: runstone export --all -o FILE")
        if not source.is_file():
            raise InvalidInput(f"{source} is no file")
        try:
            file: IO[bytes] = source.open("rb")
        except OSError as error:
            raise InvalidInput(f"{source} cannot be read: {error.strerror}") from error
        begin = file.read(4)
        file.seek(0)
        if not begin.startswith((_ZSTD, _GZIP)):
            return file
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115
        shutil.copyfileobj(source, file, _COPIED)
        file.seek(0)
        begin = file.read(4)
        file.seek(0)
    return _unpacked(file, begin) if begin.startswith((_ZSTD, _GZIP)) else file


def _unpacked(file: IO[bytes], begin: bytes) -> IO[bytes]:
    plain = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with file:
            packed: Any = zstd.ZstdFile(file) if begin.startswith(_ZSTD) else gzip.GzipFile(fileobj=file)
            with packed:
                shutil.copyfileobj(packed, plain, _COPIED)
    except (EOFError, OSError, zstd.ZstdError) as error:
        plain.close()
        raise InvalidExport(f"the file cannot be unpacked: {error}") from error
    plain.seek(0)
    return plain
