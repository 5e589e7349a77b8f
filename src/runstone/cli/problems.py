"""Errors as a person and a program read them: `error:` and `hint:`, or a problem object as in RFC 9457."""

import json
import os
import re
import sys
import traceback
from typing import Any, NamedTuple

import click

from runstone.cli import exit_codes
from runstone.cli.output import Output, plain, to_json
from runstone.cli.text import escape_json
from runstone.errors import RunstoneError

DEBUG = "RUNSTONE_DEBUG"
_NO_COMMAND: tuple[type[Exception], ...] = (
    getattr(click.exceptions, "NoArgsIsHelpError", click.exceptions.NoSuchOption),
)
"""A noun without its verb, whose message is the whole help; click before 8.2 prints that itself."""


class Problem(NamedTuple):
    """An error with the code that a command ends with."""

    exit_code: int
    title: str
    detail: str
    code: str
    hint: str | None
    extra: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The members of RFC 9457 (`type`, `title`, `detail`), with `code`, `hint` and what the error knows beside."""
        known = {"type": f"urn:runstone:error:{self.code}", "title": self.title, "detail": self.detail}
        return {**self.extra, **known, "code": self.code, "hint": self.hint, "exit_code": self.exit_code}


def problem_of(error: BaseException) -> Problem:
    """The problem that an exception is."""
    if isinstance(error, RunstoneError):
        return _known(error)
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        detail = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        return Problem(exit_codes.ERROR, "The operating system refused.", detail, "os_error", None, {})
    detail = f"{type(error).__name__}: {error}"
    hint = f"this is a defect of Runstone or of an imported module; {DEBUG}=1 shows where"
    return Problem(exit_codes.ERROR, "Something unexpected happened.", detail, "internal", hint, {})


def _known(error: RunstoneError) -> Problem:
    title = (type(error).__doc__ or "").strip().split("\n")[0]
    run_id = getattr(error, "run_id", "") or str(error.details.get("run_id") or "")
    extra = {**_json_only(error.details), **({"run_id": run_id} if run_id else {})}
    hint = error.hint if error.hint != RunstoneError.hint else None
    if hint and run_id:
        hint = re.sub(r"\bRUN\b", lambda _: run_id, hint)
    return Problem(exit_codes.of_error(error), title, str(error), error.code, hint, extra)


def _usage(error: click.ClickException) -> Problem:
    if not isinstance(error, click.UsageError):
        return Problem(exit_codes.ERROR, "It could not be done.", error.format_message(), "error", None, {})
    path = error.ctx.command_path if error.ctx is not None else "runstone"
    hint = getattr(error, "hint", None) or f"see what it takes: {path} --help"
    return Problem(exit_codes.USAGE, "Wrong usage.", error.format_message(), "usage", hint, {})


def _json_only(details: dict[str, Any]) -> dict[str, Any]:
    """Details that are JSON; an error's other details stay in Python."""
    kept = {}
    for name, value in details.items():
        try:
            kept[name] = json.loads(to_json(plain(value)))
        except (TypeError, ValueError):
            kept[name] = str(value)
    return kept


def report(error: BaseException, output: Output, code: int | None = None) -> int:
    """Prints the problem on stderr and gives the exit code; `code` where it is not the one of the error."""
    problem = problem_of(error)
    if code is not None:
        problem = problem._replace(exit_code=code)
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    if output.text and isinstance(error, _NO_COMMAND):
        sys.stderr.write(problem.detail + "\n")  # the help, as it is laid out
    elif output.text:
        output.message(f"error: {problem.detail}", "bad")
        if problem.hint:
            output.message(f"hint: {problem.hint}")
    else:
        sys.stderr.write(escape_json(to_json(problem.to_dict())) + "\n")
    return problem.exit_code
