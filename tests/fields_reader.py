"""All that a ledger shows, as JSON: read by the process that wrote it and by a new one, to be compared."""

import json
import sys
from collections.abc import Callable
from typing import Any

import runstone
from runstone.ledger import Ledger

RUNNING_ON = ("elapsed_ms", "active_ms")


def everything(ledger: Ledger) -> dict[str, list[Any]]:
    """Records by the name of their class."""
    found: dict[str, list[Any]] = {}

    def add(record: Any, **more: Any) -> None:
        found.setdefault(type(record).__name__, []).append({**record.to_dict(), **more})

    runs = ledger.list_runs(limit=1_000, sort="created", order="asc", archived=None).items
    for run in runs:
        read = {
            "input_": ledger.input(run.id),
            "prompt_": ledger.prompt(run.id),
            "result_": ledger.result(run.id),
        }
        if run.kind == "workflow":
            read["phase_states"] = [phase.to_dict() for phase in ledger.phases(run.id)]
            read["child_run_ids"] = [child.id for child in ledger.list_runs(parent_id=run.id, sort="created")]
        add(run, **read)
        for event in ledger.events(run.id, limit=1_000):
            add(event)
        short = [event.to_dict() for event in ledger.events(run.id, limit=1_000, max_bytes=1_000)]
        found.setdefault("ShortEvent", []).extend(event for event in short if "payload_ref" in event)
        telemetry = ledger.telemetry(run.id)
        hidden = dict.fromkeys(RUNNING_ON, -1) if run.completed_at is None else {}
        add(telemetry, complete=telemetry.own.complete, **hidden)
        for attempt in ledger.attempts(run.id):
            add(attempt)
        lease = ledger.lease(run.id)
        if lease is not None:
            add(lease)
        for checkpoint in ledger.checkpoints.list(run.id):
            add(checkpoint, state_=ledger.checkpoints.state(run.id, checkpoint.number))
        for command in ledger.commands.list(run.id):
            add(command)
    _shared(ledger, add)
    references = sorted({run.result_ref for run in runs if run.result_ref})
    found["Blob"] = [{"digest": ref, "content": ledger.blob(ref).decode()} for ref in references]
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def _shared(ledger: Ledger, add: Callable[..., None]) -> None:
    for thread in ledger.threads.list(limit=1_000):
        add(thread)
        for message in ledger.threads.messages(thread.id, limit=1_000):
            add(message)
    for asked in ledger.inputs.list(status=None, limit=1_000):
        add(asked)
    for board in ledger.boards.list():
        add(board)
        for card in ledger.boards.cards(board.id):
            add(card)


if __name__ == "__main__":
    with runstone.open(sys.argv[1], readonly=True) as opened:
        json.dump(everything(opened), sys.stdout)
