"""`runs pause | resume | retry | steer | commands`: orders to runs, in whatever process they are."""

import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from runstone.cli import arguments, exit_codes, text
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_any_session
from runstone.cli.orders import who
from runstone.cli.output import Output
from runstone.cli.run_tables import status_cell
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.domain import records
from runstone.domain.orders import QUEUED
from runstone.domain.records import AgentRun
from runstone.errors import InvalidInput
from runstone.ledger import Ledger

_F = TypeVar("_F", bound=Callable[..., Any])

_LOOK_S: Final = 0.1

_STYLES: Final = {"applied": "good", "rejected": "bad", "acknowledged": "live", "requested": "dim"}

_RUNS = click.argument("run", type=RunId(), nargs=-1, required=True, metavar="RUN...")
_RUN = click.argument("run", type=RunId())
_REASON = click.option("--reason", metavar="TEXT", help="Why; kept with the order.")
_SCOPE = click.option(
    "--scope",
    type=click.Choice(["subtree", "run"]),
    default="subtree",
    show_default=True,
    help="With all below it, or the run alone.",
)


def _timeout(default: float) -> Callable[[_F], _F]:
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for what becomes of it; 0 gives the order only.",
    )


@click.command(cls=Command)
@_RUNS
@_SCOPE
@_REASON
@_timeout(10.0)
@with_any_session
def pause(session: Session, run: tuple[str, ...], scope: str, reason: str | None, timeout: float) -> int:
    """Pause RUN at its next boundary, and wait a while until it has.

    A run of an agent or workflow pauses once each of its branches has come to its next `ctx` call; a loop of its
    own when it looks at `run.pausing`. A step, a tool or a program that has begun is not cut short. `runstone
    runs resume` lets it go on. A command in the background cannot be paused.
    """
    return _order(session, run, "pause", timeout, scope=scope, reason=reason)


@click.command("resume", cls=Command)
@_RUNS
@_SCOPE
@_REASON
@_timeout(2.0)
@with_any_session
def resume_(session: Session, run: tuple[str, ...], scope: str, reason: str | None, timeout: float) -> int:
    """Let a paused RUN go on, in the process that drives its tree.

    Where no process does, it waits for the next `runstone resume RUN`, and this command says so.
    """
    return _order(session, run, "resume", timeout, scope=scope, reason=reason)


@click.command(cls=Command)
@_RUNS
@_REASON
@_timeout(2.0)
@with_any_session
def retry(session: Session, run: tuple[str, ...], reason: str | None, timeout: float) -> int:
    """Have RUN tried again, if it has failed, was stopped or interrupted.

    It may be one child of a tree. Finished work is not done again. It waits for a process that takes it:
    `runstone resume RUN` in this terminal is one.
    """
    return _order(session, run, "retry", timeout, reason=reason)


@click.command(cls=Command)
@_RUN
@click.argument("message", metavar="TEXT")
@_timeout(2.0)
@with_any_session
def steer(session: Session, run: str, message: str, timeout: float) -> int:
    """Send TEXT to the agent of RUN; `-` reads it from stdin.

    It gets the message once, when it looks the next time (`ctx.steering()`, `run.steering()`). A run that
    nobody is at work on gets it when it goes on.
    """
    if message == "-":
        message = sys.stdin.read().strip()
    if not message:
        raise InvalidInput("there is nothing in the message")
    return _order(session, (run,), "steer", timeout, message=message)


def _order(
    session: Session,
    typed: tuple[str, ...],
    verb: str,
    timeout: float,
    *,
    message: str | None = None,
    **more: Any,
) -> int:
    """Gives the order to each run, waits a while, and says what is known then; 8 where it is still open."""
    output, limit = session.output, time.monotonic() + timeout
    with session.changing() as ledger:
        ids = arguments.ids(ledger, typed)
        given = [ledger.command(one, verb, message, by=who(), **more) for one in ids]
        found = [_wait(ledger, order, limit) for order in given]
        runs = [ledger.get_run(one) for one in ids]
        if not output.text:
            output.items([{"run": run, "command": order} for run, order in zip(runs, found, strict=True)])
        for run, order in zip(runs, found, strict=True):
            _say(output, run, order)
    if any(order.status == "rejected" for order in found):
        return exit_codes.ERROR
    queued = verb in QUEUED or verb == "steer"
    done = queued or all(order.status == "applied" for order in found)
    return exit_codes.OK if done else exit_codes.STILL_RUNNING


def _wait(ledger: Ledger, order: records.Command, limit: float) -> records.Command:
    """The order, once it is applied or rejected, or the time is over."""
    while order.ended_at is None and time.monotonic() < limit:
        time.sleep(_LOOK_S)
        order = next(one for one in ledger.commands.list(order.run_id) if one.id == order.id)
    return order


def _say(output: Output, run: AgentRun, order: records.Command) -> None:
    if output.text:
        about = Cell(f"{order.verb} {order.status}", _STYLES[order.status])
        output.line(Cell(text.short_id(run.id), "strong"), status_cell(run.status), about)
    if order.reason:
        output.note(order.reason, "")
    if order.ended_at is None:
        output.note(_standing(run, order), "")


def _standing(run: AgentRun, order: records.Command) -> str:
    """What is known of an order that is still open."""
    if order.verb in QUEUED:
        return f"queued: a process that drives it takes it up, else: runstone resume {run.id}"
    if order.verb == "steer" and run.status != "running":
        return f"queued: nobody is at work on the run ({run.status}); it gets the message when it goes on"
    if order.verb == "steer" and order.status == "acknowledged":
        return "its owner has it; the agent gets it when it looks the next time"
    if order.status == "acknowledged":
        return "its owner has seen it; it pauses at its next boundary, and what has begun is not cut short"
    return "requested; its owner has not seen it yet"


@click.command(cls=Command)
@_RUN
@with_any_session
def commands(session: Session, run: str) -> None:
    """List the orders that RUN was given, and what became of them."""
    output = session.output
    with session.reading() as ledger:
        run_id = ledger.resolve(run)
        found = ledger.commands.list(run_id)
    if not output.text:
        return output.items(found)
    if not found:
        return output.note(f"no order was given to it; give one: runstone runs pause {run_id}", "")
    columns = [Column("verb"), Column("status"), Column("by", 2), Column("requested", 1), Column("seen", 3)]
    table = Table([*columns, Column("ended", 1), Column("about", least=12)], [])
    for one in found:
        about = one.reason or one.payload.get("message") or one.payload.get("reason") or ""
        times = [text.moment(at) for at in (one.requested_at, one.acknowledged_at, one.ended_at)]
        status = Cell(one.status, _STYLES[one.status])
        table.add(Cell(one.verb, "strong"), status, one.requested_by or "", *times, str(about))
    return output.table(table)
