"""States by reference: `RUN@NUMBER`, as a checkpoint's `state_ref` has it, and what differs between two of them."""

from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.records import Checkpoint
from runstone.domain.state_diff import StateDiff, diff
from runstone.errors import InvalidInput

if TYPE_CHECKING:
    from runstone.ledger import Ledger

Reference = str | Checkpoint


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


def state_of(ledger: "Ledger", reference: Reference) -> Any:
    """The state of a reference. Raises `NotFound`, also for a run that has none."""
    run_id, number = split(reference)
    if number is None:
        number = ledger.reader.states.newest(run_id)
    return ledger.state(run_id, number)


def diff_states(ledger: "Ledger", before: Reference, after: Reference) -> StateDiff:
    """What differs between two saved states."""
    return diff(state_of(ledger, before), state_of(ledger, after))
