"""`runs stop | rm`: what changes runs."""

import os
import sys
import time

import click

from runstone.care import space
from runstone.cli import arguments, exit_codes, text
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_any_session, with_session
from runstone.cli.run_tables import status_cell
from runstone.cli.session import Session
from runstone.cli.table import Cell
from runstone.domain.records import AgentRun
from runstone.domain.runs import ENDED
from runstone.ledger import Ledger


@click.command(cls=Command)
@click.argument("run", type=RunId(), nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--scope",
    type=click.Choice(["subtree", "run"]),
    default="subtree",
    show_default=True,
    help="With all below it, or the run alone.",
)
@click.option("--reason", metavar="TEXT", help="Why; kept with the order.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until it has stopped; 0 gives the order only.",
)
@with_any_session
def stop(session: Session, run: tuple[str, ...], scope: str, reason: str | None, timeout: float) -> int:
    """Stop RUN and wait until it has stopped.

    It may run in any process; `-` reads ids from stdin. Its owner ends its children and their processes. A
    stopped run can be resumed.
    """
    output = session.output
    limit = time.monotonic() + timeout
    with session.changing() as ledger:
        ids = arguments.ids(ledger, run)
        orders = [ledger.command(one, "stop", scope=scope, by=who(), reason=reason).id for one in ids]
        found = [_wait_ended(ledger, one, limit) for one in ids]
        commands = [order for one in ids for order in ledger.commands.list(one) if order.id in orders]
    if output.text:
        for record in found:
            output.line(Cell(text.short_id(record.id), "strong"), status_cell(record.status))
    else:
        output.items(
            [{"run": record, "command": order} for record, order in zip(found, commands, strict=True)]
        )
    if all(record.status in ENDED for record in found):
        return exit_codes.OK
    output.note("the order is kept; the run stops as soon as its owner sees it", "")
    return exit_codes.STILL_RUNNING


def who() -> str:
    """Who gives orders at this terminal."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "command line"


def _wait_ended(ledger: Ledger, run_id: str, limit: float) -> AgentRun:
    return ledger.wait(run_id, timeout=max(0.0, limit - time.monotonic()))


@click.command(cls=Command)
@click.argument("run", type=RunId(), nargs=-1, required=True, metavar="RUN...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_session
def rm(session: Session, run: tuple[str, ...], yes: bool) -> None:
    """Remove RUN with all below it.

    Only whole trees that have ended are removed, and for good; what they had cost stays in `runstone usage`.
    `-` reads ids from stdin. See also `runstone prune`.
    """
    output = session.output
    with session.changing() as ledger:
        ids = arguments.ids(ledger, run)
        if not yes:
            _confirm(session, [ledger.get_run(one) for one in ids])
        removed = {one: ledger.care.remove(one) for one in ids}
        space.give_back(ledger)
    if not output.text:
        return output.document({"removed": removed})
    for one, number in removed.items():
        output.note(f"removed {text.short_id(one)}: {text.counted(number, 'run')}", "")
    return None


def _confirm(session: Session, records: list[AgentRun]) -> None:
    if not (session.output.text and sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("removing asks first, and there is nobody to ask; give --yes")
    names = ", ".join(f"{text.short_id(run.id)} {text.clean(run.title or '')}".strip() for run in records[:5])
    more = f" and {len(records) - 5} more" if len(records) > 5 else ""
    click.confirm(f"Remove {names}{more}, with all below, for good?", abort=True, err=True)
