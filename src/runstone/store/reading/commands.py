"""Reading orders to runs."""

from typing import TYPE_CHECKING

from runstone.domain.records import Command
from runstone.store import rows

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Commands:
    """Orders."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def of(self, run_id: str) -> list[Command]:
        """Orders to a run, from the first."""
        return [
            rows.command(row) for row in self._reader.rows("commands_of", run=self._reader.runs.pk(run_id))
        ]

    def open(self) -> list[Command]:
        """Orders that are not carried out yet."""
        return [rows.command(row) for row in self._reader.rows("open_commands")]
