"""`verify --repair`: what is wrong is written again from what is whole, and what cannot be is named and left alone.

Events are the truth: rows, sums, links and the search index follow from them. Each step is a write of its own that
decides anew inside its transaction, so a repair may be killed anywhere, run again, and work beside other writers. It
goes round until nothing is left that it can mend, as one row put right may show the next one.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from runstone.care import part_checks, run_checks
from runstone.care.verify import verify
from runstone.domain.clock import Clock
from runstone.domain.history import History
from runstone.domain.records import Finding
from runstone.errors import RunstoneError, StoreError, StoreFull
from runstone.store import crashpoints
from runstone.store.base import Write
from runstone.store.clock import SystemClock
from runstone.store.reads import Reader
from runstone.store.sqlite import copy
from runstone.store.sqlite import open as sqlite
from runstone.store.writer import Receipt, Writer
from runstone.store.writes import repair as rows
from runstone.store.writes import repair_parts as parts
from runstone.store.writes.boards import MoveCommand
from runstone.workspace import Workspace

_ROUNDS: Final = 8
"""Each round mends what the one before brought to light: row, then requests, sums, waits, and what a wake changes."""

_WINDOW: Final = 16
"""Writes under way at a time: they share transactions, and their histories stay in memory."""

_REQUESTS, _TEXTS, _ENTRIES = 500, 50, 200
"""Rows of one write, so that it stays far below 200 ms."""

_OF_ROW: Final = frozenset({"run_row", "run_lineage", "attempt_rows", "lease_stray", "checkpoint_rows"})
_OF_SUMS: Final = frozenset({"own_totals", "subtree_totals", "tool_counts"})

Told = Callable[[str], None]


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did."""

    findings: list[Finding]
    """What was found, each with whether it was repaired, and what came to light meanwhile."""
    refused: list[str]
    """Why a step was not taken, a sentence each."""
    writes: int
    """Steps that changed something."""
    backup: Path | None
    """The copy from before the first change; None where nothing was to be changed, or none was wanted."""

    @property
    def left(self) -> list[Finding]:
        """What is still wrong."""
        return [one for one in self.findings if not one.repaired]


def repair(
    workspace: Workspace,
    *,
    backup: bool = True,
    clock: Clock | None = None,
    progress: run_checks.Progress | None = None,
    told: Told = lambda step: None,
) -> Repair:
    """Verifies, mends and verifies again. Others may read and write meanwhile. Raises `StoreError` subclasses.

    The ledger is not reconciled before: what a damaged row says of a run must not end it.
    """
    with _opened(workspace, clock or SystemClock()) as work:
        first = found = verify(work, progress)
        saved = None
        for _ in range(_ROUNDS):
            able = [one for one in found if one.repairable]
            if not able:
                break
            if backup and saved is None:
                told("copying the ledger")
                saved = back_up(workspace)
            told(f"repairing {len(able)} findings")
            before = work.changed
            work.mend(able)
            found = verify(work, progress)
            if work.changed == before:
                break
        work.settle_orders()
        return Repair(
            findings=_compared(first, found), refused=work.refused, writes=work.changed, backup=saved
        )


def back_up(workspace: Workspace) -> Path:
    """Copies the ledger as it is, damage and all, beside it. Raises `StoreFull` where there is no room."""
    stamp = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S")
    target = workspace.folder / f"ledger-before-repair-{stamp}.db"
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.touch(mode=0o600)  # prompts and results are in it
    source = copy.open_file(workspace.database)
    try:
        with source.snapshot():
            copy.pages(source, part, lambda done, of: None)
        copy.sync(part)
    except StoreFull as error:
        part.unlink(missing_ok=True)
        hint = "make room, or repair without a copy: runstone verify --repair --no-backup"
        raise StoreFull(str(error), hint=hint) from error
    except StoreError:
        part.unlink(missing_ok=True)
        raise
    finally:
        source.close()
    crashpoints.point("repair.before_backup")
    part.replace(target)
    crashpoints.point("repair.after_backup")
    return target


