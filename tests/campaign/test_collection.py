"""Collection and retention beside saves of several processes, killed at every boundary: the long run."""

import random
from pathlib import Path
from typing import Any

import runstone
from tests.crash.programs import state_number
from tests.crash.world import Server, pause

ROUNDS = 60
SAVERS = 3
POINTS = ("RemoveCheckpoints", "ThinPlaces", "CollectBlobs", "SaveCheckpoint")


def test_no_referenced_value_is_lost_whoever_is_killed_beside_savers(
    tmp_path: Path, record_property: Any
) -> None:
    """Savers share three long values, so that what one lets go another is just writing."""
    pick = random.Random(7)
    saved = removed = kills = 0
    with runstone.open(tmp_path):
        pass
    with Server() as server:
        for number in range(ROUNDS):
            names = [f"r{number}-{saver}" for saver in range(SAVERS)]
            savers = [server.start(tmp_path, "save_states", str(tmp_path), name) for name in names]
            assert all(saver.wait_said("saved") for saver in savers)
            for name in names:
                point = f"{pick.choice(POINTS[:3])}.{pick.choice(('before', 'after'))}_commit"
                thinner = server.start(
                    tmp_path, "thin_and_collect", str(tmp_path), name, crash=(point, pick.randrange(1, 6))
                )
                for _ in range(500):
                    if not thinner.alive():
                        break
                    pause(0.01)
                thinner.kill()
                kills += 1
                removed += sum(line.get("removed", 0) for line in thinner.said())
            for saver in savers:
                saver.kill()
            last = [saver.said()[-1]["saved"] for saver in savers]
            saved += sum(last)
            with runstone.open(tmp_path) as ledger:
                for name, acknowledged in zip(names, last, strict=True):
                    numbers = [one.number for one in ledger.checkpoints.list(name)]
                    assert numbers[-1] in (acknowledged, acknowledged + 1)
                    for kept in numbers:
                        assert ledger.checkpoints.state(name, kept) == state_number(kept)
        with runstone.open(tmp_path) as ledger:
            assert ledger.care.verify() == []
    record_property("told", f"{kills} kills; {removed} of {saved} checkpoints were removed beside the savers")
    assert removed > 100
