"""`ask`: a script asks a person in the name of its run, and gets the answer on stdout."""

import os
from typing import Any, Final

import click
import msgspec

from runstone.cli import questions
from runstone.cli.arguments import Duration, RunId
from runstone.cli.command import Command, with_typed_session
from runstone.cli.inputs import print_answer
from runstone.cli.session import Session

RUN_VARIABLE: Final = "RUNSTONE_RUN_ID"
"""Set for every command that Runstone starts."""


@click.command(cls=Command)
@click.argument("message")
@click.option(
    "--choice", "choices", multiple=True, metavar="TEXT", help="An answer that fits; may be repeated."
)
@click.option("--key", metavar="KEY", help="A name of the question: under it, it is asked once in the run.")
@click.option("--reason", metavar="TEXT", help="Why it is asked.")
@click.option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    help="Wait so long at most (90s, 2h), then end with exit code 6; asking again goes on waiting.",
)
@click.option(
    "--expires", type=Duration(), metavar="DURATION", help="Take no answer after that time (90s, 2h, 3d)."
)
@click.option("--default", metavar="TEXT", help="What it is taken as when it expires.")
@click.option("--run", type=RunId(), metavar="RUN", help=f"The run that asks; else ${RUN_VARIABLE}.")
@with_typed_session
def ask(session: Session, message: str, choices: tuple[str, ...], run: str | None, **more: Any) -> int:
    """Ask a person and print the answer.

    For scripts and agents that run as a command of Runstone: MESSAGE is asked in the name of their run, which keeps
    running meanwhile and is listed as one that needs input. Anybody answers with `runstone inputs answer`.

    \b
    branch=$(runstone ask "Which branch?" --choice main --choice dev) || exit
    """
    run = run or os.environ.get(RUN_VARIABLE)
    if not run:
        error = click.UsageError(f"there is no run to ask for: give --run, or set ${RUN_VARIABLE}")
        error.hint = "start the script as a run: runstone exec -- COMMAND"  # type: ignore[attr-defined]
        raise error
    default = msgspec.UNSET if more["default"] is None else more["default"]
    with session.changing() as ledger:
        asked = ledger.inputs.ask(
            ledger.resolve(run), message, choices=choices or None, key=more["key"], reason=more["reason"],
            expires_s=more["expires"], default=default,
        )  # fmt: skip
        if asked.status == "open":
            session.output.note(f"asked; {questions.hint_of(asked)}", "")
        asked = ledger.inputs.wait(asked.id, more["timeout"])
        code = print_answer(session.output, asked)
        if code == 0:
            ledger.inputs.take(asked.id)
    return code
