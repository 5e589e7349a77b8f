"""Reading events, of a run by `seq` and of the workspace by position."""

from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.records import RunEvent, at
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.store.reads import Reader

_NO_LIMIT = 2**62


class Events:
    """Events, read along (run, seq) or along their positions."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def after(self, run_id: str, *, after: int = 0, limit: int = 100) -> list[RunEvent]:
        """Events of a run with `seq` above `after`, by `seq`."""
        found = self._reader.rows(
            "events_after", run=self._reader.runs.pk(run_id), after=min(after, _NO_LIMIT), limit=limit
        )
        return [self.record(run_id, row) for row in found]

    def before(self, run_id: str, *, before: int | None = None, limit: int = 100) -> list[RunEvent]:
        """The last events of a run with `seq` below `before`, by `seq`."""
        found = self._reader.rows(
            "events_before",
            run=self._reader.runs.pk(run_id),
            before=_NO_LIMIT if before is None else before,
            limit=limit,
        )
        return [self.record(run_id, row) for row in reversed(found)]

    def last_of(self, run_id: str, event_type: str, attempt: int) -> dict[str, Any] | None:
        """The payload of the last event of a type since an attempt began; it looks through that run's events."""
        found = self._reader.rows(
            "last_event", run=self._reader.runs.pk(run_id), type=event_type, attempt=attempt
        )
        if not found:
            return None
        payload, ref = found[0]
        told: dict[str, Any] = self._reader.values.json(ref) if payload is None else codec.decode(payload)
        return told

    def since(self, position: int, limit: int) -> list[RunEvent]:
        """Events of the workspace above a position, in commit order."""
        return [
            self.record(row[10], row)
            for row in self._reader.rows("events_from_position", after=position, limit=limit)
        ]

    def last_position(self) -> int:
        """The newest position that was ever given."""
        return int(self._reader.rows("last_position")[0][0])

    def removed_up_to(self) -> int:
        """The newest position whose event was ever removed; 0 if none was."""
        found = self._reader.rows("meta", name="removed_up_to")
        return int(found[0][0]) if found else 0

    def epoch(self) -> str:
        """The ledger's epoch, part of every cursor."""
        return str(self._reader.rows("meta", name="epoch")[0][0])

    def rows(self, where: list[str], tail: str, params: dict[str, Any]) -> list[Row]:
        """Rows of event columns; `where` and `tail` are put together by `store/event_pages.py`."""
        return self._reader.db.select("event_columns", "events_alone", " AND ".join(where), tail, params)

    def cursor(self) -> str:
        """The cursor of the newest position; in a snapshot, that of its moment."""
        return f"{self.epoch()}-{self.last_position()}"

    def record(self, run_id: str, row: Row, most: int | None = None) -> RunEvent:
        """The event of a row. A payload in a blob of more than `most` bytes is left out: its reference tells of it."""
        seq, position, kind, version, text, ref, importance, when, attempt, key = row[:10]
        left_out: dict[str, Any] = {}
        if most is not None and ref is not None and (size := self._reader.values.size(ref)) > most:
            payload, left_out = None, {"payload_ref": ref, "payload_bytes": size}
        else:
            payload = codec.upcast(kind, version, codec.decode(self._reader.values.text(text, ref)))
        return RunEvent(
            run_id=run_id, seq=seq, position=position, type=kind, payload=payload, importance=importance,
            timestamp=at(when), attempt=attempt, event_key=key, **left_out,
        )  # fmt: skip
