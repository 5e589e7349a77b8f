"""Processes that fork with a shared ledger open, by the tests that hold for a file.

A file that the parent has open is refused to a child, as closing it there would drop the parent's locks. A child's own
connection to a database harms nobody, so that it may open the ledger itself.
"""

from pathlib import Path

import pytest

import runstone
from tests.crash import test_forks as over_a_file
from tests.crash.test_forks import (
    test_a_child_may_open_another_workspace,
    test_a_child_of_a_process_that_has_closed_its_ledger_may_open_it,
    test_a_forked_child_is_refused_and_ends_without_a_trace,
    test_workers_of_multiprocessing_are_refused_too,
)
from tests.postgres.crash.places import Places

__all__ = [
    "test_a_child_may_open_another_workspace",
    "test_a_child_of_a_process_that_has_closed_its_ledger_may_open_it",
    "test_a_forked_child_is_refused_and_ends_without_a_trace",
    "test_workers_of_multiprocessing_are_refused_too",
]

OF_A_FILE = "            lambda: runstone.open(FOLDER),\n"


@pytest.fixture(autouse=True)
def begun(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their programs are the first to open these."""
    places.begin(tmp_path)
    places.begin(tmp_path / "other")
    assert OF_A_FILE in over_a_file.CHILD
    monkeypatch.setattr(over_a_file, "CHILD", over_a_file.CHILD.replace(OF_A_FILE, ""))


def test_a_child_may_open_the_shared_ledger_itself_and_its_parent_goes_on(tmp_path: Path) -> None:
    said = over_a_file.run(
        tmp_path,
        """
import os, sys, runstone
ledger = runstone.open(FOLDER)
run = ledger.start_run(run_id="r1")
for number in range(5):
    receipts = [run.emit("note.written", {"n": n}) for n in range(100)]
    pid = os.fork()
    if pid == 0:
        with runstone.open(FOLDER) as own:
            with own.start_run(run_id=f"child-{number}") as mine:
                mine.emit("note.written", {}).result()
            print(own.get_run(f"child-{number}").status, own.get_run("r1").status, flush=True)
        sys.exit(0)
    for receipt in receipts:
        receipt.result()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
run.complete().result()
""",
    )
    assert said == ["completed running"] * 5
    with runstone.open(tmp_path) as ledger:
        assert [event.seq for event in ledger.events("r1", limit=1_000)] == list(range(1, 504))
        assert {run.status for run in ledger.list_runs()} == {"completed"}
        assert ledger.care.verify() == []
