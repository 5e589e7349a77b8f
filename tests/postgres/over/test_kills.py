"""Real processes on a shared ledger, killed at random moments: nothing is lost, nothing finished is done again."""

import os
import random
from pathlib import Path

import runstone
from tests.crash.kills import Campaign
from tests.crash.world import Server

SEED = int(os.environ.get("RUNSTONE_SEED") or random.SystemRandom().randrange(10**6))
KILLS = 10


def test_kills_at_random_moments(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    runstone.open(tmp_path).close()
    with Server() as server:
        campaign = Campaign(tmp_path, server, SEED)
        try:
            campaign.run(KILLS)
        finally:
            record_property("told", campaign.report())
