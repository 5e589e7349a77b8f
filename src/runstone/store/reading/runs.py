"""Reading runs: one, rows of many, and trees."""

from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.bounds import asked_id
from runstone.domain.records import AgentRun, Totals, TreeNode
from runstone.errors import AmbiguousId, NotFound
from runstone.store import rows
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Runs:
    """Runs, and what lists of them are made of."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def resolve(self, text: str) -> str:
        """The run id that a person means: the whole of it, or any part that only one run has."""
        if self._reader.rows("pk_of", run_id=asked_id("a run's id", text)):
            return text
        found = [row[0] for row in self._reader.rows("run_ids_with", part=text)] if text else []
        if not found:
            raise NotFound(f"there is no run {text}", run_id=text)
        if len(found) > 1:
            raise AmbiguousId(f"{text} fits {found[0]}, {found[1]} and perhaps more")
        return str(found[0])

    def pk(self, run_id: str) -> int:
        """The integer key of a run. Raises `NotFound`."""
        found = self._reader.rows("pk_of", run_id=asked_id("a run's id", run_id))
        if not found:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return int(found[0][0])

    def rows(self, where: str, tail: str = "", /, **params: Any) -> list[Row]:
        """Rows of run columns; `where` and `tail` are put together from named parts by `store/lists.py`."""
        return self._reader.db.select(
            "run_columns", "run_tables", where, tail, {**self._reader.liveness(), **params}
        )

    def keys(self, tables: str, where: str, tail: str = "", /, **params: Any) -> list[int]:
        """Integer keys of the runs that fit, from named tables."""
        found = self._reader.db.select(
            "label_key" if tables == "label_keys" else "run_key", tables, where, tail,
            {**self._reader.liveness(), **params},
        )  # fmt: skip
        return [pk for (pk,) in found]

    def count(self, where: str, params: dict[str, Any], *, stored: bool = False) -> list[tuple[str, int]]:
        """(shown status, count) of the runs that fit; `stored` takes the status as it was written."""
        columns, tables = ("stored_status", "runs_alone") if stored else ("shown_status", "run_tables")
        found = self._reader.db.select(
            columns, tables, where, "GROUP BY 1", {**self._reader.liveness(), **params}
        )
        return [(status, count) for status, count in found]

    def groups(
        self, by: str, where: str, params: dict[str, Any], *, limit: int
    ) -> list[tuple[Any, int, int]]:
        """(what they have in common, count, last change) of the runs that fit; the group that changed last is first."""
        tail = "GROUP BY 1 ORDER BY 3 DESC, 1 DESC NULLS LAST LIMIT :group_limit"
        found = self._reader.db.select(
            f"group_by_{by}", "run_tables", where, tail,
            {**self._reader.liveness(), **params, "group_limit": limit},
        )  # fmt: skip
        return [(key, count, newest) for key, count, newest in found]

    def get(self, run_id: str) -> AgentRun:
        """The run. Raises `NotFound`."""
        return rows.run(self.row(run_id))

    def row(self, run_id: str) -> Row:
        """The run's columns. Raises `NotFound`."""
        found = self.rows("r.run_id = :run_id", run_id=asked_id("a run's id", run_id))
        if not found:
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return found[0]

    def children(self, run_id: str) -> list[AgentRun]:
        """The children of a run, in the order in which they were created."""
        return [rows.run(row) for row in self.rows("r.parent = :pk", "ORDER BY r.id", pk=self.pk(run_id))]

    def tree(self, run_id: str) -> TreeNode:
        """The run with all below it."""
        top = self.pk(run_id)
        keys = [row[0] for row in self._reader.rows("tree_of", run=top)]
        chosen = codec.encode(keys).decode()
        found = self.rows("r.id IN {given_keys}", "ORDER BY r.id", keys=chosen)
        sums = self._reader.usage.sums(keys)
        reused = {child for row in found if row[41] for child in self._reused(row)}
        nodes: dict[str, TreeNode] = {}
        below: dict[str | None, list[TreeNode]] = {}
        for row in sorted(found, key=lambda row: (-row[4], row[36])):
            record = rows.run(row)
            own, subtree = sums.get((row[36], 0), Totals()), sums.get((row[36], 1), Totals())
            children = tuple(below.get(record.id, ()))
            node = TreeNode(
                run=record, own=own, subtree=subtree, reused=record.id in reused, children=children
            )
            nodes[record.id] = node
            below.setdefault(record.parent_run_id, []).append(node)
        return nodes[run_id]

    def _reused(self, row: Row) -> list[str]:
        return [child for (child,) in self._reader.rows("reused_by", run=row[36], attempt=row[22])]
