"""Eight processes append for a minute."""

from pathlib import Path

import pytest

from tests.crash.contention import contend


@pytest.mark.timeout(400)
def test_eight_processes_append_for_a_minute(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    record_property("told", contend(tmp_path, processes=8, seconds=60))
