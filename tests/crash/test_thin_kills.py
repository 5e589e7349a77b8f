"""A retention of checkpoints that is killed at each of its writes, or races with saves, hurts nothing that is kept."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.care import space
from tests.crash.programs import state_number
from tests.crash.world import Server, pause

KEEP = 3
WRITES = 100
"""More than the retention needs; the loop ends with the first kill that comes too late."""


def told(number: int) -> dict[str, Any]:
    """A state of which some items change at each save, whose lists shrink and come back, and one that only grows."""
    items = [f"{number if (number + i) % 3 else 'same'} {i}" for i in range(number % 9)]
    long = random.Random(number // 50).randbytes(2_000).hex()
    log = [f"turn {i}" for i in range(number)]
    return {"items": items, "n": number, "long": long, "log": log, **({"gone": [1]} if number % 2 else {})}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thin")
    with runstone.open(folder) as ledger, ledger.start_run(run_id="r") as run:
        for number in range(1, 621):
            run.checkpoint(told(number), label="mark" if number % 200 == 0 else None)
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def require_states(ledger: runstone.Ledger) -> list[int]:
    """Every checkpoint that is there is as it was saved; gives their numbers."""
    numbers = [one.number for one in ledger.checkpoints.list("r")]
    for number in numbers if len(numbers) < 50 else [*numbers[:10], *numbers[-10:]]:
        assert ledger.checkpoints.state("r", number) == told(number), number
    assert ledger.care.verify() == []
    return numbers


@pytest.mark.parametrize("place", ["writer.before_commit", "writer.after_commit"])
def test_a_kill_at_any_write_leaves_every_kept_state_whole(
    template: Path, tmp_path: Path, server: Server, place: str, record_property: Any
) -> None:
    kept = [200, 400, 600, *range(621 - KEEP, 621)]
    seen: set[int] = set()
    for count in range(1, WRITES):
        folder = tmp_path / str(count)
        shutil.copytree(template, folder)
        victim = server.start(folder, "thin", str(folder), "r", str(KEEP), crash=(place, count))
        assert victim.wait_gone(60)
        through = any("done" in line for line in victim.said())
        with runstone.open(folder) as ledger:
            seen.add(len(require_states(ledger)))
            ledger.checkpoints.thin("r", keep=KEEP)
            assert require_states(ledger) == kept
            assert ledger.checkpoints.thin("r", keep=KEEP, dry_run=True).rows == 0
            assert list(space.loose(ledger.reader)) == [] or not through
        shutil.rmtree(folder)
        if through:
            break
    else:
        raise AssertionError(f"it needs more than {WRITES} writes")
    assert len(seen) > 1, "it was killed before and after heads were gone"
    record_property("told", f"killed at {count - 1} writes; checkpoints that were left: {sorted(seen)}")


def test_saves_that_race_with_retention_and_collection_are_never_hurt(
    tmp_path: Path, server: Server, record_property: Any
) -> None:
    with runstone.open(tmp_path):
        pass
    saver = server.start(tmp_path, "save_states", str(tmp_path), "r")
    assert saver.wait_said("saved")
    thinners = [server.start(tmp_path, "thin_and_collect", str(tmp_path), "r") for _ in range(2)]
    for _ in range(1_000):
        if len(saver.said()) > 300 and all(len(one.said()) > 5 for one in thinners):
            break
        pause(0.02)
    saver.kill()
    (tmp_path / "stop").touch()
    assert all(one.wait_gone(60) for one in thinners)
    assert all(any("done" in line for line in one.said()) for one in thinners)
    saved = saver.said()[-1]["saved"]
    with runstone.open(tmp_path) as ledger:
        numbers = [one.number for one in ledger.checkpoints.list("r")]
        assert numbers[-1] in (saved, saved + 1), "what was acknowledged is there"
        for number in numbers:
            assert ledger.checkpoints.state("r", number) == state_number(number)
        assert ledger.care.verify() == []
    removed = sum(line.get("removed", 0) for one in thinners for line in one.said())
    record_property("told", f"{removed} of {saved} checkpoints were removed while the others were saved")
    assert removed > 100
