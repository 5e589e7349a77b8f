"""A crash point costs nothing unarmed, and kills exactly where it was told to."""

import os
import signal
import subprocess
import sys

import pytest

from runstone.testing.crash import ANY, crash_environment, crash_point, recording

_PASSES = """
from runstone.testing.crash import crash_point
for n in range(1, 4):
    crash_point("writer.begin"); print("begin", n, flush=True)
    crash_point("writer.commit"); print("commit", n, flush=True)
"""


def passes(extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PASSES],
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_unarmed_points_do_nothing() -> None:
    done = passes({})
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 6)


@pytest.mark.parametrize(
    ("name", "count", "last_line"),
    [("writer.commit", 2, "begin 2"), ("writer.begin", 3, "commit 2"), (ANY, 4, "begin 2")],
)
def test_kills_at_the_counted_passing(name: str, count: int, last_line: str) -> None:
    done = passes(crash_environment(name, count))
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.splitlines()[-1] == last_line


@pytest.mark.parametrize("setting", ["writer.commit:x", ":2", "writer.commit:0"])
def test_a_mistyped_setting_is_refused_not_ignored(setting: str) -> None:
    done = passes({"RUNSTONE_CRASH_AT": setting})
    assert done.returncode == 1
    assert "ValueError" in done.stderr


def test_recording_counts_points_and_disarms() -> None:
    with recording() as passed:
        crash_point("writer.begin")
        crash_point("writer.begin")
    crash_point("writer.begin")
    assert passed == {"writer.begin": 2}
