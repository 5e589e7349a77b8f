"""The fake clock tells sleep, jumps and passing time apart; the real one agrees with the machine."""

import os
import subprocess
import sys
import time

import pytest

from runstone.domain.clock import Clock
from runstone.store.clock import SystemClock
from runstone.testing.clock import FakeClock, clock_environment


def readings(clock: Clock) -> tuple[int, float]:
    return clock.now(), clock.monotonic()


def test_stands_still_until_moved() -> None:
    clock = FakeClock()
    assert readings(clock) == readings(clock)


@pytest.mark.parametrize(
    ("move", "wall_us", "running_s"),
    [("advance", 1_500_000, 1.5), ("sleep_machine", 1_500_000, 0.0), ("jump", 1_500_000, 0.0)],
)
def test_each_move_changes_what_it_says(move: str, wall_us: int, running_s: float) -> None:
    clock = FakeClock(start=10_000_000, monotonic=5.0)
    getattr(clock, move)(1.5)
    assert readings(clock) == (10_000_000 + wall_us, 5.0 + running_s)


def test_only_a_jump_goes_back() -> None:
    clock = FakeClock(start=10_000_000)
    clock.jump(-3)
    assert clock.now() == 7_000_000
    for move in (clock.advance, clock.sleep_machine):
        with pytest.raises(ValueError, match="backwards"):
            move(-1)


def test_many_small_steps_add_up_exactly() -> None:
    clock = FakeClock(start=0, monotonic=0.0)
    for _ in range(100_000):
        clock.advance(0.1)
    assert readings(clock) == (10_000_000_000, 10_000.0)


def test_system_clock_reads_the_machine() -> None:
    clock = SystemClock()
    before, wall, running = time.time_ns() // 1_000, clock.now(), clock.monotonic()
    assert before <= wall <= time.time_ns() // 1_000
    assert running <= clock.monotonic()


def test_a_process_can_be_made_to_live_ahead() -> None:
    told = "print(SystemClock().now() / 1e6 - time.time())"
    program = f"import time; from runstone.store.clock import SystemClock; {told}"
    env = {**os.environ, **clock_environment(3600)}
    said = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert 3599 < float(said) < 3601
    with pytest.raises(ValueError, match="backwards"):
        clock_environment(-1)
