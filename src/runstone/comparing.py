"""`ledger.compare`: two runs side by side, or a fork and its source."""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone.domain import codec, comparison
from runstone.domain.comparison import Comparison, Part, Side
from runstone.domain.records import AgentRun, JournalEntry
from runstone.errors import InvalidInput, NotFound
from runstone.store import rows

if TYPE_CHECKING:
    from runstone.ledger import Ledger

_VALUE_BYTES: Final = 100_000
"""Inputs and results of children above this size are compared as wholes."""


def compare(ledger: "Ledger", a: str, b: str | None = None) -> Comparison:
    """How two runs differ; with one id, a fork and its source. Raises `NotFound` and `InvalidInput`."""
    first, second = _two(ledger, a, b)
    return comparison.compare(_side(ledger, first), _side(ledger, second), _Values(ledger).of)


def _two(ledger: "Ledger", a: str, b: str | None) -> tuple[AgentRun, AgentRun]:
    """The runs; of a fork alone its source first, of a source alone its newest fork second."""
    run = ledger.get_run(a)
    if b is not None:
        return run, ledger.get_run(b)
    if run.forked_from is not None:
        try:
            return ledger.get_run(run.forked_from), run
        except NotFound as error:
            raise NotFound(
                f"run {run.forked_from}, of which run {a} is a fork, was removed",
                hint=f"name another run to compare it with: runstone runs diff {a} OTHER",
                run_id=run.forked_from,
            ) from error
    forks = ledger.list_runs(forked_from=run.id, sort="created", archived=None, limit=1).items
    if not forks:
        raise InvalidInput(
            f"run {a} is no fork and has none", hint=f"name two runs: runstone runs diff {a} OTHER"
        )
    return run, forks[0]


def _side(ledger: "Ledger", run: AgentRun) -> Side:
    told = ledger.telemetry(run.id)
    phases = ledger.phases(run.id) if run.kind == "workflow" else []
    return Side(
        run=run, input=ledger.input(run.id), result=ledger.result(run.id), own=told.own, subtree=told.subtree,
        elapsed_ms=told.elapsed_ms, phases=tuple(phases), parts=tuple(_parts(ledger, run)),
    )  # fmt: skip


def _parts(ledger: "Ledger", run: AgentRun) -> list[Part]:
    """What the run asked for, in order: its journal, then children that no record of it tells of."""
    reader = ledger.reader
    unasked = _unasked(ledger, run)
    journal = [
        entry
        for entry in reader.journal.of(run.id)
        if entry.kind != "timer"
        and not entry.dropped
        and not (entry.superseded and entry.attempt)
        and not (entry.attempt == 0 and entry.child_run_id in unasked)
    ]
    keys = codec.encode([entry.child_pk for entry in journal if entry.child_pk is not None]).decode()
    found = reader.runs.rows("r.id IN {given_keys}", keys=keys)
    children = {row[0]: rows.run(row) for row in found}
    parts = [_recorded(entry, children.get(entry.child_run_id or "")) for entry in journal]
    others = reader.runs.rows("r.parent = :pk", "ORDER BY r.id", pk=reader.runs.pk(run.id))
    unknown = [row for row in others if row[0] not in children and not row[31]]
    sums = reader.usage.sums(row[36] for row in unknown)
    for row in unknown:
        total = sums.get((row[36], 1))
        child = rows.run(row)
        parts.append(
            _child(
                child, child.child_key or child.agent_id or child.kind, child.agent_id or child.kind,
                total.tokens if total else 0, total.cost_picousd if total else 0,
            )
        )  # fmt: skip
    return parts


def _unasked(ledger: "Ledger", run: AgentRun) -> frozenset[str]:
    """Children that a completed fork knew of and did not ask for; none where its events were removed."""
    if run.forked_from is None or run.status != "completed":
        return frozenset()
    pk = ledger.reader.runs.pk(run.id)
    if ledger.reader.rows("any_pruned", run=pk)[0][0]:
        return frozenset()
    known = {
        entry.child_run_id for entry in ledger.journal(run.id) if entry.attempt == 0 and entry.child_run_id
    }
    return frozenset(known - {child for (child,) in ledger.reader.rows("ever_reused", run=pk)})


def _recorded(entry: JournalEntry, child: AgentRun | None) -> Part:
    if child is not None:
        part = _child(child, entry.key, entry.name, entry.child_tokens, entry.child_cost_picousd)
        return msgspec.structs.replace(part, phase=entry.phase, reused=entry.attempt == 0)
    name = entry.ref or (None if entry.value is None else codec.digest(entry.value.encode()))
    return Part(
        kind="child" if entry.kind == "removed" else entry.kind, name=entry.name, key=entry.key, phase=entry.phase,
        child_run_id=None, title=None, status="completed", tokens=entry.child_tokens,
        cost_picousd=entry.child_cost_picousd, elapsed_ms=None, reused=entry.attempt == 0, result_name=name,
    )  # fmt: skip


def _child(run: AgentRun, key: str, name: str, tokens: int, cost_picousd: int) -> Part:
    took = None
    if run.started_at is not None:
        took = int(((run.completed_at or run.updated_at) - run.started_at).total_seconds() * 1000)
    return Part(
        kind="child", name=name, key=key, phase=run.phase, child_run_id=run.id, title=run.title, status=run.status,
        tokens=tokens, cost_picousd=cost_picousd, elapsed_ms=took, reused=False, input_name=run.input_ref,
        result_name=run.result_ref, error=(run.error or {}).get("message"),
    )  # fmt: skip


class _Values:
    """Inputs and results of parts, read where they are short."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def of(self, part: Part) -> tuple[Any, Any]:
        """The input and the result; unset where there is none, or where it is long."""
        return self._value(part.input_name), self._value(part.result_name if part.child_run_id else None)

    def _value(self, digest: str | None) -> Any:
        if digest is None:
            return msgspec.UNSET
        size = self._ledger.reader.rows("blob", digest=digest)
        if not size or size[0][2] > _VALUE_BYTES:
            return msgspec.UNSET
        return self._ledger.reader.values.json(digest)
