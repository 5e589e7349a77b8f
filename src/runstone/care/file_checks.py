"""The file itself: what SQLite finds in it, references, counters, and what the ledger notes of itself."""

import re
from collections.abc import Iterator
from typing import Any, Final

from runstone.care.findings import finding
from runstone.domain.records import Finding
from runstone.errors import StoreCorrupt
from runstone.store import migrations
from runstone.store.reads import Reader

_INDEX: Final = re.compile(r"(?:row \d+ missing from|wrong # of entries in|non-unique entry in) index (\S+)")
_ROW: Final = re.compile(r"(?:CHECK constraint failed in|NULL value in|\S+ value in|NUMERIC value in) (\w+)")
_SEARCH: Final = re.compile(r"fts5|inverted index", re.IGNORECASE)

_EPOCH: Final = re.compile(r"[0-9a-f]{8,}")


def check_file(reader: Reader) -> list[Finding]:
    """What SQLite's own check says, a finding for each index, table or page."""
    found: dict[tuple[str, str], Finding] = {}
    try:
        rows = reader.rows("integrity")
    except StoreCorrupt as error:  # not even the check can read it
        return [finding("file_damaged", "ledger.db", f"SQLite: {error}")]
    for (sentence,) in rows:
        if sentence != "ok":
            one = _finding(str(sentence))
            found.setdefault((one.code, one.subject), one)
    return list(found.values())


def _finding(sentence: str) -> Finding:
    told = f"SQLite: {sentence}"
    if (index := _INDEX.search(sentence)) is not None:
        # Two rows where a rule allows one: no index can be built over them.
        return finding("index_damaged", index[1], told, repairable="non-unique" not in sentence)
    if _SEARCH.search(sentence):
        return finding("search_damaged", "search", told)
    if (row := _ROW.match(sentence)) is not None:
        return finding("row_invalid", row[1].split(".")[0], told)
    return finding("file_damaged", "ledger.db", told)


_STRAY: Final = frozenset({("texts", "runs"), ("texts", "messages"), ("cards", "runs")})
_LINKS: Final = frozenset({("journal", "runs")})


def check_references(reader: Reader) -> Iterator[Finding]:
    """References to rows that are not there; those that have a finding of their own are left to it."""
    known = set()
    for table, row, target, _ in reader.rows("broken_references"):
        if (table, target) in _STRAY | _LINKS or (table, row, target) in known:
            continue
        known.add((table, row, target))
        place = f"row {row} of {table}" if row is not None else f"a row of {table}"
        yield finding("reference_missing", table, f"{place} refers to a missing row of {target}")


def check_rules(reader: Reader) -> Iterator[Finding]:
    """Rows that the schema forbids: bounds, and values that contradict each other."""
    for table, row in reader.rows("broken_rules"):
        yield finding("row_invalid", row, f"row {row} of {table} breaks a rule of the schema")


def check_meta(reader: Reader) -> Iterator[Finding]:
    """Migrations, epoch, counters."""
    for sentence in migrations.altered(reader.db):
        yield finding("migration_changed", "migrations", sentence)
    meta: dict[str, Any] = dict(reader.rows("all_meta"))
    if not _EPOCH.fullmatch(meta.get("epoch", "")):
        yield finding(
            "meta_wrong", "epoch", "the ledger's epoch is missing or no epoch; cursors are bound to it"
        )
    if not meta.get("removed_up_to", "0").isdecimal():
        yield finding(
            "meta_wrong", "removed_up_to", "the position up to which events were removed is no number"
        )
    for table, has, last in reader.rows("numbers_behind"):
        told = f"the counter of {table} stands at {has}, but {last} was given: numbers would be given again"
        yield finding("numbers_behind", table, told)
