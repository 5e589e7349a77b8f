"""Two processes and one run of a shared ledger, by the tests that hold over a file.

A process is stopped wherever it is, also within a transaction: the others wait for the server to end its session.
"""

import os
import signal
from pathlib import Path

import pytest

from tests.crash import test_owners as over_a_file
from tests.crash.test_owners import (
    test_a_second_process_never_disturbs_the_runs_of_a_live_one,
    test_a_stopped_and_replaced_owner_is_refused_and_changes_nothing,
    test_another_pid_namespace_is_no_proof_of_death,
    test_the_processes_of_a_stopped_owner_are_gone_before_the_new_attempt_starts_its_own,
)
from tests.postgres.crash.places import Places

__all__ = [
    "test_a_second_process_never_disturbs_the_runs_of_a_live_one",
    "test_a_stopped_and_replaced_owner_is_refused_and_changes_nothing",
    "test_another_pid_namespace_is_no_proof_of_death",
    "test_the_processes_of_a_stopped_owner_are_gone_before_the_new_attempt_starts_its_own",
]


@pytest.fixture(autouse=True)
def stopped_anywhere(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places.begin(tmp_path)
    monkeypatch.setattr(
        over_a_file, "stop_between_commits", lambda _folder, pid: os.kill(pid, signal.SIGSTOP)
    )