def _compared(first: list[Finding], last: list[Finding]) -> list[Finding]:
    """The first findings, each with whether it is gone, and those that are new."""
    left = {(one.code, one.subject, one.text) for one in last}
    known = {(one.code, one.subject, one.text) for one in first}
    told = [
        msgspec.structs.replace(one, repaired=(one.code, one.subject, one.text) not in left) for one in first
    ]
    new = [one for one in last if (one.code, one.subject, one.text) not in known]
    return told + [msgspec.structs.replace(one, repaired=False) for one in new]


@contextmanager
def _opened(workspace: Workspace, clock: Clock) -> "Iterator[_Work]":
    sqlite.prepare(workspace.database)
    reader = Reader(sqlite.reader(workspace.database), clock)
    writer = Writer(sqlite.writer(workspace.database), clock)
    try:
        yield _Work(reader, writer)
    finally:
        try:
            writer.close()
        finally:
            reader.close()


class _Work:
    """The steps of a repair, in the order in which one needs the other."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self.reader = reader
        self.writer = writer
        self.changed = 0
        self.refused: list[str] = []
        self._under_way: list[Receipt] = []

    def mend(self, found: list[Finding]) -> None:
        """Mends what can be mended of these findings."""
        by_code: dict[str, list[str]] = {}
        for one in found:
            by_code.setdefault(one.code, []).append(one.subject)
        if "index_damaged" in by_code:
            self.do(parts.RebuildIndexes())
            return self.settle()  # what was read through them is worth nothing
        self._numbers(by_code)
        self._runs(by_code)
        self._hanging(by_code)
        self._search(by_code)
        return self.settle()

    def do(self, write: Write) -> None:
        """Submits a step; a few may be under way."""
        self._under_way.append(self.writer.submit(write, []))
        if len(self._under_way) >= _WINDOW:
            self.settle()

    def settle(self) -> None:
        """Waits for the steps under way, and notes what they did. Raises `StoreError` subclasses."""
        receipts, self._under_way = self._under_way, []
        for receipt in receipts:
            try:
                self.changed += receipt.result() not in (False, [], 0)
            except StoreError as error:
                if error.code != "store_error":
                    raise  # the disk, not this step
                self.refused.append(str(error))
            except RunstoneError as error:
                self.refused.append(str(error))

    def _numbers(self, by_code: dict[str, list[str]]) -> None:
        wrong = by_code.get("meta_wrong", [])
        if wrong or "numbers_behind" in by_code:
            epoch = secrets.token_hex(4) if "epoch" in wrong else None
            self.do(parts.RestoreNumbers(epoch, removed_up_to="removed_up_to" in wrong))
        for thread_id in by_code.get("thread_numbers", []):
            self.do(parts.RestoreThread(thread_id))
        self.settle()

    # --- runs ----------------------------------------------------------------------------------------------------

    def _runs(self, by_code: dict[str, list[str]]) -> None:
        keys = self._keys(one for code in _OF_ROW for one in by_code.get(code, ()))
        for pk in sorted(int(one[1:]) for one in by_code.get("run_missing", ())):
            history = run_checks.read_history(self.reader, pk, "")
            run_id = run_checks.lost_id(self.reader, history)
            if run_id is not None:
                history.head.run_id = run_id
                self.do(rows.RebuildRun(history))
                self.settle()  # those below it refer to it
        for history in self._histories(keys):
            self.do(rows.RebuildRun(history))
        self.settle()
        asked = self._keys(by_code.get("usage_rows", ()))
        for history in self._histories(asked):
            wrong = self._wrong_requests(history)
            for start in range(0, len(wrong), _REQUESTS):
                self.do(rows.RebuildRequests(history, wrong[start : start + _REQUESTS]))
        self.settle()
        sums = self._keys(one for code in _OF_SUMS for one in by_code.get(code, ()))
        self._sums(keys | asked | sums)

    def _keys(self, run_ids: Iterable[str]) -> set[tuple[int, str]]:
        """(integer key, id) of runs that are there."""
        return {(row[0][0], one) for one in set(run_ids) if (row := self.reader.rows("pk_of", run_id=one))}

    def _histories(self, keys: set[tuple[int, str]]) -> Iterator[History]:
        for pk, run_id in sorted(keys):
            history = run_checks.read_history(self.reader, pk, run_id)
            if not history.trouble:
                yield history

    def _wrong_requests(self, history: History) -> list[str]:
        """Requests of which row and event differ; the write looks again."""
        pk = history.head.pk
        root = self.reader.rows("root_of", run=pk)[0][0]
        have = {row[0]: tuple(row[1:]) for row in self.reader.rows("request_ids_of_run", run=pk)}
        says = {
            one: (request.attempt, request.usage.at, *request.usage.columns(), root)
            for one, request in history.requests.items()
        }
        return sorted({one for one in {*have, *says} if have.get(one) != says.get(one)})

    def _sums(self, keys: set[tuple[int, str]]) -> None:
        """Adds up again these runs and all above them, from the leaves up."""
        line = {pk for pk, _ in keys}
        found: dict[int, tuple[int, str]] = {}
        while line:
            pk = line.pop()
            for depth, run_id, parent in self.reader.rows("place_of", run=pk):
                found[pk] = (depth, run_id)
                if parent is not None and parent not in found:
                    line.add(parent)
        for pk, (_, run_id) in sorted(found.items(), key=lambda one: -one[1][0]):
            self.do(rows.RebuildSums(run_checks.read_history(self.reader, pk, run_id)))
        self.settle()

    # --- what hangs on them --------------------------------------------------------------------------------------

    def _hanging(self, by_code: dict[str, list[str]]) -> None:
        for pk, run_id in sorted(
            self._keys((*by_code.get("journal_lost", ()), *by_code.get("journal_link", ())))
        ):
            self._link(pk, run_id)
        for run_id in sorted({*by_code.get("waits_stray", ()), *by_code.get("wake_missed", ())}):
            self.do(parts.SettleWaits(run_id))
        listed = by_code.get("list_rows", ())
        for pk in {pk for pk, _ in self._keys(listed)} | {int(one[1:]) for one in listed if one[0] == "#"}:
            self.do(parts.RebuildListing(pk))
        for card_id in by_code.get("card_claim", ()):
            self.do(parts.ReleaseClaim(card_id))
        self.settle()

    def _link(self, pk: int, run_id: str) -> None:
        """Children of which the run's events say that it started them, and its journal nothing, or something else."""
        history = run_checks.read_history(self.reader, pk, run_id)
        asked = {one for (one,) in self.reader.rows("unlinked_children", run=pk)}
        asked |= {one for (one,) in self.reader.rows("crossed_children", run=pk)}
        for child_id in sorted(asked & history.children.keys()):
            started = history.children[child_id]
            self.do(parts.LinkChild(child_id, attempt=started.attempt, at=started.at))

    def _search(self, by_code: dict[str, list[str]]) -> None:
        if "search_damaged" in by_code:
            self.do(parts.EmptySearch())
            self.settle()
        if {"search_damaged", "search_dead"} & by_code.keys():
            dead = [
                n for name in ("dead_entries", "dead_texts") for n in part_checks.numbers(self.reader, name)
            ]
            for start in range(0, len(dead), _ENTRIES):
                self.do(parts.DropEntries(dead[start : start + _ENTRIES]))
            self.settle()
        if {"search_damaged", "search_missing"} & by_code.keys():
            chunk: list[tuple[str, int]] = []
            for item in part_checks.unindexed(self.reader):
                chunk.append(item)
                if len(chunk) == _TEXTS:
                    self.do(parts.IndexTexts(chunk))
                    chunk = []
            if chunk:
                self.do(parts.IndexTexts(chunk))
            self.settle()

    def settle_orders(self) -> None:
        """Rejects orders to runs that had ended before they saw them: a later attempt must not obey."""
        for command_id, _ in self.reader.rows("open_orders_of_ended"):
            self.do(MoveCommand(command_id, "rejected", "the run had ended"))
        self.settle()
