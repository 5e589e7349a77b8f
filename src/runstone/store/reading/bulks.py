"""Reading orders that many runs get."""

from typing import TYPE_CHECKING, Final

from runstone.domain import codec
from runstone.domain.records import Bulk, BulkRefusal, at, maybe_at
from runstone.errors import NotFound
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.store.reads import Reader

REFUSALS: Final = 100
"""So many refusals are named; the others are counted."""
_ALL: Final = 100


class Bulks:
    """Orders for many runs, and what became of them."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def all(self) -> list[Bulk]:
        """Those under way and the newest that have ended, the newest first."""
        return [*map(_bulk, self._reader.rows("bulks_list", bulk_id=None, limit=_ALL, refusals=REFUSALS))]

    def get(self, bulk_id: str) -> Bulk:
        """One of them. Raises `NotFound`."""
        found = self._reader.rows("bulks_list", bulk_id=bulk_id, limit=1, refusals=REFUSALS)
        if not found:
            raise NotFound(f"there is no order for many runs {bulk_id}")
        return _bulk(found[0])

    def next(self, limit: int) -> list[Row]:
        """(order, verb, who gave it, place, run) of the next runs that are to get one."""
        return self._reader.rows("bulk_runs_next", limit=limit)


def _bulk(row: Row) -> Bulk:
    bulk_id, verb, by, requested_at, is_cancelled, ended_at, counts_json, refusals_json = row
    counts = codec.decode(counts_json)
    return Bulk(
        id=bulk_id, verb=verb, requested_by=by, requested_at=at(requested_at), cancelled=bool(is_cancelled),
        ended_at=maybe_at(ended_at), total=sum(counts.values()), given=counts.get("given", 0),
        refused=counts.get("refused", 0), left_out=counts.get("left_out", 0),
        refusals=[BulkRefusal(run_id=run_id, reason=reason) for run_id, reason in codec.decode(refusals_json)],
    )  # fmt: skip
