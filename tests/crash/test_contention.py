"""Eight processes append for ten seconds."""

from pathlib import Path

from tests.crash.contention import contend


def test_eight_processes_append_at_the_same_time(tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    record_property("told", contend(tmp_path, processes=8, seconds=10))
