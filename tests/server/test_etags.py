"""The ETag of a run: the same while nothing happens, another one whenever something is shown otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.server.shapes.shown import etag_of_shown, shown_run
from runstone.testing.clock import FakeClock

USAGE = {"provider": "p", "model": "m", "input_tokens": 3, "request_id": "q"}


def tag(ledger: runstone.Ledger, run_id: str = "r") -> str:
    return etag_of_shown(shown_run(ledger.reader, run_id))


def test_time_a_heartbeat_and_other_runs_change_no_tag(tmp_path: Path) -> None:
    clock = FakeClock()
    with runstone.open(tmp_path, clock=clock) as ledger, ledger.start_run(run_id="r"):
        first, before = tag(ledger), shown_run(ledger.reader, "r")
        clock.advance(10)
        assert tag(ledger) == first
        ledger.supervisor.beat()
        after = shown_run(ledger.reader, "r")
        assert after.lease_expires_at != before.lease_expires_at  # it was renewed
        assert tag(ledger) == first
        with ledger.start_run(run_id="other"):
            assert tag(ledger) == first
    with runstone.open(tmp_path, clock=clock) as ledger:
        ended = tag(ledger)
        clock.advance(3_600)
        assert tag(ledger) == ended


CHANGES: dict[str, Callable[[runstone.Ledger, Any, FakeClock], Any]] = {
    "its title": lambda ledger, run, clock: ledger.update_run("r", title="b"),
    "a label": lambda ledger, run, clock: ledger.update_run("r", labels={"a": "b"}),
    "a mark": lambda ledger, run, clock: ledger.update_run("r", pinned=True),
    "its archive": lambda ledger, run, clock: ledger.update_run("r", archived=True),
    "what it spent": lambda ledger, run, clock: run.usage(**USAGE).result(),
    "what a child spent": lambda ledger, run, clock: _child(ledger).usage(**USAGE).result(),
    "a question": lambda ledger, run, clock: ledger.inputs.ask("r", "Which?"),
    "its end": lambda ledger, run, clock: run.complete(summary="done").result(),
    "its failure": lambda ledger, run, clock: run.fail("broken").result(),
    "its pause": lambda ledger, run, clock: run.pause(state={}),
    "an owner that fell silent": lambda ledger, run, clock: clock.advance(16),
    "a lease that ended": lambda ledger, run, clock: clock.advance(31),
}


def _child(ledger: runstone.Ledger) -> Any:
    return ledger.start_run(run_id="child", parent="r")


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_shown_otherwise_makes_another_tag(tmp_path: Path, what: str) -> None:
    clock = FakeClock()
    with runstone.open(tmp_path, clock=clock) as ledger:
        run = ledger.start_run(run_id="r", title="a")
        first = tag(ledger)
        CHANGES[what](ledger, run, clock)
        assert tag(ledger) != first


def test_a_question_that_expires_makes_another_tag(tmp_path: Path) -> None:
    clock = FakeClock()
    with runstone.open(tmp_path, clock=clock) as ledger, ledger.start_run(run_id="r"):
        ledger.inputs.ask("r", "Which?", expires_s=5)
        first = tag(ledger)
        clock.advance(6)
        assert tag(ledger) != first
