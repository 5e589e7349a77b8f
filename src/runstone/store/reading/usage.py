"""Reading what runs cost."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runstone.domain import codec
from runstone.domain.bounds import asked_id
from runstone.domain.records import AgentRun, ModelTotals, RunTelemetry, Totals
from runstone.domain.telemetry import to_usd
from runstone.errors import NotFound
from runstone.store import rows

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Usage:
    """Sums of runs, own and of their subtree."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def sums(self, keys: Iterable[int]) -> dict[tuple[int, int], Totals]:
        """Sums by (integer key, scope 0 own or 1 subtree)."""
        found = self._reader.rows("totals_of_many", runs=codec.encode(list(keys)).decode())
        return {(run, scope): rows.totals(tuple(counts)) for run, scope, *counts in found}

    def of(self, run_id: str) -> RunTelemetry:
        """What the run cost, own and subtree."""
        row = self._reader.runs.rows("r.run_id = :run_id", run_id=asked_id("a run's id", run_id))
        if not row:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        record, (pk, active_ms, attempt_at, model, provider, reused) = rows.run(row[0]), row[0][36:42]
        models: dict[tuple[str, str], list[Totals]] = {}
        for name, version, scope, *counts in self._reader.rows("totals_of", run=pk):
            models.setdefault((name, version), [Totals(), Totals()])[scope] = rows.totals(tuple(counts))
        tools = self._reader.rows("tools_of", run=pk)
        until = self._until(record, row[0][27], pk)
        reuse = codec.decode(reused) if reused else {"children": 0, "tokens": 0, "cost_picousd": 0}
        if attempt_at is not None:
            active_ms += max(0, until - attempt_at) // 1000
        return RunTelemetry(
            run_id=run_id,
            own=sum((own for own, _ in models.values()), Totals()),
            subtree=sum((subtree for _, subtree in models.values()), Totals()),
            models=tuple(
                ModelTotals(provider=p, model=m, own=o, subtree=s) for (p, m), (o, s) in models.items()
            ),
            tool_counts={tool: calls for tool, scope, calls, _ in tools if scope == 0},
            tool_failures={tool: failed for tool, scope, _, failed in tools if scope == 0 and failed},
            subtree_tool_counts={tool: calls for tool, scope, calls, _ in tools if scope == 1},
            elapsed_ms=max(active_ms, (until - row[0][25]) // 1000) if row[0][25] is not None else 0,
            active_ms=active_ms,
            model=model,
            provider=provider,
            error=record.error,
            reused={
                "children": reuse["children"],
                "tokens": reuse["tokens"],
                "cost_usd": to_usd(reuse["cost_picousd"]),
            },
        )

    def _until(self, record: AgentRun, completed_at: int | None, pk: int) -> int:
        """To when time counts: the end, now, or the last that is known of a run that nobody holds."""
        if completed_at is not None:
            return completed_at
        if record.status in ("interrupted", "paused", "moved"):
            last = self._reader.rows("last_sign", run=pk)
            return int(last[0][0]) if last else self._reader.now()
        return self._reader.now()
