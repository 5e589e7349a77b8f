"""Exit codes of every command: stable, shown by `runstone --help`, and tested."""

from typing import Final

from runstone import errors

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
RUN_FAILED: Final = 5
NEEDS_INPUT: Final = 6
STILL_RUNNING: Final = 8
SIGINT: Final = 130
SIGTERM: Final = 143

MEANINGS: Final = {
    OK: "done",
    ERROR: "error",
    USAGE: "wrong usage",
    RUN_FAILED: "the run that was started or watched failed, was stopped, paused or interrupted",
    NEEDS_INPUT: "the run waits for an answer of a person",
    STILL_RUNNING: "still running at --timeout",
    SIGINT: "Ctrl-C",
    SIGTERM: "ended by SIGTERM",
}

_BY_STATUS: Final = {
    "completed": OK,
    "failed": RUN_FAILED,
    "cancelled": RUN_FAILED,
    "paused": RUN_FAILED,
    "interrupted": RUN_FAILED,
    "moved": RUN_FAILED,
    "awaiting_user": NEEDS_INPUT,
}


def of_status(status: str) -> int:
    """The code that says how a run stands; a run that is still at work is STILL_RUNNING."""
    return _BY_STATUS.get(status, STILL_RUNNING)


def of_error(error: BaseException) -> int:
    """The code of an error that ended a command."""
    if isinstance(error, errors.AwaitingInput):
        return NEEDS_INPUT
    if isinstance(error, errors.RunOutcome):
        return RUN_FAILED
    if isinstance(error, errors.BindingRefused):
        return USAGE
    return ERROR
