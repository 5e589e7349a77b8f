"""Reading attempts, the leases of open ones, and what they started."""

from typing import TYPE_CHECKING

from runstone.domain.records import Attempt, Lease, Output, ProcessRecord
from runstone.store import rows

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Attempts:
    """Attempts of runs, with leases, processes and outputs."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def of(self, run_id: str) -> list[Attempt]:
        """The attempts of a run, from the first."""
        return [
            rows.attempt(run_id, row)
            for row in self._reader.rows("attempts_of", run=self._reader.runs.pk(run_id))
        ]

    def lease(self, run_id: str) -> Lease | None:
        """The lease of the open attempt, also where it has expired."""
        found = self._reader.rows("lease_of_run", run=self._reader.runs.pk(run_id))
        return rows.lease(run_id, found[0]) if found else None

    def leases(self) -> list[Lease]:
        """All leases of the workspace."""
        return [rows.lease(row[0], row[1:]) for row in self._reader.rows("all_leases")]

    def processes(self, run_id: str) -> list[ProcessRecord]:
        """The process groups that a run started."""
        return [
            rows.process(run_id, row)
            for row in self._reader.rows("processes_of", run=self._reader.runs.pk(run_id))
        ]

    def unended_processes(self) -> list[tuple[ProcessRecord, str]]:
        """Process groups that are not known to have ended, with the status of their run."""
        return [
            (rows.process(row[0], row[1:10]), row[10]) for row in self._reader.rows("all_unended_processes")
        ]

    def outputs(self, run_id: str) -> list[Output]:
        """How far the output of a run's commands was taken over."""
        return [
            rows.output(run_id, row)
            for row in self._reader.rows("outputs_of", run=self._reader.runs.pk(run_id))
        ]
