"""Open orders to runs. None outlives the end of its run: a later attempt must not obey it."""

from typing import Final

from runstone.domain.runs import Head
from runstone.store.base import Row
from runstone.store.batch import Batch

FIELDS: Final = (
    "pk", "command_id", "run", "verb", "payload_json", "idempotency_key", "status", "requested_by", "reason",
    "requested_at", "acknowledged_at", "ended_at",
)  # fmt: skip


def open_of(batch: Batch, head: Head) -> list[Row]:
    """The open orders to a run. Reads only where there are some, as each end of a run asks."""
    if head.pk not in batch.cache.ordered_runs(batch.db):
        return []
    return batch.read("open_orders_of", run=head.pk)


def settle(batch: Batch, head: Head, rows: list[Row]) -> None:
    """Stages what became of these orders, when the run has ended. A stop of what had ended by itself came too late."""
    done = head.status == "cancelled"
    status, reason = ("applied", None) if done else ("rejected", f"the run had {head.status} already")
    for values in rows:
        row = dict(zip(FIELDS, values, strict=True))
        row |= {"status": status, "reason": reason, "ended_at": batch.now}
        row["acknowledged_at"] = row["acknowledged_at"] or batch.now
        payload = {"command_id": row["command_id"], "verb": row["verb"]}
        batch.record(head, f"command.{status}", payload if reason is None else payload | {"reason": reason})
        batch.stage("save_command", *(row[name] for name in FIELDS))
