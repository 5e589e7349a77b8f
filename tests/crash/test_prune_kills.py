"""A prune that is killed at each of its writes: what lives is untouched, and what was spent counts once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.care import space
from tests.care import retained
from tests.crash.world import Server, require_live_leases

LIVE = ["kept", "paused"]
OLD = ["old-1", "old-2"]
WRITES = 400
"""More than a prune of this ledger needs; the loop ends with the first one that is through."""

PLACE = "writer.after_commit"
"""A kill before a commit leaves what the write before it had left: the campaign takes those, too."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which one run is too large for one write."""
    folder = tmp_path_factory.mktemp("template")
    retained.build(folder, large=2_300)
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize("mode", ["remove", "keep"])
def test_a_kill_at_any_write_leaves_what_lives_and_counts_what_was_spent_once(
    template: Path, tmp_path: Path, server: Server, mode: str, record_property: Any
) -> None:
    record_property("told", kill_at_each_write(template, tmp_path, server, PLACE, mode))


def kill_at_each_write(template: Path, tmp_path: Path, server: Server, place: str, mode: str) -> str:
    """Says what was hit."""
    with runstone.open(template, readonly=True) as ledger:
        before, cost = retained.rows_of(ledger, LIVE), retained.spent(ledger)
    left: set[int] = set()
    for count in range(1, WRITES):
        folder = tmp_path / str(count)
        shutil.copytree(template, folder)
        victim = server.start(folder, "prune_old", str(folder), ",".join(OLD), mode, crash=(place, count))
        assert victim.wait_gone(60)
        through = any("done" in line for line in victim.said())
        with runstone.open(folder) as ledger:
            left.add(len(ledger.list_runs(root_id=OLD).items))
            require_sound(ledger, before, cost)
            finish(ledger, mode)
            require_sound(ledger, before, cost)
            require_gone(ledger, mode)
        shutil.rmtree(folder)
        if through:
            break
    else:
        raise AssertionError(f"it needs more than {WRITES} writes")
    assert mode == "keep" or len(left) > 2, "it was killed within trees, too"
    return f"killed at {count - 1} writes; runs of the old trees that were left: {sorted(left)}"


def require_sound(ledger: runstone.Ledger, before: dict[str, list[Any]], cost: dict[str, Any]) -> None:
    assert ledger.care.verify() == []
    require_live_leases(ledger)
    assert retained.rows_of(ledger, LIVE) == before
    retained.readable(ledger, LIVE)
    assert retained.spent(ledger) == cost


def finish(ledger: runstone.Ledger, mode: str) -> None:
    """What was cut off is gone on with by asking again."""
    for root in OLD:
        if ledger.list_runs(root_id=root).items:
            (ledger.care.remove if mode == "remove" else ledger.care.prune)(root)
    from runstone.care.removing import Removal

    space.sweep(ledger, Removal(ledger))
    space.give_back(ledger)


def require_gone(ledger: runstone.Ledger, mode: str) -> None:
    assert list(space.loose(ledger.reader)) == []
    assert space.measure(ledger).free_bytes == 0
    if mode == "remove":
        assert ledger.list_runs(root_id=OLD).items == []
    else:
        runs = ledger.list_runs(root_id=OLD).items
        assert len(runs) == 6
        assert all([event.type for event in ledger.events(run.id).items] == ["run.pruned"] for run in runs)


def test_a_value_that_is_written_again_while_it_is_collected_is_never_lost(
    tmp_path: Path, server: Server, record_property: Any
) -> None:
    """Two processes write the same value as its last reference goes, two others collect."""
    with runstone.open(tmp_path):
        pass
    collectors = [server.start(tmp_path, "collect", str(tmp_path)) for _ in range(2)]
    writers = [server.start(tmp_path, "recreate", str(tmp_path), f"w{number}", "25") for number in range(2)]
    assert all(writer.wait_gone(120) for writer in writers)
    (tmp_path / "stop").touch()
    assert all(collector.wait_gone(60) for collector in collectors)
    assert all(any("done" in line for line in one.said()) for one in (*writers, *collectors))
    collected = sum(line.get("blobs", 0) for one in collectors for line in one.said())
    with runstone.open(tmp_path) as ledger:
        assert ledger.care.verify() == []
        for number in range(2):
            assert ledger.prompt(f"w{number}-24") == ledger.result(f"w{number}-24")
    record_property("told", f"{collected} times a value was collected while others wrote it")
