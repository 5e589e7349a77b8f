"""Reading checkpoints and the states that they saved."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runstone.domain import codec, groups, state
from runstone.domain.records import Checkpoint, at
from runstone.domain.state import Saved
from runstone.errors import InvalidInput, NotFound, StoreCorrupt
from runstone.store.base import Row
from runstone.store.blobs import decompress, unpack

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class States:
    """Checkpoints and states of runs."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """The checkpoints of a run, from the first."""
        pk = self._reader.runs.pk(run_id)
        with self._reader.db.snapshot():
            found = self._reader.rows("checkpoints_of", run=pk)
            parts = [*self._reader.rows("checkpoint_sizes", run=pk), *self._group_sizes(pk)]
            sizes = _sizes([row[0] for row in found], parts)
        return [
            Checkpoint(
                run_id=run_id, number=number, attempt=attempt, label=label, state_ref=f"{run_id}@{number}",
                definition_hash=hash_, parent=parent, created_at=at(created), stored_bytes=sizes.get(number, 0),
            )
            for number, attempt, label, hash_, parent, created in found
        ]  # fmt: skip

    def _group_sizes(self, pk: int) -> Iterator[tuple[int, int]]:
        """(checkpoint, bytes) of groups: as much for each item, and where the list became long enough for it."""
        lengths: dict[str, list[tuple[int, int | None]]] = {}
        for path, item, since, size in self._reader.rows("group_sizes", run=pk):
            if path not in lengths:
                known = self._reader.rows("lengths_of", run=pk, path=path)
                lengths[path] = [(one, None if length is None else int(length)) for one, length in known]
            yield from groups.spread(item, since, size, lengths[path])

    def load(self, run_id: str, number: int | None = None) -> tuple[Any, Saved]:
        """The state of a checkpoint (the last one without `number`), and what the next save compares with.

        Raises `NotFound`, and `StoreCorrupt` naming the run, the checkpoint and what is damaged.
        """
        number, places = self._places(run_id, number)
        if number is None:
            return None, Saved()
        try:
            value, saved = state.assemble(places)
        except (KeyError, ValueError) as error:  # a part is missing, or is no JSON
            raise _damaged(run_id, number, error) from error
        saved.number = number
        return value, saved

    def newest(self, run_id: str) -> int:
        """The number of the newest checkpoint. Raises `NotFound` for a run that has none."""
        numbers = self._reader.rows("kept_numbers", run=self._reader.runs.pk(run_id))
        if not numbers:
            raise NotFound(
                f"run {run_id} has no checkpoint",
                hint="an agent saves one: run.checkpoint(state)",
                run_id=run_id,
            )
        return int(numbers[-1][0])

    def value(self, run_id: str, number: int | None = None) -> Any:
        """The state alone, for those who save nothing on top of it: its parts need no names."""
        number, places = self._places(run_id, number)
        if number is None:
            return None
        try:
            return state.assemble(places, named=False)[0]
        except (KeyError, ValueError) as error:
            raise _damaged(run_id, number, error) from error

    def _places(
        self, run_id: str, number: int | None
    ) -> tuple[int | None, list[tuple[str, int, bytes | None]]]:
        """The checkpoint's number, and its places; no number if the run has none and the last is asked for."""
        pk = self._reader.runs.pk(run_id)
        if number is not None and type(number) is not int:
            raise InvalidInput(f"a checkpoint's number is a whole number, not {codec.shown(number)}")
        with self._reader.db.snapshot():  # a retention may take checkpoints away meanwhile
            numbers = [one for (one,) in self._reader.rows("kept_numbers", run=pk)]
            if not numbers and number is None:
                return None, []
            number = numbers[-1] if number is None else number
            if number not in numbers:
                raise NotFound(
                    f"run {run_id} has no checkpoint {number}",
                    hint=f"list them: runstone runs checkpoints {run_id}",
                    run_id=run_id,
                )
            found = self._reader.rows("state_at", run=pk, number=number)
        return number, [(row[0], row[1], _place(run_id, number, row)) for row in found]


def _place(run_id: str, number: int, row: Row) -> bytes | None:
    """The value of a row of `state_at`. Raises `StoreCorrupt` where it is damaged."""
    path, item, codec_, value, ref, blob_codec, data = row
    try:
        if ref is None:
            return None if value is None else decompress(codec_, value)
        if data is None:
            raise NotFound("it is not there")
        return unpack(ref, blob_codec, data)
    except (StoreCorrupt, NotFound) as error:
        place = f"{path}[{item}]" if item >= 0 else path
        raise _damaged(run_id, number, error, place=place, ref=ref) from error


def _damaged(
    run_id: str, number: int, error: Exception, *, place: str | None = None, ref: str | None = None
) -> StoreCorrupt:
    """Says of what was found damaged to which checkpoint it belongs."""
    where = ("" if place is None else f" at {place}") + ("" if ref is None else f", blob {ref}")
    return StoreCorrupt(
        f"checkpoint {number} of run {run_id} cannot be read{where}: {error}",
        hint=f"others may be whole: runstone runs checkpoints {run_id}; what else is damaged: runstone verify",
        run_id=run_id, number=number, place=place, blob=ref,
    )  # fmt: skip


def _sizes(numbers: list[int], rows: list[Row]) -> dict[int, int]:
    """What each checkpoint added, by its number; the rows of a removed one belong to the next that is there."""
    sizes: dict[int, int] = {}
    for since, size in rows:
        index = bisect_left(numbers, since)
        if index < len(numbers):
            sizes[numbers[index]] = sizes.get(numbers[index], 0) + size
    return sizes
