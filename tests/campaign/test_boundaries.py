"""The boundaries that the crash stage leaves out: a kill before a commit, for every write."""

from pathlib import Path
from typing import Any

import pytest

from tests.care import retained
from tests.crash.test_points import FEW, POINTS, crash_at
from tests.crash.test_prune_kills import kill_at_each_write
from tests.crash.world import Server


@pytest.mark.parametrize("point", sorted(set(POINTS) - set(FEW)))
def test_a_crash_at_each_boundary_loses_nothing(tmp_path: Path, point: str) -> None:
    with Server() as server:
        crash_at(server, tmp_path / "w", point)


@pytest.mark.parametrize("mode", ["remove", "keep"])
def test_a_prune_killed_before_any_commit_leaves_what_lives(
    tmp_path: Path, mode: str, record_property: Any
) -> None:
    template = tmp_path / "template"
    retained.build(template, large=2_300)
    with Server() as server:
        told = kill_at_each_write(template, tmp_path, server, "writer.before_commit", mode)
    record_property("told", told)
