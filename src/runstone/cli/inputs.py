"""`inputs list | show | answer | wait`: what runs ask people."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click
from click.shell_completion import CompletionItem

from runstone.cli import exit_codes, questions, text
from runstone.cli.arguments import WORKSPACE, Duration, RunId
from runstone.cli.command import Group, with_any_session
from runstone.cli.options import PAGE, with_options
from runstone.cli.orders import who
from runstone.cli.output import Output
from runstone.cli.session import Session
from runstone.cli.table import Cell
from runstone.domain.inputs import STATUSES, InputRequest, require_fits
from runstone.errors import InputExpired, InputWithdrawn, InvalidAnswer, NotFound
from runstone.ledger import Ledger


class InputId(click.ParamType[str]):
    """Any unique part of an input request's id; shells complete the open ones."""

    name = "INPUT"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The open questions whose id holds what was typed."""
        import runstone
        from runstone.errors import RunstoneError

        try:
            with runstone.open(ctx.meta.get(WORKSPACE), readonly=True, create=False) as ledger:
                found = ledger.inputs.list(limit=200).items
        except RunstoneError:
            return []  # no ledger, no proposals; the command itself will say why
        return [CompletionItem(one.id, help=one.message[:60]) for one in found if incomplete in one.id]


@click.group(cls=Group)
def inputs() -> None:
    """See what runs ask people, and answer."""


@inputs.command("list")
@click.option(
    "--status",
    type=click.Choice([*STATUSES, "all"]),
    default="open",
    show_default=True,
    help="Only questions of this status.",
)
@click.option("--run", type=RunId(), metavar="RUN", help="Only questions of this run.")
@with_options(PAGE)
@with_any_session
def list_(session: Session, status: str, run: str | None, limit: int, cursor: str | None) -> None:
    """List questions, the one that waits longest first."""
    output = session.output
    with session.reading() as ledger:
        run_id = None if run is None else ledger.resolve(run)
        wanted = None if status == "all" else status
        page = ledger.inputs.list(status=wanted, run_id=run_id, limit=limit, cursor=cursor)
    if not output.text:
        return output.items(page.items, page.next_cursor)
    if not page.items:
        nothing = "nobody is asked anything" if status == "open" else f"there are no questions ({status})"
        return output.note(f"{nothing}; a run asks with ctx.ask(), run.ask() or: runstone ask")
    output.table(questions.input_table(page, datetime.now(UTC)))
    if page.next_cursor is not None:
        output.hint(f"there are more: --cursor {page.next_cursor}")
    elif status == "open":
        output.hint(questions.hint_of(page.items[0]))
    return None


@inputs.command()
@click.argument("input", type=InputId())
@with_any_session
def show(session: Session, input: str) -> None:
    """Show the question INPUT: its message, what fits, and its answer."""
    output = session.output
    with session.reading() as ledger:
        asked = ledger.inputs.get(ledger.inputs.resolve(input))
    if not output.text:
        return output.document(asked)
    output.table(questions.facts(asked, datetime.now(UTC)), head=False)
    output.line("")
    for line in questions.question_lines(asked):
        output.line(*line)
    if asked.status == "open":
        output.hint(questions.hint_of(asked))
    return None


@inputs.command()
@click.argument("input", type=InputId())
@click.argument("value", required=False)
@click.option("--json-value", metavar="JSON", help="The answer as JSON, where text would not do.")
@click.option("--choice", type=click.IntRange(min=1), metavar="N", help="The number of a choice, from 1.")
@click.option("--by", metavar="NAME", help="Who answers; your user name without it.")
@with_any_session
def answer(session: Session, input: str, value: str | None, by: str | None, **more: Any) -> None:
    """Answer the question INPUT.

    VALUE is the answer: the text of a choice, or text of your own. Without one it is asked for, on a terminal. The
    first answer counts; its run goes on where it waits, or with `runstone resume`.

    \b
    runstone inputs answer 1a2b3c4d main
    runstone inputs answer 1a2b3c4d --choice 2
    runstone inputs answer 1a2b3c4d --json-value '{"branch": "main"}'
    """
    output = session.output
    if sum(given is not None for given in (value, more["json_value"], more["choice"])) > 1:
        raise click.UsageError("VALUE, --json-value and --choice exclude each other")
    with session.changing() as ledger:
        asked = ledger.inputs.get(ledger.inputs.resolve(input))
        answered = ledger.answer(asked.id, _response(output, asked, value, **more), by=by or who())
        run = ledger.get_run(answered.run_id)
    if not output.text:
        return output.document(answered)
    output.line(
        Cell(text.short_id(answered.id), "strong"),
        questions.status_cell(answered),
        text.clean(questions.answer_of(answered)),
    )
    if run.status == "pending":
        output.hint(f"go on with its run: runstone resume {text.short_id(run.root_run_id)}")
    return None


def _response(
    output: Output, asked: InputRequest, value: str | None, *, json_value: str | None, choice: int | None
) -> Any:
    if json_value is not None:
        try:
            return json.loads(json_value)
        except ValueError as error:
            raise click.UsageError(f"--json-value is no JSON: {error}") from error
    if choice is not None:
        return questions.numbered(asked, choice)
    if value is not None:
        return questions.value_of(asked, value)
    if asked.status != "open":
        return asked.response  # the ledger says why it takes no answer
    return _asked_for(output, asked)


def _asked_for(output: Output, asked: InputRequest) -> Any:
    """The answer that a person types below the question."""
    if not (output.text and sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("there is nobody to ask for the answer; give VALUE, --choice or --json-value")
    for line in questions.question_lines(asked):
        output.status(*line)
    prompt = f"Answer (1 to {len(asked.choices)}, or the text)" if asked.choices else "Answer"
    while True:
        typed = click.prompt(prompt, err=True)
        try:
            response = questions.typed_at_prompt(asked, typed)
            require_fits(response, asked.choices, asked.response_schema)
        except InvalidAnswer as refused:
            output.message(str(refused), "bad")
            continue
        return response


@inputs.command()
@click.argument("input", type=InputId(), required=False)
@click.option("--run", type=RunId(), metavar="RUN", help="The question of this run that waits longest.")
@click.option(
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    help="Wait so long at most (90s, 2h); then exit code 6.",
)
@with_any_session
def wait(session: Session, input: str | None, run: str | None, timeout: float | None) -> int:
    """Wait for the answer to INPUT and print it."""
    if (input is None) == (run is None):
        raise click.UsageError("name an input request, or give --run")
    with session.reading() as ledger:
        input_id = ledger.inputs.resolve(input) if input is not None else _oldest(ledger, run or "")
        asked = ledger.inputs.wait(input_id, timeout)
    return print_answer(session.output, asked)


def _oldest(ledger: Ledger, run: str) -> str:
    run_id = ledger.resolve(run)
    found = ledger.inputs.list(run_id=run_id, limit=1).items
    if not found:
        raise NotFound(
            f"run {run_id} asks nothing",
            hint=f"see what it asked: runstone inputs list --status all --run {run_id}",
        )
    return found[0].id


def print_answer(output: Output, asked: InputRequest) -> int:
    """Prints the answer of a question, or says why there is none; gives the exit code."""
    if asked.status == "withdrawn":
        raise InputWithdrawn(f"input request {asked.id} was withdrawn")
    if asked.status == "expired" and "default" not in asked.to_dict():
        raise InputExpired(f"nobody answered input request {asked.id} in time")
    if not output.text:
        output.document(asked)
    elif asked.status == "open":
        output.note(f"no answer yet; {questions.hint_of(asked)}", "")
    else:
        for line in text.clean_lines(questions.plain(asked.response)):
            output.line(line)
    return exit_codes.NEEDS_INPUT if asked.status == "open" else exit_codes.OK
