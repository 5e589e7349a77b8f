"""Every boundary of every kind of write over PostgreSQL, by the tests that crash there over a file.

Giving back the pages of a file and merging its index of words are writes of SQLite's file alone.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.campaign import test_boundaries as boundaries
from tests.crash import test_points as over_a_file
from tests.crash.test_points import (
    test_a_crash_at_each_boundary_loses_nothing,
    test_every_kind_of_write_passes_its_points,
)

__all__ = ["test_a_crash_at_each_boundary_loses_nothing", "test_every_kind_of_write_passes_its_points"]

OF_A_FILE = ("GiveBack", "TidySearch")


def of_a_database(points: Sequence[str]) -> list[str]:
    return [point for point in points if point.partition(".")[0] not in OF_A_FILE]


OTHERS = sorted({*of_a_database(over_a_file.POINTS)} - {*over_a_file.FEW})


@pytest.fixture(autouse=True)
def without_those_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POINTS", "FEW"):
        monkeypatch.setattr(over_a_file, name, of_a_database(getattr(over_a_file, name)))


@pytest.mark.parametrize("point", OTHERS)
def test_a_crash_at_each_other_boundary_loses_nothing(tmp_path: Path, point: str) -> None:
    boundaries.test_a_crash_at_each_boundary_loses_nothing(tmp_path, point)
