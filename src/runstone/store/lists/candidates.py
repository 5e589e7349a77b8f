"""Runs that a list can only be among, where a filter leaves few: they are looked at one by one, and sorted.

An index serves one filter in one order. Any other pair is served like this: where some filter leaves few runs, those
are all that need to be read; where none does, a walk along the order meets runs that fit soon enough.
"""

from typing import Any, Final

import msgspec

from runstone.store.lists.filters import Wanted
from runstone.store.reading.search import quoted
from runstone.store.reads import Reader

FEW: Final = 4_000
"""Reading so many rows takes about as long as walking past those that do not fit, where a filter leaves more."""

TEXTS: Final = 20_000
"""A word that more texts hold finds the runs of the newest of them."""


class Candidates(msgspec.Struct):
    """Keys of runs; None: any run. `complete` is False where texts beyond `TEXTS` hold the words, too."""

    keys: list[int] | None = None
    complete: bool = True


def newest_text(reader: Reader) -> int:
    """The number of the newest text. A list is about those up to it: later ones make no run enter it between pages."""
    return int(reader.rows("newest_text")[0][0])


def find(reader: Reader, wanted: Wanted, *, sort: str | None, texts: int) -> Candidates:
    """The runs that the list is among. `sort` is the order that a walk would go along; None if all are read anyway."""
    if wanted.words is not None:
        return _with_words(reader, wanted.words, texts)
    if not wanted.labels and not wanted.pinned and not _needs_sorting(wanted, sort):
        return Candidates()
    for tables, clauses in _searches(wanted, sort):
        keys = _few(reader, tables, clauses, wanted.params)
        if keys is not None:
            return Candidates(keys)
    return Candidates()


def _needs_sorting(wanted: Wanted, sort: str | None) -> bool:
    if any(name != sort for name in wanted.spans):
        return True
    return sort not in (None, "updated") and any(name != "depth" for name in wanted.alternatives)


def _searches(wanted: Wanted, sort: str | None) -> list[tuple[str, list[str]]]:
    """What may leave few, each a search in an index: tables and conditions, no two of which hold."""
    plain = {
        name: clauses
        for name, clauses in wanted.alternatives.items()
        if name not in ("status", "kind", "depth")
    }
    found = [("run_tables", ["r.pinned = 1"])] if wanted.pinned else []
    found += [("run_tables", clauses) for clauses in plain.values()]
    found += [("label_keys", clauses) for clauses in wanted.labels]
    for name, clause in wanted.spans.items():
        if name != sort:
            listed = " AND r.archived = 0" if name == "updated" and wanted.archived is False else ""
            found.append(("run_tables", [clause + listed]))
    for name in ("kind", "status"):
        if name in wanted.alternatives:
            found.append(("run_tables", wanted.alternatives[name]))
    return found


def _few(reader: Reader, tables: str, clauses: list[str], params: dict[str, Any]) -> list[int] | None:
    """The keys that fit, unless there are many."""
    found: list[int] = []
    for clause in clauses:
        found += reader.runs.keys(tables, clause, "LIMIT :few", few=FEW + 1 - len(found), **params)
        if len(found) > FEW:
            return None
    return found


def _with_words(reader: Reader, words: str, texts: int) -> Candidates:
    query = quoted(words)
    if query is None:
        return Candidates([])
    rows = reader.rows("runs_with_words", query=query, newest=texts, limit=TEXTS)
    return Candidates([run for run, _ in rows if run is not None], sum(count for _, count in rows) < TEXTS)
