"""Numbers that were shown are never given again, and nothing is counted twice."""

from pathlib import Path

import runstone
from runstone.ledger import Ledger


def ended(ledger: Ledger, run_id: str, events: int = 5) -> str:
    run = ledger.start_run(run_id=run_id)
    run.emit_many([("note.written", {"n": n}) for n in range(events)]).result()
    run.complete().result()
    return run_id


def test_seq_goes_on_after_a_prune(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        run.emit_many([("note.written", {"n": n}) for n in range(5)]).result()
        run.interrupt("for now")
        last = ledger.reader.events.before("r", limit=1)[0].seq
        ledger.care.prune("r")
        left = ledger.events("r").items
        assert [event.type for event in left] == ["run.pruned"]
        assert left[0].seq == last + 1
    with runstone.open(tmp_path) as ledger:
        seq, _ = ledger.continue_run("r").emit("note.written", {}).result()
        assert seq > last + 1, "a cursor that knew the old events would miss the new one"
        assert ledger.care.verify() == []


def test_positions_and_keys_are_not_given_again_after_a_removal(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        ended(ledger, "kept")
        ended(ledger, "removed")
        key, position = ledger.reader.runs.pk("removed"), ledger.reader.events.last_position()
        cursor = ledger.cursor()
        ledger.care.remove("removed")
    with runstone.open(tmp_path) as ledger:
        ended(ledger, "new")
        assert ledger.reader.runs.pk("new") > key
        first = ledger.events("new", limit=1).items[0]
        assert first.position > position
        seen = [event.run_id for event in ledger.tail(after=cursor, timeout=0.2)]
        assert seen.count("new") == 8, "who followed up to the removed run sees the new one whole"


def test_after_and_limit_at_their_edges(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        ended(ledger, "r", events=5)

        def page(after: int, limit: int) -> tuple[list[int], int | None]:
            found = ledger.events("r", after=after, limit=limit)
            return [event.seq for event in found.items], found.next_cursor

        assert page(0, 100) == ([1, 2, 3, 4, 5, 6, 7, 8], None)
        assert page(0, 3) == ([1, 2, 3], 3)
        assert page(3, 3) == ([4, 5, 6], 6)
        assert page(6, 3) == ([7, 8], None)
        assert page(5, 3) == ([6, 7, 8], None)
        assert page(8, 3) == ([], None)


def test_a_request_counts_once_in_its_tree(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        parent = ledger.start_run(run_id="parent")
        child = ledger.start_run(parent=parent)
        spent = {"provider": "p", "model": "m", "input_tokens": 10, "output_tokens": 2, "request_id": "q1"}
        told = [run.usage(**spent).result() for run in (child, child, parent)]
        assert told == [True, False, False]
        assert ledger.telemetry("parent").subtree.input_tokens == 10
        assert ledger.telemetry("parent").own.input_tokens == 0
        assert ledger.care.verify() == []
