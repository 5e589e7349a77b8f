"""After a kill a new process shows what the killed one had shown, down to checkpoints, threads and boards."""

import os
import signal
from pathlib import Path

import runstone
from tests.crash.programs import view
from tests.crash.world import Server


def test_a_new_process_shows_what_the_killed_one_had_shown(tmp_path: Path) -> None:
    with Server() as server:
        victim = server.start(tmp_path, "show", str(tmp_path))
        assert victim.wait_said("view", 60)
        os.kill(victim.pid, signal.SIGKILL)
        assert victim.wait_gone()
    before = victim.said()[-1]["view"]
    for readonly in (True, False):
        with runstone.open(tmp_path, readonly=readonly) as ledger:
            after = view(ledger)
            assert after.keys() == before.keys()
            for part in before:
                assert after[part] == before[part], part
    assert {run["run"]["status"] for run in before["runs"].values()} == {"completed", "failed"}
    kinds = {run["run"]["kind"] for run in before["runs"].values()}
    assert kinds == {"subagent", "workflow", "workflow_child"}
    assert all(before[part] for part in ("search", "threads", "messages", "boards", "cards"))
    assert before["runs"]["all"]["phases"]
    assert before["runs"]["own"]["checkpoints"]
