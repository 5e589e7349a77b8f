"""Kills at random moments over PostgreSQL, by the test that kills over files; a tenth as many, in as many ledgers."""

import pytest

from tests.campaign import test_kills as over_files
from tests.campaign.test_kills import test_five_hundred_kills as test_a_tenth_of_five_hundred_kills

__all__ = ["fewer", "test_a_tenth_of_five_hundred_kills"]


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_files, "KILLS", over_files.KILLS // 10)
