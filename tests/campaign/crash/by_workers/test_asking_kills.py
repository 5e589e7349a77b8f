"""Kills of asking, answering and continuing where workers execute, alone and raced, by the tests that hold over a file.

Loops of one's own and commands that are told messages have no worker.
"""

from pathlib import Path

import pytest

from tests.campaign import test_asking as racing
from tests.crash.test_asking_kills import MATRIX, kill, server
from tests.crash.world import Server

__all__ = ["server"]

OF_WORKERS = [one for one in MATRIX if one[0] != "loop"]


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("program", "write", "count"), OF_WORKERS, ids=str)
def test_a_kill_at_any_point_loses_no_question_and_applies_each_answer_once(
    tmp_path: Path,
    server: Server,
    program: str,
    write: str,
    count: int,
    side: str,
) -> None:
    kill(tmp_path, server, program, write, count, side=side, racing=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("program", "write", "count"), OF_WORKERS, ids=str)
def test_a_kill_beside_a_process_that_does_the_same_loses_nothing(
    tmp_path: Path, program: str, write: str, count: int, side: str
) -> None:
    racing.test_a_kill_beside_a_process_that_does_the_same_loses_nothing(
        tmp_path, program, write, count, side
    )
