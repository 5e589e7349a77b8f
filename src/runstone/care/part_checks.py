"""What hangs on runs: lineage, sums over trees, waits, journals, cards, threads, search, states and values."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, count, takewhile
from typing import Any, Final

import msgspec

from runstone.care.findings import finding
from runstone.domain import groups
from runstone.domain.records import Finding
from runstone.domain.state import LENGTH
from runstone.errors import RunstoneError, StoreCorrupt, StoreError
from runstone.store.base import Row
from runstone.store.blobs import decompress, unpack
from runstone.store.reads import Reader
from runstone.store.writes.texts import indexed

_PAGE = 1_000

_CHECKS: Final = (
    ("wrong_lineage", "run_lineage", "the parent, root or depth of run {0} do not fit together"),
    ("wrong_own_totals", "own_totals", "the own totals of run {0} are not the sum of its requests"),
    ("wrong_subtree_totals", "subtree_totals", "the subtree totals of run {0} are not the sum of their parts"),
    ("wrong_costs", "list_rows", "the cost that run {0} is sorted by is not that of its subtree"),
    ("wrong_labels", "list_rows", "label {1} of run {0} is not found as it is set"),
    ("wrong_tools", "tool_counts", "the tool counts of run {0} are not the sum of their parts"),
    ("stray_waits", "waits_stray", "run {0} waits for children, but it is not parked"),
    ("missed_wakes", "wake_missed", "run {0} is parked, though what it waited for has ended"),
    ("lost_waits", "waits_lost",
     "run {0} is parked for children, but for none in particular; type: runstone resume {0}"),
    ("never_begun_below_completed", "child_stranded",
     "run {0} will not begin: its parent {1} has completed; type: runstone runs stop {0}"),
    ("wrong_inputs", "question_wrong", "the questions of run {0} do not fit its status or its journal"),
    ("crossed_links", "journal_link", "the journal of run {0} has child {1} under another key"),
    ("unknown_children", "journal_lost", "the journal of run {0} does not know its child {1}"),
    ("lost_results", "journal_value", "the result of step {1} of run {0} is gone"),
    ("threads_behind", "thread_numbers", "thread {0} counts {1} messages, but has one of number {2}"),
    ("lost_messages", "messages_missing", "thread {0} had {1} messages; {2} are there"),
    ("impossible_times", "time_impossible", "{1} rows of {0} have times that are no dates, or end before they began"),
)  # fmt: skip
"""(statement, code, sentence): each row that the statement gives is a finding about its first column."""


def check_sets(reader: Reader) -> Iterator[Finding]:
    """Rules that single statements ask for."""
    known = set()
    for statement, code, sentence in _CHECKS:
        try:
            rows = reader.rows(statement)
        except StoreCorrupt:
            raise
        except StoreError as error:  # numbers that cannot be added up
            yield finding("row_invalid", statement, f"what {statement} looks at cannot be read: {error}")
            continue
        for row in rows:
            told = sentence.format(*row)
            if told not in known:
                known.add(told)
                yield finding(code, row[0], told)
    for run_id, number, _, name in reader.rows("loose_links"):
        told = f"journal record {number} of run {run_id} ({name}) leads to no child"
        yield finding("journal_link", run_id, told)
    for card_id, run_id, status in reader.rows("stray_claims"):
        holder = "a run that is not there" if run_id is None else f"run {run_id}, which is {status}"
        yield finding("card_claim", card_id, f"card {card_id} is claimed by {holder}")


SOURCES: Final = ("title", "prompt", "summary")
"""Texts of a run that the index holds once; its errors it holds all."""


# --- search ---------------------------------------------------------------------------------------------------------


def check_search(reader: Reader) -> Iterator[Finding]:
    """Texts that cannot be found, and entries of the index that nothing stands for."""
    missing = sum(1 for _ in unindexed(reader))
    if missing:
        yield finding("search_missing", "search", f"{missing} texts cannot be found by search")
    dead = sum(1 for name in ("dead_entries", "dead_texts") for _ in numbers(reader, name))
    if dead:
        yield finding(
            "search_dead", "search", f"{dead} entries of the search index are of texts that are gone"
        )


def unindexed(reader: Reader) -> Iterator[tuple[str, int]]:
    """What the index lacks: (`text`, id), (`message`, id), or a run's (`title`, id) and so on."""
    for number in numbers(reader, "unindexed_texts"):
        yield "text", number
    after = 0
    while rows := reader.rows("messages_without_text", after=after, limit=_PAGE):
        after = rows[-1][0]
        for number, text, ref in rows:
            if _is_searched(reader, text, ref):
                yield "message", number
    for source in SOURCES:
        for pk in numbers(reader, "runs_without_text", source=source):
            yield source, pk
    for pk in numbers(reader, "runs_without_errors"):
        yield "error", pk


def numbers(reader: Reader, statement: str, **params: str) -> Iterator[int]:
    """The integer keys that a statement gives, in pages."""
    after = 0
    while rows := reader.rows(statement, after=after, limit=_PAGE, **params):
        after = rows[-1][0]
        yield from (number for (number,) in rows)


