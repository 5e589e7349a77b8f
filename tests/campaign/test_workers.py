"""Ten minutes of chaos over PostgreSQL, and workers that die at every place where their work could be cut in two."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from tests.chaos.test_chaos import own_server, survive
from tests.postgres import server
from tests.postgres.test_workers import dies_between, ledger, team, url
from tests.workers import chaos

__all__ = ["ledger", "own_server", "team", "url"]

FAULTS_S = 600.0
TREES = 90

POINTS = (
    "relay.before_enqueue", "relay.after_enqueue", "relay.after_forget", "MoveDispatches.before_commit",
    "MoveDispatches.after_commit", "MoveDispatches.after_commit:2", "MoveDispatches.before_commit:3",
    "TakeDuty.before_commit", "TakeDuty.after_commit", "InterruptRun.before_commit", "InterruptRun.after_commit",
    "ClaimRun.before_commit", "ClaimRun.after_commit", "EndRun.before_commit", "EndRun.after_commit:2",
    "ParkRun.before_commit", "ParkRun.after_commit", "StartChildren.before_commit", "StartChildren.after_commit",
    "RenewLeases.after_commit", "writer.after_begin:3",
)  # fmt: skip


@pytest.fixture
def dsn() -> Iterator[str]:
    with server.database() as dsn:
        yield dsn


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_between_any_two_statements_leaves_nothing_undone(
    ledger: runstone.Ledger, team: chaos.Workers, tmp_path: Path, point: str
) -> None:
    dies_between(ledger, team, tmp_path, point)


@pytest.mark.timeout(FAULTS_S + 900)
def test_ten_minutes_of_chaos(own_server: server.Server, tmp_path: Path) -> None:
    survive(own_server, tmp_path, trees=TREES, faults_s=FAULTS_S, every=(1, 3), within_s=600)
