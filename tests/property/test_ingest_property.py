"""Reports in any order, cut anywhere and sent any number of times add up to the ledger of one batch in order."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstone.care.backup import BackupFile
from runstone.ledger import Ledger
from runstone.testing.clock import FakeClock
from tests.property.test_model import MEMORY

RUNS = ("a", "b", "c")
NAMES = st.sampled_from(RUNS)
_START = datetime(2025, 12, 31, tzinfo=UTC)


@st.composite
def stories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What happened to three runs, one thing a second; each run begins before anything else is told of it."""
    told: list[dict[str, Any]] = [
        {"item": "run", "run_id": "a", "status": "running", "agent_id": "lead"},
        {"item": "run", "run_id": "b", "status": "running", "parent_run_id": "a"},
        {"item": "run", "run_id": "c", "parent_run_id": "b", "title": "Third"},
    ]
    for number in range(draw(st.integers(0, 12))):
        run_id = draw(NAMES)
        what = draw(
            st.sampled_from(["event", "message", "usage", "tool", "failed", "running", "paused", "completed"])
        )
        if what == "event":
            told.append(
                {
                    "item": "event",
                    "run_id": run_id,
                    "type": "note.taken",
                    "payload": number,
                    "key": f"e{number}",
                }
            )
        elif what == "tool":
            payload = {"call_id": f"t{number}", "tool": "grep", "ok": draw(st.booleans())}
            told.append({
                "item": "event", "run_id": run_id, "type": "tool.completed", "payload": payload, "key": f"t{number}"
            })  # fmt: skip
        elif what == "message":
            told.append(
                {
                    "item": "message",
                    "run_id": run_id,
                    "role": "user",
                    "text": f"m{number}",
                    "key": f"{number}",
                }
            )
        elif what == "usage":
            told.append({
                "item": "usage", "run_id": run_id, "provider": "p", "model": "m", "output_tokens": number,
                "request_id": f"q{draw(st.integers(0, 3))}", "cost_usd": "0.5",
            })  # fmt: skip
        else:
            told.append({"item": "run", "run_id": run_id, "status": what})
    for number, item in enumerate(told):
        item["at"] = (_START + timedelta(seconds=number)).isoformat()
    return told


def all_of(ledger: Ledger) -> Any:
    """Everything but the positions, which are of the whole ledger."""
    events = [
        [
            (e.seq, e.type, e.payload, e.timestamp, e.attempt, e.event_key, e.importance)
            for e in ledger.events(run).items
        ]
        for run in RUNS
    ]
    rows = [ledger.get_run(run).to_dict() for run in RUNS]
    spent = [
        (ledger.telemetry(run).own, ledger.telemetry(run).subtree, ledger.telemetry(run).tool_counts)
        for run in RUNS
    ]
    said = [[m.text for m in ledger.threads.messages(f"{run}.thread").items] for run in RUNS]
    return events, rows, spent, said, [ledger.attempts(run) for run in RUNS]


@settings(max_examples=60)
@given(story=stories(), data=st.data())
def test_any_order_and_repetition_of_a_batch_gives_the_ledger_of_once_in_order(
    story: list[dict[str, Any]], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(story), max_size=6), label="sent twice within the batch")
    shuffled = data.draw(st.permutations([*story, *repeated]), label="order")
    with tempfile.TemporaryDirectory(prefix="runstone-ingest-", dir=MEMORY) as folder:
        found = []
        for name, batches in (
            ("once", [story]),
            ("again", [shuffled, story, shuffled[: len(shuffled) // 2]]),
        ):
            with Ledger(
                BackupFile(root=Path(folder), file=Path(folder) / f"{name}.db"), clock=FakeClock()
            ) as ledger:
                for batch in batches:
                    ledger.ingest(batch)
                assert ledger.care.verify() == []
                found.append(all_of(ledger))
        assert found[0] == found[1]


@settings(max_examples=60)
@given(story=stories(), data=st.data())
def test_a_story_cut_into_batches_anywhere_adds_up_to_the_same_ledger(
    story: list[dict[str, Any]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(story)), max_size=4), label="cuts"))
    parts = [story[start:end] for start, end in zip([0, *cuts], [*cuts, len(story)], strict=True)]
    with tempfile.TemporaryDirectory(prefix="runstone-ingest-", dir=MEMORY) as folder:
        found = []
        for name, batches in (
            ("once", [story]),
            ("cut", parts),
            ("resent", [p for p in parts for _ in range(2)]),
        ):
            with Ledger(
                BackupFile(root=Path(folder), file=Path(folder) / f"{name}.db"), clock=FakeClock()
            ) as ledger:
                for batch in batches:
                    ledger.ingest(batch)
                assert ledger.care.verify() == []
                found.append(all_of(ledger))
        assert found[1] == found[0]
        assert found[2] == found[0]
