"""`exec`: any command as a durable agent in the background."""

import os
import shlex
import sys
from contextlib import suppress
from functools import partial
from typing import Any, Final

import click

from runstone.background import is_background
from runstone.cli import arguments, exit_codes, text
from runstone.cli.arguments import Duration, RunId
from runstone.cli.command import Command, with_session
from runstone.cli.exec_facts import facts_of
from runstone.cli.interrupts import CtrlC
from runstone.cli.log_lines import LogLine, entries
from runstone.cli.logs import followed, last_seq, print_entry
from runstone.cli.orders import who
from runstone.cli.output import Output
from runstone.cli.problems import report
from runstone.cli.progress import closing_line, look
from runstone.cli.run_detail import next_step
from runstone.cli.session import Session
from runstone.domain.codec import MAX_VALUE_BYTES
from runstone.domain.records import AgentRun
from runstone.engine.ambient import AMBIENT
from runstone.engine.gate import find_program
from runstone.engine.outcome import outcome_of
from runstone.errors import CommandNotFound, IllegalTransition, RunstoneError, ValueTooLarge
from runstone.ledger import Ledger

_TITLE: Final = 80
_WAIT_S: Final = 10.0
"""So long the start of the command is waited for."""


@click.command(
    "exec",
    cls=Command,
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS] --",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARGS]...")
@click.option("-d", "--detach", is_flag=True, help="Print the run's id and return; the command goes on.")
@click.option("--agent", metavar="NAME", help="The agent that the command is, for lists and totals.")
@click.option("--title", metavar="TEXT", help="A title for people; else the command line.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@click.option("--card", metavar="CARD", help="The card that it works on.")
@click.option("--thread", metavar="THREAD", help="The thread that it was started from.")
@click.option("--parent", type=RunId(), metavar="RUN", help="The run that started it; else $RUNSTONE_RUN_ID.")
@click.option("--id", metavar="ID", help="An id of your own.")
@click.option("--cwd", type=click.Path(), metavar="DIR", help="The folder to run it in; else this one.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable to add; may be repeated.")
@click.option("--stdin", is_flag=True, help="Give it what is on stdin (64 MB at most); else it has no input.")
@click.option(
    "--restart",
    type=click.IntRange(0, 1_000),
    default=0,
    metavar="N",
    help="Start it again when it fails, N times.",
)
@click.option(
    "--restart-delay",
    type=Duration(),
    default=1.0,
    metavar="DURATION",
    help="Wait so long before it is started again, each time twice as long, up to 10m if less; else 1s.",
)
@click.option(
    "--resume-command",
    metavar="LINE",
    help="Start this instead of COMMAND where there is an answer, a message or a state to go on with.",
)
@click.option("--timeout", type=Duration(), metavar="DURATION", help="End it after 90s, 30m, 2h.")
@click.option("--exit-code", "own_code", is_flag=True, help="End with the command's own exit code.")
@with_session
def exec_(session: Session, command: tuple[str, ...], **asked: Any) -> int:
    """Run COMMAND as a durable background agent.

    It outlives this terminal. Its output goes line by line into the ledger, where `runstone runs logs -f RUN`
    follows it from anywhere, and to here as long as this command lasts. Ctrl-C stops the command; a closed
    terminal, or the end of this process, does not. Exit code 0 if it completed, 5 if not; with --exit-code its
    own (128 and more for a signal).

    \b
    runstone exec -- make test
    runstone exec --detach --agent claude --restart 2 --timeout 2h -- claude -p "fix the flaky test"
    runstone exec --stdin -- sh -c 'wc -l' < words.txt
    """
    cwd = os.path.abspath(asked["cwd"] or ".")
    environment = {**os.environ, **arguments.named_values("--env", asked["env"])}
    labels = arguments.labels_of(asked["label"])
    # Before a workspace is created: a command that cannot be run must not leave one behind.
    _require_program(command[0], cwd, environment)
    stdin = _read_stdin() if asked["stdin"] else None
    with session.changing(create=True) as ledger, CtrlC() as pressed:
        facts = facts_of(cwd, environment, ledger.core.redactor)
        card = ledger.boards.card(asked["card"]) if asked["card"] else None
        run = ledger.exec(
            list(command), cwd=cwd, env=environment, stdin=stdin, facts=facts,
            agent_id=asked["agent"], title=asked["title"] or title_of(command), labels=labels,
            parent=ledger.resolve(asked["parent"]) if asked["parent"] else AMBIENT, thread_id=asked["thread"],
            task_card_id=card.id if card else None, task_board_id=card.board_id if card else None,
            restart=_restart(asked["restart"], asked["restart_delay"]), timeout_s=asked["timeout"],
            resume_command=shlex.split(asked["resume_command"]) if asked["resume_command"] else None,
            run_id=asked["id"], wait_s=_WAIT_S,
        )  # fmt: skip
        if asked["detach"] and not pressed.count:
            return _detached(session.output, run)
        return _attached(session.output, ledger, run, pressed, own_code=asked["own_code"])


def title_of(command: tuple[str, ...]) -> str:
    """The command line on one line, without the folder of its program, cut where it is long."""
    line = shlex.join([os.path.basename(command[0]) or command[0], *command[1:]])
    line = " ".join(line.split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1].rstrip() + "…"


def _restart(times: int, delay_s: float) -> dict[str, Any] | None:
    return {"on": "failure", "max": times, "delay_s": delay_s} if times else None


def _require_program(name: str, cwd: str, environment: dict[str, str]) -> None:
    try:
        find_program(name, environment=environment, cwd=cwd)
    except CommandNotFound as error:
        hint = "a script in this folder is started as ./NAME, a line of shell as: sh -c 'LINE'"
        if not os.path.isdir(cwd):
            hint = "name a folder that exists: --cwd DIR"
        raise CommandNotFound(str(error), hint=hint) from None


def _read_stdin() -> bytes:
    data = sys.stdin.buffer.read(MAX_VALUE_BYTES + 1)
    if len(data) > MAX_VALUE_BYTES:
        hint = "write it to a file and have the command read that: sh -c 'COMMAND < FILE'"
        raise ValueTooLarge("stdin has more than 64 MB", hint=hint)
    return data


def resume_command(
    output: Output, ledger: Ledger, run: AgentRun, *, detach: bool, message: str | None = None
) -> int:
    """Goes on with a command in the background, and follows what it prints from now on."""
    with CtrlC() as pressed:
        after = last_seq(ledger, run)
        run = ledger.resume_exec(run.id, message=message, wait_s=_WAIT_S)
        if detach and not pressed.count:
            return _detached(output, run)
        return _attached(output, ledger, run, pressed, after=after)


def resume_commands(output: Output, ledger: Ledger, runs: list[AgentRun]) -> tuple[list[AgentRun], int]:
    """Goes on with the commands in the background among the runs; gives the others, and an exit code.

    One that cannot be started is reported, and ends none of the others.
    """
    code = exit_codes.OK
    for run in filter(is_background, runs):
        try:
            ledger.resume_exec(run.id, wait_s=_WAIT_S)
        except RunstoneError as error:
            told = report(error, output)
            code = code or told
        else:
            output.note(f"goes on in the background: {run.id}", "")
    return [run for run in runs if not is_background(run)], code


def _detached(output: Output, run: AgentRun) -> int:
    if not output.text:
        output.document({"run": run})
    else:
        output.line(text.clean(run.id))
        output.hint(f"follow it: runstone runs logs -f {text.short_id(run.id)}")
    return exit_codes.OK


def _attached(
    output: Output,
    ledger: Ledger,
    run: AgentRun,
    pressed: CtrlC,
    *,
    own_code: bool = False,
    after: int = 0,
) -> int:
    """Follows the command to its end; Ctrl-C orders a stop of it, a second one leaves it to itself."""
    output.note(f"run {run.id}")
    told = partial(_order_stop, output, ledger, run.id, pressed)
    for message in followed(ledger, run.id, output, after, told=told):
        _print(output, list(entries([message])))
    ended = ledger.get_run(run.id)
    output.status(*closing_line(look(ledger, run.id)))
    if not output.text:
        output.document({"run": ended, "result": ledger.result(run.id)})
    return _conclude(output, ledger, ended, own_code=own_code, stopped=pressed.ordered)


def _print(output: Output, found: list[Any]) -> None:
    """Lines go where the command wrote them; what its agent said is for the log."""
    for entry in found:
        if output.mode == "jsonl":
            print_entry(entry, output)
        elif output.mode == "text" and isinstance(entry, LogLine):
            stream = sys.stderr if entry.stream == "stderr" else sys.stdout
            more = entry.piece
            output.passed(entry.text if more is None else more, stream, "\n" if more is None else "")


def _conclude(output: Output, ledger: Ledger, run: AgentRun, *, own_code: bool, stopped: bool) -> int:
    output.hint(f"see it: runstone runs show {text.short_id(run.id)}")
    code = exit_codes.SIGINT if stopped else exit_codes.of_status(run.status)
    if own_code and (told := _own_code(ledger, run.id)) is not None:
        code = told
    if run.status == "completed" or stopped:
        return code
    outcome = outcome_of(run)
    outcome.hint = next_step(run, still=True) or outcome.hint
    return report(outcome, output, code)


def _own_code(ledger: Ledger, run_id: str) -> int | None:
    """The exit code of the last process, as a shell tells it."""
    ended = [one for one in ledger.processes(run_id) if one.ended_at is not None]
    if not ended:
        return None
    last = ended[-1]
    return 128 + last.signal if last.signal else last.exit_code


def _order_stop(output: Output, ledger: Ledger, run_id: str, pressed: CtrlC) -> None:
    if pressed.ordered or not pressed.count:
        return
    with suppress(IllegalTransition):  # it ended in this moment
        ledger.command(run_id, "stop", by=who(), reason="Ctrl-C")
    pressed.ordered = True
    output.note("stopping it… (Ctrl-C again leaves it to itself)", "")
