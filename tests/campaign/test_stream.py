"""The live stream at size: 100,000 events over cuts and a kill, 200 readers of bursts, 20 readers of a steady rate."""

import asyncio
from pathlib import Path

import pytest

from tests.server.stream.crowds import cut_and_killed, followed


@pytest.mark.timeout(600)
def test_a_hundred_thousand_events_over_ten_cuts_and_a_kill(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    told = asyncio.run(cut_and_killed(tmp_path, events=100_000, cuts=10, kills=1, seed=11))
    record_property("events", len(told.positions))
    assert told.positions == told.ledger


@pytest.mark.timeout(600)
def test_two_hundred_readers_of_twenty_thousand_events_in_bursts(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    told = asyncio.run(followed(tmp_path, readers=200, events=20_000, burst=1_000, rate=None))
    record_property("told", told)
    print(told)
    assert told.wrong == []


@pytest.mark.timeout(600)
def test_twenty_readers_at_two_thousand_events_a_second(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    told = asyncio.run(followed(tmp_path, readers=20, events=60_000, burst=100, rate=2_000))
    record_property("told", told)
    print(told)
    assert told.wrong == []
