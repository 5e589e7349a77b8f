"""Finished work is never done again by workers either: the tests of the engine, with its runs dispatched."""

import pytest

import runstone
from tests.engine.test_reuse import (  # noqa: F401
    calls,
    ledger,
    test_a_changed_agent_version_runs_all_of_that_agent,
    test_an_edit_runs_only_what_is_new,
    test_child_2_failed_resume_runs_one,
    test_reuse_is_shown_apart_and_adds_nothing,
    test_two_pipelines_with_equal_middles_in_swapped_order,
)
from tests.workers import dispatched


@pytest.fixture(autouse=True)
def by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runstone, "run", dispatched.run)
    monkeypatch.setattr(runstone, "resume", dispatched.resume)
