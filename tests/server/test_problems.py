"""Every error has a status of its own, and every problem says what the Python error says."""

import json

import pytest

from runstone import errors
from runstone.cli import exit_codes
from runstone.errors import BindingRefused, RunstoneError
from runstone.server import problems


def known(kind: type[RunstoneError]) -> list[type[RunstoneError]]:
    below = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    return [kind, *(each for one in below for each in known(one))]


def test_the_table_of_statuses_has_every_error_and_no_other() -> None:
    assert set(problems.STATUS) == set(known(RunstoneError))
    assert all(400 <= status < 600 for status in problems.STATUS.values())


@pytest.mark.parametrize("kind", known(RunstoneError))
def test_a_problem_has_the_code_and_the_hint_of_its_error(kind: type[RunstoneError]) -> None:
    error = kind("it went so", run_id="r1")
    told = json.loads(problems.body_of(error, "/api/v1/runs"))
    assert (told["code"], told["detail"], told["status"]) == (kind.code, "it went so", problems.STATUS[kind])
    assert told["title"] == (kind.__doc__ or "").strip().splitlines()[0]
    expected = (
        None
        if kind.hint == RunstoneError.hint
        else kind.hint.replace("RUN", "r1").replace("r1STONE", "RUNSTONE")
    )
    assert told["hint"] == expected


def test_a_problem_can_tell_text_that_is_no_unicode() -> None:
    assert b"ud800" in problems.body_of(errors.NotFound("there is no \ud800"), "/")


def test_a_refused_binding_ends_a_command_as_wrong_usage() -> None:
    assert exit_codes.of_error(BindingRefused("it can be reached")) == exit_codes.USAGE