def _is_searched(reader: Reader, text: str | None, ref: str | None) -> bool:
    """Whether a message's text has something to find: blank ones have no entry."""
    try:
        return bool(indexed(reader.values.text(text, ref)).strip())
    except RunstoneError:
        return False  # its value is gone, which has a finding of its own


# --- states and values ----------------------------------------------------------------------------------------------

_json = msgspec.json.Decoder(msgspec.Raw)


def check_states(reader: Reader) -> Iterator[Finding]:
    """Checkpoints that could not be put together: a part that is missing, or is no JSON."""
    after = 0
    while runs := reader.rows("checkpointed_runs", after=after, limit=_PAGE):
        after = runs[-1][0]
        for pk, run_id, _ in runs:
            with reader.db.snapshot():  # a prune may take places away meanwhile
                wrong = _wrong_place(reader, pk)
            if wrong is not None:
                told = f"checkpoint {wrong[0]} of run {run_id} cannot be read: {wrong[1]}"
                yield finding("checkpoint_unreadable", run_id, told)


def _wrong_place(reader: Reader, pk: int) -> tuple[int, str] | None:
    """The first place of a run's states that is damaged: (checkpoint, what is wrong)."""
    path, item, since = "", -(2**62), 0
    kept = [number for (number,) in reader.rows("kept_numbers", run=pk)]
    lists = _Lists(reader, kept)
    while rows := reader.rows("places_of", run=pk, path=path, item=item, since=since, limit=_PAGE):
        path, item, since = rows[-1][:3]
        for row in rows:
            if (wrong := _unreadable(reader, row, kept) or lists.wrong(row)) is not None:
                return wrong
    return lists.unmet()


def _shown_at(since: int, kept: Sequence[int]) -> int:
    """The first checkpoint that a row serves: the one that it was saved with may have been removed."""
    index = bisect_left(kept, since)
    return kept[index] if index < len(kept) else since


def _unreadable(reader: Reader, row: Row, kept: Sequence[int]) -> tuple[int, str] | None:
    path, item, since, _, value, ref = row
    if value is None and ref is None:
        return None  # gone since this checkpoint
    try:
        data = _value(reader, row)
        _json.decode(data)
        if groups.number_of(item) is not None:
            groups.unpack(item, data, raw=True)
    except (RunstoneError, ValueError) as error:
        return _shown_at(since, kept), f"{path}[{item}]: {error}" if item >= 0 else f"{path}: {error}"
    return None


def _value(reader: Reader, row: Row) -> bytes:
    """The JSON of a row that has some."""
    *_, number, value, ref = row
    return reader.values.blob(ref) if ref is not None else decompress(number, value)


class _Lists:
    """Whether each list has all of its items at each of its lengths; rows come by path: groups, lengths, items."""

    def __init__(self, reader: Reader, kept: Sequence[int]) -> None:
        self._reader = reader
        self._kept = kept
        self._path: str | None = None
        self._lengths: list[tuple[int, int]] = []  # (length, since)
        self._first: dict[int, int] = {}  # for each item the checkpoint that brought it

    def wrong(self, row: Row) -> tuple[int, str] | None:
        """What is wrong with the path before, if this row begins another."""
        path, item, since, _, value, _ = row
        found = None
        if path != self._path:
            found = self.unmet()
            self._path, self._lengths, self._first = path, [], {}
        if item == LENGTH and value is not None:
            self._lengths.append((int(value), _shown_at(since, self._kept)))
        for index in self._items(row):
            self._first.setdefault(index, since)
        return found

    def _items(self, row: Row) -> Iterable[int]:
        """The items that a row has."""
        if row[1] >= 0:
            return [row[1]]
        if groups.number_of(row[1]) is None:
            return []
        return groups.unpack(row[1], _value(self._reader, row), raw=True)[0]

    def unmet(self) -> tuple[int, str] | None:
        """The first checkpoint whose list lacks an item."""
        there = takewhile(lambda index: index in self._first, count())
        known = list(accumulate((self._first[index] for index in there), max))
        lacking = [at for n, at in self._lengths if n and (n > len(known) or known[n - 1] > at)]
        return (min(lacking), f"items of {self._path} are missing") if lacking else None


def check_blobs(reader: Reader) -> Iterator[Finding]:
    """Values whose content is not what their digest says."""
    after = 0
    while page := reader.rows("blob_page", after=after, limit=100):
        after = page[-1][0]
        for _, digest, codec_, data in page:
            try:
                unpack(digest, codec_, data)
            except RunstoneError as error:
                yield finding("blob_damaged", digest, f"{error}")


def leftovers(reader: Reader) -> dict[str, Any]:
    """What is no damage, and can go: values that nothing refers to, orders to runs that ended before they saw them."""
    count, size = reader.rows("unreferenced_blobs")[0]
    return {"blobs": count, "blob_bytes": size, "orders": len(reader.rows("open_orders_of_ended"))}
