"""The codes of findings: what each means, and whether a repair can rebuild what it names."""

from typing import Final

import msgspec

from runstone.domain.records import Finding


class Code(msgspec.Struct, frozen=True):
    """One kind of finding."""

    meaning: str
    remedy: str
    """What `verify --repair` does; empty where it leaves the finding as it is."""


CODES: Final[dict[str, Code]] = {
    # --- the file
    "file_damaged": Code("SQLite cannot read a part of the file.", ""),
    "index_damaged": Code("An index does not fit its table.", "builds the indexes again"),
    "search_damaged": Code("The full-text index contradicts itself.", "builds the full-text index again"),
    "row_invalid": Code("A row breaks a rule of the schema: a bound, a type, a value that is missing.", ""),
    "reference_missing": Code("A row refers to a run, a value or an owner that is not there.", ""),
    "migration_changed": Code("A migration was applied with another content than this version has.", ""),
    "meta_wrong": Code(
        "What the ledger notes of itself is missing or wrong.",
        "begins a new epoch, so that old cursors get a `reset`; or tells old cursors of a gap",
    ),
    "numbers_behind": Code("A number that was given would be given again.", "sets the counter right"),
    # --- what a run's events say
    "events_missing": Code("Events of the run are gone.", ""),
    "event_unreadable": Code("An event's payload is no JSON, lacks a field, or its value is gone.", ""),
    "event_impossible": Code("The events have a move that no run can make.", ""),
    "events_behind": Code("Rows of the run know of what its events do not: the newest events are gone.", ""),
    "time_impossible": Code("A time is no date.", ""),
    "run_missing": Code("There are events of a run that has no row.", "writes the row from them"),
    "run_row": Code("A field of the run's row is not what its events say.", "writes what they say"),
    "run_lineage": Code("Parent, root and depth do not fit together.", "follows the ids in the events"),
    "attempt_rows": Code("The attempts are not those of the events.", "writes those of the events"),
    "lease_stray": Code("A lease belongs to no open attempt.", "takes it away"),
    "usage_rows": Code("The requests are not those that the events report.", "writes those of the events"),
    "own_totals": Code("The own totals are not the sum of the requests.", "adds them up again"),
    "subtree_totals": Code("The subtree totals are not the sum of their parts.", "adds them up again"),
    "tool_counts": Code("The tool counts are not what events and children say.", "counts again"),
    "list_rows": Code("What lists are filtered by and sorted along is not what the run says.", "writes what it says"),
    "checkpoint_rows": Code("A checkpoint's head is not what its event says.", "writes what it says"),
    "checkpoint_unreadable": Code("A part of a checkpoint's state is missing or damaged.", ""),
    # --- what hangs on runs
    "waits_stray": Code("A run that is not parked waits for children.", "takes the waits away"),
    "wake_missed": Code("What a parked run waited for has ended.", "wakes it"),
    "waits_lost": Code("A parked run waits for children, but for none in particular.", ""),
    "child_stranded": Code("A completed run left a child that nobody will begin.", ""),
    "journal_link": Code("A journal record leads to no child, or to one of another key.", "links the child of its key"),
    "journal_lost": Code("A parent's journal does not know a child that it started.", "writes the record again"),
    "journal_value": Code("The result of a finished step is gone.", ""),
    "question_wrong": Code("A question does not fit its run's status or journal.", ""),
    "card_claim": Code("A card is claimed by a run that does not work on it.", "gives the card back"),
    # --- texts and values
    "thread_numbers": Code("A thread would give a message's number again.", "sets the counter right"),
    "messages_missing": Code("Messages of a thread are gone.", ""),
    "search_missing": Code("Texts cannot be found by search.", "adds them to the index"),
    "search_dead": Code("The search index has entries of texts that are gone.", "takes them away"),
    "blob_damaged": Code("A stored value does not have the content that its name says.", ""),
}  # fmt: skip


def finding(code: str, subject: object, text: str, *, repairable: bool | None = None) -> Finding:
    """A finding; repairable as its code says, unless this one is known to be another case."""
    able = bool(CODES[code].remedy) if repairable is None else repairable
    return Finding(code=code, subject=str(subject), text=text, repairable=able)
