"""Runs written again from their events. Each write decides anew what is wrong, and changes nothing that is right.

Events never change, so that a history may be added up before: here it is brought up to the last event, and only then
compared. So a repair is right beside other writers, may be cut off anywhere, and does nothing the second time. A run
whose events cannot be relied on is refused: what its rows say is left as it is.
"""

from collections.abc import Iterable
from typing import Any, Final

from runstone.domain import codec
from runstone.domain.history import AttemptRow, CheckpointRow, History
from runstone.domain.runs import Head
from runstone.errors import Refused, StoreError
from runstone.store import histories
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import unpack

TAIL: Final = 2_000
"""Events that may have come since the history was added up; after more of them it is added up again."""

_BARE: Final = frozenset({"pk", "run_id", "last_seq"})
_IDENTITY: Final = (
    "kind", "forked_from", "parent_thread_id", "agent_id", "agent_version", "phase", "prompt_ref", "input_ref",
    "child_key", "created_at", "definition_id", "detached", "forked_from_checkpoint",
)  # fmt: skip
"""What no other write changes once the run is there."""


def text_of(batch: Batch, text: str | None, ref: str | None) -> str:
    """Text of a row, or of the blob that it refers to. Raises `StoreError` where the blob is gone or damaged."""
    if ref is None:
        return text or ""
    found = batch.db.rows("blob", {"digest": ref})
    if not found:
        raise StoreError(f"the value {ref[:12]}… is gone")
    return unpack(ref, *found[0][:2]).decode()


def current(batch: Batch, history: History) -> History:
    """The history with all that was written since. Raises `Refused` where it cannot be relied on."""
    pk = history.head.pk
    rows = batch.read("events_of_runs", run=pk, seq=history.last_seq, last=pk, limit=TAIL)
    if len(rows) == TAIL:
        raise Refused(f"run {history.head.run_id} is being written to", hint="run: runstone verify --repair")
    if rows:
        history = history.copy()
        histories.extend(history, rows, lambda text, ref: text_of(batch, text, ref))
    if history.trouble:
        raise Refused(f"run {history.head.run_id}: {history.trouble[0].text}")
    return history


def note(batch: Batch, head: Head, changed: Iterable[str]) -> None:
    """Leaves the trace of a repair in the run."""
    batch.changed.add(head.run_id)
    batch.record(head, "run.repaired", {"changed": list(changed)})


class RebuildRun(Write):
    """Writes the row, the attempts and the heads of the checkpoints, and drops a stray lease.

    The value names what was changed. Raises `Refused` where events, owners or values are missing for it.
    """

    __slots__ = ("history", "size")

    def __init__(self, history: History) -> None:
        self.history = history
        self.size = 2_000 + 200 * (len(history.attempts) + len(history.checkpoints))

    def decide(self, batch: Batch) -> list[str]:
        history = current(batch, self.history)
        pk, says = history.head.pk, history.head
        rows = batch.read("attempts_of_runs", first=pk, last=pk)
        attempts = {row[1]: AttemptRow(*row[1:]) for row in rows if row[1] >= history.known_attempts}
        saved = {
            row[1]: CheckpointRow(*row[1:]) for row in batch.read("checkpoints_of_runs", first=pk, last=pk)
        }
        wrong = [row for number, row in history.checkpoints.items() if saved.get(number) != row]
        known = [batch.read("journal_by", run=pk, at=row.created_at)[0][0] for row in wrong]
        leases = batch.read("lease_of", run=pk)
        owners = {says.owner, *(row.owner for row in history.attempts.values())} - {None}
        _require(batch, "owners_known", "owners", owners, "who held it is not known any more")
        refs = {says.prompt_ref, says.input_ref, says.result_ref} - {None}
        _require(batch, "blobs_known", "digests", refs, "a value that it refers to is gone")
        fields = _fields(batch, says)
        head = _head(batch, pk) or batch.adopt(
            Head(pk=pk, run_id=says.run_id, kind=says.kind, last_seq=history.last_seq)
        )
        changed = _set_fields(batch, head, fields)
        changed += _set_attempts(batch, pk, attempts, history.attempts)
        changed += _set_checkpoints(batch, pk, wrong, known)
        if leases and (says.status != "running" or leases[0][0] != says.attempt):
            batch.stage("delete_lease", pk, leases[0][0])
            changed.append("lease")
        if changed:
            note(batch, head, changed)
        return changed


