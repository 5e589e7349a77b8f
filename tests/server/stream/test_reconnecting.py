"""Nothing is lost and nothing comes twice: cut clients, a server that is killed, and many readers during bursts.

The large versions are in tests/campaign/test_stream.py.
"""

import asyncio
from pathlib import Path

import pytest

from tests.server.stream.crowds import cut_and_killed, followed


@pytest.mark.timeout(110)
def test_a_cut_client_and_a_killed_server_give_exactly_the_ledger_in_order(tmp_path: Path) -> None:
    told = asyncio.run(cut_and_killed(tmp_path, events=20_000, cuts=10, kills=1, seed=7))
    assert told.positions == told.ledger
    assert told.cuts == 10
    assert told.kills == 1


@pytest.mark.timeout(110)
def test_many_readers_of_bursts_have_every_event_once_in_order(tmp_path: Path) -> None:
    told = asyncio.run(followed(tmp_path, readers=60, events=4_000, burst=400, rate=None))
    assert told.wrong == []
    assert told.readers == 60


@pytest.mark.timeout(110)
def test_readers_of_a_steady_rate_have_every_event_once_in_order(tmp_path: Path) -> None:
    told = asyncio.run(followed(tmp_path, readers=20, events=6_000, burst=100, rate=2_000))
    assert told.wrong == []
    assert told.seconds < 60
