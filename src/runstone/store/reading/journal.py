"""Reading what runs know: finished steps, children and answers."""

from typing import TYPE_CHECKING

from runstone.domain.records import JournalEntry
from runstone.store import rows

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Journals:
    """Journals of runs."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def of(self, run_id: str) -> list[JournalEntry]:
        """What a run knows, with how its children stand."""
        return [
            rows.journal(row)
            for row in self._reader.rows(
                "journal_of", run=self._reader.runs.pk(run_id), **self._reader.liveness()
            )
        ]

    def heard_in_try(self, run_id: str) -> frozenset[str]:
        """Children that ended, or whose result was used again, since the run's current try began."""
        return frozenset(
            child for (child,) in self._reader.rows("heard_in_try", run=self._reader.runs.pk(run_id))
        )

    def progressed_since(self, run_id: str, since: int) -> bool:
        """Whether the run or anything below it recorded since then (microseconds UTC) what a later try can build on."""
        return bool(
            self._reader.rows("progressed_since", run=self._reader.runs.pk(run_id), since=since)[0][0]
        )
