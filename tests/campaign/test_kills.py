"""Five hundred kills, in ten workspaces."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.kills import Campaign, require_spread
from tests.crash.world import Server, describe

FIRST = int(os.environ.get("RUNSTONE_SEED") or random.SystemRandom().randrange(10**6))
KILLS = int(os.environ.get("RUNSTONE_KILLS", "500"))
WORKSPACES = 10


@pytest.mark.timeout(3000)
def test_five_hundred_kills(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    stages: Counter[str] = Counter()
    with Server() as server:
        for number in range(WORKSPACES):
            folder = tmp_path / str(number)
            folder.mkdir()
            campaign = Campaign(folder, server, FIRST + number)
            try:
                campaign.run(KILLS // WORKSPACES)
            finally:
                record_property("told", campaign.report())
            stages += campaign.stages
    record_property(
        "told", f"{sum(stages.values())} kills, seeds {FIRST} to {FIRST + WORKSPACES - 1}: {describe(stages)}"
    )
    require_spread(stages)
