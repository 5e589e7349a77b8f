"""A real server, and clients of it that spool into a folder of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone.client.ledger import RemoteLedger
from tests.server.conftest import Running, running

__all__ = ["running"]

Connect = Callable[..., RemoteLedger]


@pytest.fixture
def connect(running: Running, tmp_path: Path) -> Iterator[Connect]:
    """Connects to the server; closed at the end."""
    made: list[RemoteLedger] = []

    def connect(role: str = "control", **more: Any) -> RemoteLedger:
        made.append(RemoteLedger(running.url, running.tokens[role], spool=tmp_path / "spool", **more))
        return made[-1]

    yield connect
    for one in made:
        one.close()
