"""`worker` and `enqueue`: runs that stand in line, and a process that takes them."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import click

import runstone
from runstone.cli import arguments, options, waiting
from runstone.cli.command import Command, with_session
from runstone.cli.session import Session
from runstone.domain.dispatches import DEFAULT_QUEUE, MAX_PRIORITY, QueueSettings
from runstone.errors import DistributedMissing
from runstone.ledger import Ledger
from runstone.worker import Worker

SLOTS: Final = 8


@click.command(cls=Command)
@click.option(
    "--queues", default=DEFAULT_QUEUE, show_default=True, metavar="NAME,...", help="Queues to take runs from."
)
@click.option("--slots", type=click.IntRange(1, 10_000), metavar="N", help=f"Runs at a time; else {SLOTS}.")
@options.trust
@with_session
def worker(session: Session, *, queues: str, slots: int | None, trust: bool) -> int:
    """Execute runs that stand in line, until Ctrl-C or SIGTERM.

    Any number of workers share a ledger in PostgreSQL; they may run on any machines. What one of them executes when it
    is ended, or lost, goes on in another. Agents and workflows are those of the workspace's runstone.toml, and limits
    of the queues are in its tables [queues.NAME]. A workspace in a folder has one worker, for trying things out.

    A database that is away is waited for, as long as it takes. What waiting does not mend ends the worker at once.
    """
    root = session.root()
    loaded = session.define(root, None, trust=trust)
    names = [name.strip() for name in queues.split(",") if name.strip()] or [DEFAULT_QUEUE]
    served = {name: loaded.queues.get(name, QueueSettings()) for name in names}
    count = slots or loaded.settings.slots or SLOTS
    with suppress(waiting.Ended), waiting.ended_by_signals(), waiting.changing(session) as ledger:
        session.output.note(
            f"worker {os.getpid()} takes runs from {', '.join(served)}, {count} at a time; end it with Ctrl-C", ""
        )  # fmt: skip
        serve(ledger, served, loaded.queues | served, count)
    session.output.note("the worker has ended", "")
    return 0


def serve(
    ledger: Ledger, served: Mapping[str, QueueSettings], settings: Mapping[str, QueueSettings], slots: int
) -> None:
    """Runs a worker until a signal ends it. Raises `DistributedMissing`."""
    try:
        from runstone.engine.dbos import DbosQueues
    except ModuleNotFoundError as error:
        raise DistributedMissing(f"workers are not installed ({error.name} is missing)") from error
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    queues = DbosQueues(place_of(ledger), ledger.supervisor.owner.owner)
    working = Worker(ledger, queues, served, slots=slots, settings=settings)
    before = {
        number: signal.signal(number, lambda *_: working.stop()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    gc.collect()
    gc.freeze()  # what is loaded by now stays, and need not be looked through again
    try:
        asyncio.run(working.run())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def place_of(ledger: Ledger) -> str:
    """Where the queues are: in the ledger's database; beside the ledger of a folder, which has one worker."""
    if ledger.workspace.dsn is not None:
        return ledger.workspace.dsn
    return f"sqlite:///{ledger.workspace.folder / 'dispatch.db'}"


@click.command(cls=Command)
@click.argument("name")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--input", "given", metavar="JSON|@FILE|-", help="The whole input as JSON, from a file, or from stdin."
)
@click.option(
    "--queue", default=DEFAULT_QUEUE, show_default=True, metavar="NAME", help="Whose workers take it."
)
@click.option(
    "--priority", type=click.IntRange(0, MAX_PRIORITY), default=0, metavar="N", help="Lower ones are first."
)
@click.option(
    "--delay", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Begin no sooner than then."
)
@click.option("--id", "run_id", metavar="ID", help="An id of your own; one that exists is not begun again.")
@click.option("--title", metavar="TEXT", help="A title for people.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@options.with_options(options.BUDGET)
@options.trust
@with_session
def enqueue(
    session: Session, name: str, pairs: tuple[str, ...], given: str | None, *, trust: bool, **more: Any
) -> int:
    """Put a run of a workflow or an agent in line for workers, and print its id.

    It is taken by a worker of the queue (`runstone worker`), and so is all that it starts. Follow it with
    `runstone runs watch ID`. The input is given as for `runstone run`.
    """
    budget, value = options.budget_of(more), arguments.read_input(pairs, given)
    labels = arguments.labels_of(more["label"])
    root = session.root()
    session.define(root, name, trust=trust)
    session.require(name, root)
    with session.changing(create=True) as ledger:
        run = runstone.enqueue(
            name, value, ledger=ledger, queue=more["queue"], priority=more["priority"], delay_s=more["delay"],
            run_id=more["run_id"], title=more["title"], labels=labels, budget=budget,
        )  # fmt: skip
    if session.output.text:
        session.output.line(run.id)
    else:
        session.output.document({"run_id": run.id, "status": run.status, "queue": more["queue"]})
    return 0
