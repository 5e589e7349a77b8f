"""Commands are not slowed by a ledger that is busy with the output of all of them."""

from pathlib import Path
from typing import Any

from runstone.ledger import Ledger
from tests.engine.background.crowd import crowd


def test_six_commands_that_print_a_thousand_lines_a_second_lose_none(
    ledger: Ledger, tmp_path: Path, record_property: Any
) -> None:
    seen = crowd(ledger, tmp_path, commands=6, per_s=1_000, seconds=2)
    record_property("told", str(seen))
    assert seen.slowest_command < 3.0
    assert seen.watcher_mb < 80
