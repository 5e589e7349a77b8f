"""Real processes, killed at random moments: nothing acknowledged is lost, nothing finished is done again."""

import os
import random
from pathlib import Path

import pytest

from tests.crash.kills import Campaign, require_spread
from tests.crash.world import Server

SEEDS = [int(os.environ.get("RUNSTONE_SEED") or random.SystemRandom().randrange(10**6)) + n for n in range(4)]
KILLS = 13


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_kills_at_random_moments(tmp_path: Path, number: int, record_property) -> None:  # type: ignore[no-untyped-def]
    seed = SEEDS[number]
    with Server() as server:
        campaign = Campaign(tmp_path, server, seed)
        try:
            campaign.run(KILLS)
        finally:
            record_property("told", campaign.report())
    require_spread(campaign.stages)
