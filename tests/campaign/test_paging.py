"""Turning pages of a million runs while ten thousand of them change."""

from pathlib import Path

import pytest

from tests.lists import many

RUNS, CHANGED = 1_000_000, 10_000


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("sort", "order"), [("created", "asc"), ("updated", "desc"), ("cost", "desc"), ("duration", "asc")]
)
def test_a_million_runs_are_paged_while_ten_thousand_change(tmp_path: Path, sort: str, order: str) -> None:
    many.build(tmp_path, RUNS)
    many.prove(tmp_path, RUNS, CHANGED, sort, order)
