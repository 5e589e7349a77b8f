"""Workflows are executed by workers, in the test and in the programs that it kills."""

from collections.abc import Iterator

import pytest

import runstone
from tests.postgres.crash.places import Places
from tests.workers import dispatched


@pytest.fixture(scope="module", autouse=True)
def by_workers(places: Places) -> Iterator[None]:
    """For the module, as its server of programs is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNSTONE_TEST_WORKERS", "parking")
        patch.setattr(runstone, "run", dispatched.run)
        patch.setattr(runstone, "resume", dispatched.resume)
        yield
