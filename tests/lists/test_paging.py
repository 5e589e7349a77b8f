"""Turning pages of 100,000 runs while 1,000 of them change: nothing is skipped, nothing comes twice."""

import shutil
from pathlib import Path

import pytest

from tests.lists import many

RUNS, CHANGED = 100_000, 1_000


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    many.build(folder, RUNS)
    return folder


@pytest.mark.parametrize(
    ("sort", "order"),
    [("created", "desc"), ("updated", "desc"), ("ended", "asc"), ("duration", "desc"), ("cost", "asc")],
)
def test_each_unchanged_run_is_on_one_page_and_each_changed_one_comes_from_the_tail(
    built: Path, tmp_path: Path, sort: str, order: str
) -> None:
    shutil.copytree(built, tmp_path / "copy")
    many.prove(tmp_path / "copy", RUNS, CHANGED, sort, order)
