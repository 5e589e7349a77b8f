"""States grow with new information only: lists that get longer are kept in groups, and each save writes the same."""

import random
import statistics
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw
import psutil
import pytest

import runstone
from runstone.domain import groups
from runstone.errors import StoreCorrupt


def turn(number: int) -> dict[str, Any]:
    words = random.Random(number).choices(["ledger", "run", "state", "is", "kept", "of", "each"], k=200)
    return {"role": "user", "content": f"{number} " + " ".join(words)}


def places(ledger: runstone.Ledger) -> list[Any]:
    return [
        row[:3]
        for row in ledger.reader.rows("place_page", run=1, path="", item=-(2**62), since=0, limit=10_000)
    ]


def test_a_list_that_grows_is_kept_in_groups_and_each_state_is_as_it_was_saved(tmp_path: Path) -> None:
    turns = [turn(number) for number in range(200)]
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        for one in turns:
            run.checkpoint(append={"messages": [one]}).result()
        single = [item for _, item, _ in places(ledger) if item >= 0]
        assert single == list(range(192, 200)), "three groups of 64, and the rest"
        for number in range(1, 201):
            assert ledger.checkpoints.state("r", number) == {"messages": turns[:number]}
        assert ledger.care.verify() == []


def test_items_that_change_after_their_group_was_made_are_right_at_each_checkpoint(tmp_path: Path) -> None:
    turns: list[Any] = [turn(number) for number in range(150)]
    saved = []
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        steps = (
            turns, [*turns[:10], "new", *turns[11:]], turns[:70], [*turns[:70], *map(str, range(100))], turns[:5], [],
            ["other"] * 300, [*["other"] * 100, None, *["other"] * 299],
        )  # fmt: skip
        for state in steps:
            saved.append({"messages": state})
            run.checkpoint(saved[-1]).result()
            run.interrupt("as it happens")
            run = ledger.continue_run("r")
            assert run.state == saved[-1]
        for number, state in enumerate(saved, 1):
            assert ledger.checkpoints.state("r", number) == state
        assert ledger.care.verify() == []
        ledger.checkpoints.thin("r", keep=1)
        assert ledger.checkpoints.state("r") == saved[-1]
        assert ledger.care.verify() == []


def test_a_ledger_whose_items_were_saved_one_by_one_goes_on(tmp_path: Path) -> None:
    turns: list[Any] = [turn(number) for number in range(300)]
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        with patch.object(groups, "SIZE", 10**9), patch.object(groups, "MAX_ITEM", 0):
            for count in range(10, 110, 10):
                run.checkpoint({"messages": turns[:count]}).result()
        run.interrupt("an upgrade")
        run = ledger.continue_run("r")
        for one in turns[100:]:
            run.checkpoint(append={"messages": [one]}).result()
        assert ledger.checkpoints.state("r") == {"messages": turns}
        assert ledger.checkpoints.state("r", 3) == {"messages": turns[:30]}
        assert sum(item >= 0 for _, item, _ in places(ledger)) < 150, "what came later is in groups"
        assert ledger.care.verify() == []


def test_bytes_written_by_an_append_do_not_grow_with_the_turns(tmp_path: Path) -> None:
    process, written = psutil.Process(), []
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        for number in range(1_000):
            before = process.io_counters().write_chars
            run.checkpoint(append={"messages": [turn(number)]}).result()
            written.append(process.io_counters().write_chars - before)
    early, late = statistics.median(written[100:200]), statistics.median(written[900:])
    assert late < 1.15 * early
    assert late < 80_000, "some 8 to 16 pages; the run's row and its indexes are not among them"


def test_the_sizes_of_checkpoints_add_up_to_what_is_stored(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        run = ledger.start_run(run_id="r")
        for number in range(130):
            run.checkpoint(append={"messages": [turn(number)], "other": [number, number]}).result()
        rows = ledger.reader.rows("place_page", run=1, path="", item=-(2**62), since=0, limit=10_000)
        listed = ledger.checkpoints.list("r")
        assert sum(one.stored_bytes for one in listed) == sum(row[5] for row in rows)
        grouped = [one.stored_bytes for one in listed[:128]]
        assert max(grouped) < 4 * min(grouped), "a group counts where its items were saved"
        ledger.checkpoints.thin("r", keep=3)
        rows = ledger.reader.rows("place_page", run=1, path="", item=-(2**62), since=0, limit=10_000)
        assert sum(one.stored_bytes for one in ledger.checkpoints.list("r")) == sum(row[5] for row in rows)


@pytest.mark.parametrize("data", [b"[]", b"[[1],[2]]", b"[[],[1,2]]", b"no JSON"])
def test_a_group_that_is_damaged_is_said_to_be(tmp_path: Path, data: bytes) -> None:
    with runstone.open(tmp_path) as ledger:
        ledger.start_run(run_id="r").checkpoint({"m": list(range(100))}).result()
    file = next(tmp_path.rglob("ledger.db"))
    raw = apsw.Connection(str(file))
    raw.execute("UPDATE places SET codec = 0, value = ?, value_ref = NULL WHERE item < -2", (data,))
    raw.close()
    with runstone.open(tmp_path) as ledger:
        with pytest.raises(StoreCorrupt) as told:
            ledger.checkpoints.state("r")
        assert "checkpoint 1 of run r" in str(told.value)
        assert [one.code for one in ledger.care.verify()] == ["checkpoint_unreadable"]
