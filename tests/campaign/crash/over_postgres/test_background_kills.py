"""Background commands of a shared ledger whose processes are killed, by the tests that hold over a file.

After a restart a machine comes back to the shared ledger, where a file's test has a copy of its workspace.
"""

from pathlib import Path

import pytest

from runstone.ledger import Ledger
from tests.crash import test_background_kills as over_a_file
from tests.crash.test_background_kills import lives, require_left_alone, unwatched

OF_A_FILE = {"test_after_a_restart_of_the_machine_nothing_is_signalled_or_adopted"}

globals().update({name: thing for name, thing in vars(over_a_file).items() if name not in OF_A_FILE})


def test_after_a_restart_of_the_machine_nothing_of_a_shared_ledger_is_signalled_or_adopted(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, command, spooled = unwatched(ledger)
    require_left_alone(tmp_path, run_id, spooled, monkeypatch)
    assert lives(command), "a process of another boot was signalled"
