"""Orders to runs of a worker in another process, by the test that holds over a file.

Its parent stays with its worker; one that is parked is cancelled at once, while its children still end.
"""

from collections.abc import Iterator

import pytest

from tests.crash.test_stop_many import (
    server,
    test_a_stop_of_fifty_processes_leaves_none_alive_and_every_row_says_why,
)

__all__ = ["server", "test_a_stop_of_fifty_processes_leaves_none_alive_and_every_row_says_why"]


@pytest.fixture(scope="module", autouse=True)
def parents_stay(by_workers: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNSTONE_TEST_WORKERS", "staying")
        yield
