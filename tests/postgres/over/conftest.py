"""Tests of other stages, run over PostgreSQL: each folder that one opens is a ledger in a database there.

Processes that a test starts open the same one for the same folder; see `elsewhere/sitecustomize.py`.
"""

from collections.abc import Iterator

import pytest

from tests.postgres.over import folders
from tests.postgres.over.folders import Folders


@pytest.fixture(autouse=True)
def shared() -> Iterator[Folders]:
    """The databases that stand for folders."""
    with folders.shared() as opened:
        yield opened
