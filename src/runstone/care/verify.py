"""Proving the ledger: the file is sound, each row is the fold of its events, and totals are the sums of their parts."""

from typing import TYPE_CHECKING, Any

import msgspec

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.domain.telemetry import Usage
from runstone.errors import RunstoneError
from runstone.store.blobs import unpack
from runstone.store.reads import Reader
from runstone.store.sqlite import migrate

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_PAGE = 500

_CHECKS = {
    "seq_gaps": "the events of run {0} have gaps (seq {1} to {2}, {3} events)",
    "wrong_own_totals": "the own totals of run {0} are not the sum of its requests",
    "wrong_subtree_totals": "the subtree totals of run {0} are not the sum of their parts",
    "wrong_tools": "the tool counts of run {0} are not the sum of their parts",
    "wrong_leases": "run {0} has a lease that belongs to no open attempt",
    "wrong_attempts": "the attempts of run {0} do not fit its status",
    "wrong_waits": "run {0} waits for children, but it is not parked",
    "wrong_inputs": "the questions of run {0} do not fit its status or its journal",
    "wrong_lineage": "the parent, root or depth of run {0} do not fit together",
}

_NOT_FOLDED = frozenset({"pk", "run_id", "parent", "root", "last_seq"})


def verify(ledger: "Ledger") -> list[str]:
    """What is wrong, a sentence each; nothing is changed."""
    reader = ledger.reader
    reader.renew()  # the check of the full-text index believes what its connection remembers from the last time
    found = [f"SQLite: {row[0]}" for row in reader.rows("integrity") if row[0] != "ok"]
    if found:
        return found  # what a damaged file says beyond that is worth nothing
    found += [
        f"row {row[1]} of {row[0]} refers to a missing {row[2]}" for row in reader.rows("broken_references")
    ]
    found += migrate.verify_records(reader.db)  # type: ignore[arg-type]
    for check, sentence in _CHECKS.items():
        found += [sentence.format(*row) for row in reader.rows(check)]
    orphaned = reader.rows("events_without_run")[0][0]
    if orphaned:
        found.append(f"{orphaned} events belong to no run")
    found += _folds(reader)
    found += _blobs(reader)
    return found


def _folds(reader: Reader) -> list[str]:
    """Each row against the fold of its events."""
    found, after = [], 0
    while keys := [pk for (pk,) in reader.rows("all_run_pks", after=after, limit=_PAGE)]:
        for pk in keys:
            with (
                reader.db.snapshot()
            ):  # others write meanwhile: row, events and totals are those of one moment
                found += _fold_of(reader, pk)
        after = keys[-1]
    return found


def _fold_of(reader: Reader, pk: int) -> list[str]:
    (*fields, last_seq) = reader.rows("head_by_pk", value=pk)[0]
    names = [name for name in Head.__struct_fields__ if name != "last_seq"]
    stored = Head(**dict(zip(names, fields, strict=True)), last_seq=last_seq or 0)
    own = OwnTelemetry()
    try:
        folded = fold(reader, stored, own)
    except RunstoneError as error:
        return [f"the events of run {stored.run_id} cannot be folded: {error}"]
    wrong = [n for n in names if n not in _NOT_FOLDED and getattr(folded, n) != getattr(stored, n)]
    found = own.differs(reader, stored)
    return found + [
        f"run {stored.run_id}: {n} is {getattr(stored, n)!r}, its events say {getattr(folded, n)!r}"
        for n in wrong
    ]


class OwnTelemetry:
    """What a run's events say that it spent by itself: requests by provider and model, and tool calls."""

    def __init__(self) -> None:
        self.requests: dict[str, Usage] = {}
        self.tools = [0, 0]
        self.pruned = False

    def add(self, kind: str, payload: Any, at: int) -> None:
        """Adds an event."""
        if kind == "usage.reported":
            self.requests[payload["request_id"]] = Usage.from_payload(payload, at)
        elif kind == "usage.repriced" and (known := self.requests.get(payload["request_id"])) is not None:
            new = {name: payload[name] for name in ("cost_picousd", "cost_source", "prices")}
            self.requests[known.request_id] = msgspec.structs.replace(known, **new)
        elif kind == "run.attached":
            for request_id in payload.get("repeated", ()):
                self.requests.pop(request_id, None)
        elif kind == "tool.completed":
            self.tools[0] += 1
            self.tools[1] += payload.get("ok") is False
        elif kind == "run.pruned":
            self.pruned = True  # the requests' own table is all that is left of them

    def differs(self, reader: Reader, head: Head) -> list[str]:
        """Where the totals say something else, a sentence each."""
        if self.pruned:
            return []
        sums: dict[tuple[str, str], list[int]] = {}
        for usage in self.requests.values():
            have = sums.setdefault((usage.provider, usage.model), [0] * len(usage.counts()))
            sums[usage.provider, usage.model] = [a + b for a, b in zip(have, usage.counts(), strict=True)]
        rows = reader.rows("totals_of", run=head.pk)
        stored = {(p, m): counts for p, m, scope, *counts in rows if scope == 0 and any(counts)}
        found = []
        if stored != sums:
            found.append(f"the own totals of run {head.run_id} are not what its events add up to")
        tools = [row[2:] for row in reader.rows("tools_of", run=head.pk) if row[1] == 0]
        if [sum(column) for column in zip(*tools, strict=True)] != (self.tools if self.tools[0] else []):
            found.append(f"the tool counts of run {head.run_id} are not what its events add up to")
        return found


def fold(reader: Reader, stored: Head, own: OwnTelemetry | None = None) -> Head:
    """What the events of a run add up to, as far as the row had come when it was read."""
    head = Head(pk=stored.pk, run_id=stored.run_id, kind="", parent=stored.parent, root=stored.root)
    after = 0
    while events := reader.rows("events_after", run=stored.pk, after=after, limit=_PAGE):
        for seq, _, kind, version, text, ref, _, when, _, _ in events:
            if seq > stored.last_seq:
                head.last_seq = after
                return head  # written since the row was read
            needed = kind in runs.FOLDED_TYPES or kind in ("tool.completed", "usage.repriced")
            payload = codec.upcast(kind, version, codec.decode(reader.text(text, ref))) if needed else {}
            if kind == "run.created":
                head.kind = payload["kind"]
            runs.apply(head, kind, payload, when)
            if own is not None:
                own.add(kind, payload, when)
            after = seq
    head.last_seq = after
    return head


def _blobs(reader: Reader) -> list[str]:
    """Blobs whose content is not what their digest says."""
    found, after = [], 0
    while page := reader.rows("blob_page", after=after, limit=100):
        for number, digest, codec_, data in page:
            try:
                unpack(digest, codec_, data)
            except RunstoneError as error:
                found.append(f"{error}")
            after = number
    return found


def head_fields(head: Head) -> dict[str, object]:
    """The folded fields of a head, for messages and tests."""
    return {name: value for name, value in msgspec.structs.asdict(head).items() if name not in _NOT_FOLDED}
