"""A boundary of a write over PostgreSQL, crashed at as over a file; all of them are in the campaign."""

from pathlib import Path

from tests.crash.test_points import crash_at
from tests.crash.world import Server


def test_a_crash_at_a_boundary_loses_nothing(tmp_path: Path) -> None:
    with Server() as server:
        crash_at(server, tmp_path / "w", "StartChildren.before_commit")
