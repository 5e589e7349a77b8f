"""The whole matrix of kill points of asking and continuing, raced by a second process, several times."""

from pathlib import Path

import pytest

from tests.crash.test_asking_kills import MATRIX, kill
from tests.crash.world import Server

ROUNDS = 5


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("program", "write", "count"), MATRIX, ids=str)
def test_a_kill_beside_a_process_that_does_the_same_loses_nothing(
    tmp_path: Path, program: str, write: str, count: int, side: str
) -> None:
    with Server() as server:
        for number in range(ROUNDS):
            folder = tmp_path / str(number)
            folder.mkdir()
            kill(folder, server, program, write, count, side=side, racing=True)
