"""What a run has come to, by how its command ended."""

import errno
import os
import signal
from typing import Any

from runstone.domain.redaction import Redactor
from runstone.engine.background.folder import Exit, Launch
from runstone.engine.outcome import error_of
from runstone.errors import (
    CommandError,
    CommandFailed,
    CommandInputRefused,
    CommandNotExecutable,
    CommandNotFound,
    CommandTimedOut,
)

UNSEEN = "the command's end was not seen, as its keeper was killed; what it printed is in its thread"

STARTING = {kind.code: kind for kind in (CommandNotFound, CommandNotExecutable, CommandInputRefused)}
"""Errors of a command that never ran, by their code."""


def failure(launch: Launch, end: Exit, *, timed_out: bool, errors: str) -> CommandError | None:
    """The error of a command that did not do its work, or None."""
    name = launch.arguments[0]
    if end.failed_at is not None:
        return _never_ran(launch, end)
    details: dict[str, Any] = {"exit_code": end.exit_code, "signal": end.signal, "stderr": errors}
    if timed_out:
        return CommandTimedOut(f"{name} did not end within {launch.timeout_s:g} s", **details)
    if end.exit_code == 0:
        return None
    how = f"exit code {end.exit_code}" if end.signal is None else f"signal {signal_name(end.signal)}"
    last = errors.rpartition("\n")[2].strip()
    return CommandFailed(f"{name} ended with {how}" + (f": {last[:300]}" if last else ""), **details)


def error_payload(error: CommandError, redactor: Redactor) -> dict[str, Any]:
    """The error as the event has it: with exit code, signal and the last lines of stderr, without secrets."""
    told = error_of(error, redactor)
    told.pop("traceback", None)  # it would show this file, not the command
    details = {name: value for name, value in error.details.items() if value not in (None, "")}
    return told | redactor.value(details)


def signal_name(number: int) -> str:
    """SIGKILL for 9; the number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _never_ran(launch: Launch, end: Exit) -> CommandError:
    why = os.strerror(end.errno) if end.errno else "its process ended before it ran"
    if end.failed_at == "cwd":
        return CommandNotFound(f"{launch.arguments[0]} cannot run in {launch.cwd}: {why}")
    if end.errno == errno.ENOENT:
        return CommandNotFound(f"{launch.program} cannot be executed: {why}")
    if end.errno == errno.E2BIG:
        return CommandInputRefused("the arguments and environment are longer than the system takes")
    return CommandNotExecutable(f"{launch.program} cannot be executed: {why}")
