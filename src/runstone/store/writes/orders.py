"""Open orders to runs. None outlives the end of its run: a later attempt must not obey it."""

from typing import Any, Final

from runstone.domain import codec
from runstone.domain.orders import FITS, QUEUED, reason_of
from runstone.domain.runs import Head
from runstone.errors import CommandConflict
from runstone.store.base import Row
from runstone.store.batch import Batch

FIELDS: Final = (
    "pk", "command_id", "run", "verb", "payload_json", "idempotency_key", "status", "requested_by", "reason",
    "requested_at", "acknowledged_at", "ended_at",
)  # fmt: skip


def open_of(batch: Batch, head: Head) -> list[Row]:
    """The open orders to a run. Reads only where there are some, as each end of a run asks."""
    if not batch.cache.ordered.has(batch.db, head.pk):
        return []
    return batch.read("open_orders_of", run=head.pk)


def known(batch: Batch, head: Head, key: str | None, verb: str, payload: dict[str, Any]) -> Row | None:
    """The order that was given under the key before, or None. Raises `CommandConflict` if it was another one."""
    rows = batch.read("command_by_key", run=head.pk, idempotency_key=key) if key is not None else []
    if not rows:
        return None
    row = dict(zip(FIELDS, rows[0], strict=True))
    if (row["verb"], codec.decode(row["payload_json"])) != (verb, payload):
        raise CommandConflict(
            f"run {head.run_id} has another order under the key {key!r}: {row['verb']}",
            run_id=head.run_id,
            command_id=row["command_id"],
        )
    return rows[0]


def give(
    batch: Batch,
    head: Head,
    command_id: str,
    verb: str,
    *,
    payload: dict[str, Any],
    by: str | None,
    key: str | None = None,
) -> Row:
    """Stages an order that was requested, with its event. Gives its row, for what becomes of it at once."""
    batch.record(head, "command.requested", {"command_id": command_id, "verb": verb, "requested_by": by})
    row = (
        batch.number("commands"), command_id, head.pk, verb, codec.encode(payload).decode(), key, "requested", by, None,
        batch.now, None, None,
    )  # fmt: skip
    batch.stage("save_command", *row)
    batch.cache.ordered.add(head.pk)
    return row


def move(batch: Batch, head: Head, values: Row, status: str, reason: str | None = None) -> None:
    """Stages what became of an order, with its event."""
    row = dict(zip(FIELDS, values, strict=True))
    row |= {"status": status, "reason": reason, "ended_at": batch.now}
    row["acknowledged_at"] = row["acknowledged_at"] or batch.now
    payload = {"command_id": row["command_id"], "verb": row["verb"]}
    batch.record(head, f"command.{status}", payload if reason is None else payload | {"reason": reason})
    batch.stage("save_command", *(row[name] for name in FIELDS))


def settle(batch: Batch, head: Head, rows: list[Row]) -> None:
    """Stages what became of these orders, when the run has ended. What it ended before came too late."""
    for values in rows:
        if head.status == "cancelled" and _verb(values) == "stop":
            move(batch, head, values, "applied")
        else:
            move(batch, head, values, "rejected", f"the run had {_ENDINGS[head.status]} already")


_ENDINGS: Final = {"completed": "completed", "failed": "failed", "cancelled": "been stopped"}


def taken(batch: Batch, head: Head, rows: list[Row]) -> None:
    """Stages that orders to go on are carried out: a process has taken the run."""
    for values in rows:
        if _verb(values) in QUEUED:
            move(batch, head, values, "applied")


def paused(batch: Batch, head: Head, rows: list[Row]) -> None:
    """Stages that the run is paused, as it was ordered to; an order before it to go on is of the past."""
    for values in rows:
        if _verb(values) == "pause":
            move(batch, head, values, "applied")
        elif _verb(values) in QUEUED:
            move(batch, head, values, "rejected", "the run was paused before a process took it")


def pause_unheld(batch: Batch, head: Head, rows: list[Row]) -> None:
    """Pauses a run that nobody holds any more, if it was ordered to while somebody did; reads were done before."""
    wanted = [values for values in rows if _verb(values) == "pause"]
    if not wanted:
        return
    if head.status not in FITS["pause"]:
        for values in wanted:
            move(batch, head, values, "rejected", f"the run is {head.status}")
        return
    order = dict(zip(FIELDS, wanted[0], strict=True))
    batch.stage("delete_waits", head.pk)
    reason = reason_of("pause", order["requested_by"], codec.decode(order["payload_json"]))
    batch.record(head, "run.paused", {"reason": reason})
    paused(batch, head, rows)


def _verb(values: Row) -> str:
    return str(values[3])
