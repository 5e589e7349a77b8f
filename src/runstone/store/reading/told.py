"""Reading events to hand them on: payloads stay the JSON that they are stored as."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runstone.domain import codec, runs

if TYPE_CHECKING:
    from runstone.store.reads import Reader

INLINE_BYTES: Final = 65_536
"""A longer payload is told by its reference: one event must not be larger than what a follower may hold."""

_BUCKETS: Final = {status: bucket for bucket, statuses in runs.BUCKETS.items() for status in statuses}


class ToldEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it is handed on. `payload` is JSON; None where it is long: `payload_ref` names its blob then, and
    `payload_bytes` says how long."""

    run: int
    run_id: str
    seq: int
    position: int
    type: str
    payload: bytes | None
    payload_ref: str | None
    payload_bytes: int | None
    importance: int
    at: int
    attempt: int
    event_key: str | None


class Told:
    """What followers of the whole ledger read."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def since(self, position: int, limit: int) -> list[ToldEvent]:
        """Events of the workspace above a position, in commit order."""
        return [self._event(row) for row in self._reader.rows("told_since", after=position, limit=limit)]

    def _event(self, row: Any) -> ToldEvent:
        run, seq, position, kind, version, text, ref, size, importance, when, attempt, key, run_id = row
        payload = text.encode() if text is not None else None
        if payload is None and size <= INLINE_BYTES:
            payload, ref = self._reader.values.blob(ref), None
        if payload is not None:
            payload = codec.upcast_json(kind, version, payload)
        told = None if ref is None else size
        return ToldEvent(run, run_id, seq, position, kind, payload, ref, told, importance, when, attempt, key)

    def lines(self, keys: Iterable[int]) -> dict[int, frozenset[str]]:
        """The ids of each run and of all above it, by the run's integer key."""
        found: dict[int, set[str]] = {}
        for run, run_id in self._reader.rows("lines_of", runs=codec.encode(list(keys)).decode()):
            found.setdefault(run, set()).add(run_id)
        return {run: frozenset(ids) for run, ids in found.items()}

    def buckets(self, keys: Iterable[int]) -> dict[int, str]:
        """The bucket of each run, by its integer key."""
        chosen = codec.encode(list(keys)).decode()
        rows = self._reader.rows("statuses_of", runs=chosen, **self._reader.liveness())
        return {
            run: "needs_input" if asking else str(_BUCKETS.get(status, status))
            for run, status, asking in rows
        }