def _require(batch: Batch, query: str, name: str, wanted: set[Any], told: str) -> None:
    if wanted:
        known = {one for (one,) in batch.read(query, **{name: codec.encode(sorted(wanted)).decode()})}
        if wanted - known:
            raise Refused(f"{told}: {', '.join(sorted(wanted - known))[:100]}")


def _head(batch: Batch, pk: int) -> Head | None:
    return batch.head_at(pk) if batch.read("run_exists", run=pk) else None


def _fields(batch: Batch, says: Head) -> dict[str, Any]:
    """The row's fields as the events say, with the keys that the ids in them lead to."""
    fields = {name: getattr(says, name) for name in Head.__struct_fields__ if name not in _BARE}
    above = batch.find(says.parent_run_id) if says.parent_run_id is not None else None
    root = None if says.root_run_id == says.run_id else batch.find(says.root_run_id)
    if (above is None) != (says.depth == 0) or (root is None) != (says.depth == 0):
        raise Refused(f"run {says.run_id} is below run {says.parent_run_id}, which is not there")
    fields["parent"] = above.pk if above is not None else None
    fields["root"] = root.pk if root is not None else says.pk
    return fields


def _set_fields(batch: Batch, head: Head, fields: dict[str, Any]) -> list[str]:
    changed = [name for name, value in fields.items() if getattr(head, name) != value]
    if not changed:
        return []
    batch.touch(head)
    for name in changed:
        setattr(head, name, fields[name])
    if not set(_IDENTITY).isdisjoint(changed):
        batch.stage("rewrite_identity", head.pk, *(fields[name] for name in _IDENTITY))
    return changed


def _set_attempts(
    batch: Batch, pk: int, have: dict[int, AttemptRow], says: dict[int, AttemptRow]
) -> list[str]:
    for number in have.keys() - says.keys():
        batch.stage("delete_attempt", pk, number)
    for number, row in says.items():
        if have.get(number) != row:
            values = (row.owner, row.started_at, row.ended_at, row.outcome, row.reason, row.first_seq)
            batch.stage("rewrite_attempt", pk, number, *values)
    return ["attempts"] if have != says else []


def _set_checkpoints(batch: Batch, pk: int, wrong: list[CheckpointRow], known: list[int]) -> list[str]:
    for row, newest in zip(wrong, known, strict=True):
        values = (row.attempt, row.label, row.definition_hash, row.parent, row.created_at, newest)
        batch.stage("rewrite_checkpoint", pk, row.number, *values)
    return ["checkpoints"] if wrong else []


