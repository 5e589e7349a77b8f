"""`ledger.checkpoints`: saved states of runs. A reference is `RUN@NUMBER`, as a checkpoint's `state_ref` has it."""

import builtins
from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.records import Checkpoint
from runstone.domain.state_diff import StateDiff, diff
from runstone.errors import InvalidInput

if TYPE_CHECKING:
    from runstone.care.thinning import Thinned
    from runstone.ledger import Ledger

Reference = str | Checkpoint


class Checkpoints:
    """`ledger.checkpoints`: the states that runs saved."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def list(self, run_id: str) -> builtins.list[Checkpoint]:
        """The checkpoints of a run, from the first."""
        return self._ledger.reader.states.checkpoints(run_id)

    def state(self, run_id: str, number: int | None = None) -> Any:
        """The state of a checkpoint; the last one without `number`, None if there is none."""
        return self._ledger.reader.states.value(run_id, number)

    def newest(self, run_id: str) -> int:
        """The number of the newest checkpoint. Raises `NotFound` for a run that has none."""
        return self._ledger.reader.states.newest(run_id)

    def diff(self, before: Reference, after: Reference) -> StateDiff:
        """What differs between two saved states, of one run or of two: fields, items and lines of texts.

        Each is a checkpoint, its `state_ref` (`RUN@NUMBER`), or a run's id for its newest one. Raises `NotFound`.
        """
        return diff(self.of(before), self.of(after))

    def of(self, reference: Reference) -> Any:
        """The state of a reference. Raises `NotFound`, also for a run that has none."""
        run_id, number = split(reference)
        if number is None:
            number = self.newest(run_id)
        return self.state(run_id, number)

    def thin(self, run_id: str, *, keep: int, keep_labelled: bool = True, dry_run: bool = False) -> "Thinned":
        """Removes all but the last `keep` checkpoints of a run, from 1, and those with a label; gives what went.

        The run may be working. Each kept checkpoint loads exactly as before.
        """
        from runstone.care.thinning import thin

        return thin(self._ledger, run_id, keep=keep, keep_labelled=keep_labelled, dry_run=dry_run)


def split(reference: Reference) -> tuple[str, int | None]:
    """The run and the number of a reference; no number for the newest checkpoint. Raises `InvalidInput`."""
    if isinstance(reference, Checkpoint):
        return reference.run_id, reference.number
    if not isinstance(reference, str) or not reference:
        raise InvalidInput(f"a state is RUN@NUMBER, or RUN for its newest one, not {codec.shown(reference)}")
    run_id, sign, number = reference.rpartition("@")
    if sign and number.isascii() and number.isdigit() and len(number) < 19:
        return run_id, int(number)
    return reference, None
