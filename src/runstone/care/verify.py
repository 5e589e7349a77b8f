"""Proving the ledger: the file is sound, each row is what events say, and sums are the sums of their parts."""

from typing import Protocol

from runstone.care import file_checks, part_checks, run_checks
from runstone.care.run_checks import Progress
from runstone.domain.records import Finding
from runstone.store.reads import Reader

_UNREADABLE = frozenset({"file_damaged", "index_damaged"})


class Readable(Protocol):
    """A ledger, as far as verifying needs one."""

    @property
    def reader(self) -> Reader:
        """The reading half."""


def verify(ledger: Readable, progress: Progress | None = None) -> list[Finding]:
    """What is wrong, a finding each; nothing is changed. Linear in the ledger; others may write meanwhile.

    `progress` is told how many runs were proved, of how many. Of a file that SQLite cannot read, or whose indexes lead
    astray, nothing else is said: it would be worth nothing.
    """
    reader = ledger.reader
    reader.renew()  # the check of the full-text index believes what its connection remembers from the last time
    found = file_checks.check_file(reader)
    if any(one.code in _UNREADABLE for one in found):
        return found
    found += file_checks.check_references(reader)
    found += file_checks.check_rules(reader)
    found += file_checks.check_meta(reader)
    found += run_checks.check_runs(reader, progress)
    found += part_checks.check_sets(reader)
    if not any(one.code == "search_damaged" for one in found):
        found += part_checks.check_search(reader)
    found += part_checks.check_states(reader)
    found += part_checks.check_blobs(reader)
    return _each_once(found)


def _each_once(found: list[Finding]) -> list[Finding]:
    """Two ways of looking may see the same; what one run's sums lack is told once."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for one in found:
        key = (one.code, one.subject)
        if key not in seen or one.code not in ("own_totals", "tool_counts"):
            kept.append(one)
        seen.add(key)
    return kept