class RebuildRequests(Write):
    """Writes some of a run's requests as its events report them, and drops those that they do not.

    The value says whether anything was changed. A request that another run of the tree has is left alone.
    """

    __slots__ = ("history", "ids", "size")

    def __init__(self, history: History, ids: list[str]) -> None:
        self.history = history
        self.ids = ids
        self.size = 500 * len(ids)

    def decide(self, batch: Batch) -> bool:
        history = current(batch, self.history)
        if history.pruned:
            raise Refused(f"the reports of run {history.head.run_id} were removed")
        head = batch.head_at(history.head.pk)
        rows = batch.read("requests_of_run", run=head.pk, ids=codec.encode(self.ids).decode())
        have = {row[1]: row for row in rows}
        taken = {one for one in self.ids if self._is_taken(batch, head, one)}
        changed = [
            one
            for one in self.ids
            if one not in taken and self._set(batch, head, history, one, have.get(one))
        ]
        if changed:
            note(batch, head, ["requests"])
        return bool(changed)

    @staticmethod
    def _is_taken(batch: Batch, head: Head, request_id: str) -> bool:
        """Whether another run of the tree has the request."""
        return any(
            run != head.pk for (run,) in batch.read("request_known", root=head.root, request_id=request_id)
        )

    @staticmethod
    def _set(batch: Batch, head: Head, history: History, request_id: str, row: Row | None) -> bool:
        """Stages what is to change about one request."""
        request = history.requests.get(request_id)
        if request is None:
            if row is not None:
                batch.stage("forget_request", row[0])
            return row is not None
        values = (request.attempt, request.usage.at, *request.usage.columns())
        if row is None:
            batch.stage("insert_usage", head.pk, head.root, request_id, *values)
        elif (*row[2:-1], row[-1]) != (*values, head.root):
            batch.stage("rewrite_request", row[0], head.root, *values)
        else:
            return False
        return True


class RebuildSums(Write):
    """Adds up a run's totals and tool counts again: own ones from requests and events, those below from its children.

    A tree is done from its leaves up. The value names what was changed.
    """

    __slots__ = ("history",)

    def __init__(self, history: History) -> None:
        self.history = history

    def decide(self, batch: Batch) -> list[str]:
        pk = self.history.head.pk
        head = batch.head_at(pk)
        totals = _by_key(batch.read("all_totals_of", run=pk), 3)
        wanted = _by_key(batch.read("own_and_below", run=pk), 3)
        tools = _by_key(batch.read("all_tools_of", run=pk), 2)
        counted = self._tools(batch, pk, tools)
        changed = _set_sums(batch, pk, totals, wanted, ("rewrite_totals", "delete_sum", "totals"))
        changed += _set_sums(batch, pk, tools, counted, ("rewrite_tool", "delete_tool", "tool counts"))
        if changed:
            note(batch, head, changed)
        return changed

    def _tools(self, batch: Batch, pk: int, have: dict[Row, Row]) -> dict[Row, Row]:
        """What the tool counts should be. Own ones stay where their sum is right: a call may not name its tool."""
        own = {tool: tuple(counts) for (scope, tool), counts in have.items() if scope == 0}
        if not self.history.pruned and not self.history.trouble:
            says = current(batch, self.history).tools
            if _both(own.values()) != _both(says.values()):
                own = dict(says)
        below = {tool: list(counts) for tool, counts in own.items()}
        for tool, calls, failed in batch.read("tools_below", run=pk):
            have_calls, have_failed = below.get(tool, (0, 0))
            below[tool] = [have_calls + calls, have_failed + failed]
        found: dict[Row, Row] = {(0, tool): counts for tool, counts in own.items()}
        return found | {(1, tool): tuple(counts) for tool, counts in below.items()}


def _both(counts: Iterable[Row]) -> tuple[int, int]:
    pairs = list(counts)
    return sum(calls for calls, _ in pairs), sum(failed for _, failed in pairs)


def _by_key(rows: list[Row], width: int) -> dict[Row, Row]:
    return {tuple(row[:width]): tuple(row[width:]) for row in rows}


def _set_sums(
    batch: Batch, pk: int, have: dict[Row, Row], wanted: dict[Row, Row], how: tuple[str, str, str]
) -> list[str]:
    """Stages sums that differ; those that add up to nothing may stand or not."""
    rewrite, delete, name = how
    wrong = [
        key for key, counts in wanted.items() if have.get(key) != counts and (any(counts) or key in have)
    ]
    stray = [key for key, counts in have.items() if key not in wanted and any(counts)]
    for key in wrong:
        batch.stage(rewrite, pk, *key, *wanted[key])
    for key in stray:
        batch.stage(delete, pk, *key)
    scopes = {key[0] for key in (*wrong, *stray)}
    return [("own " if scope == 0 else "subtree ") + name for scope in sorted(scopes)]
