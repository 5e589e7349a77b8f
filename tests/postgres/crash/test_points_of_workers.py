"""A boundary of a relay, crashed at as those of other writes are; the others are in the campaign."""

from pathlib import Path

from tests.crash.test_points import crash_at
from tests.crash.world import Server
from tests.postgres.crash.by_workers import by_workers

__all__ = ["by_workers"]


def test_a_crash_between_queue_and_ledger_loses_nothing(tmp_path: Path) -> None:
    with Server() as server:
        crash_at(server, tmp_path / "w", "relay.after_enqueue")
