"""`run`, `resume` and `plan`: work is started and gone on with in this process."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

import runstone
from runstone.cli import arguments, executing, plan_tables
from runstone.cli.command import Command, with_session
from runstone.cli.session import Session
from runstone.domain import resume as policies

F = TypeVar("F", bound=Callable[..., Any])

_BUDGET = [
    click.option(
        "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Start nothing new above this cost."
    ),
    click.option("--max-tokens", type=click.IntRange(min=0), metavar="N", help="... above this many tokens."),
    click.option(
        "--max-children", type=click.IntRange(min=0), metavar="N", help="... above this many children."
    ),
]
_POLICY = [
    click.option(
        "--failed",
        type=click.Choice(policies.FAILED),
        help="Failed children: retry them (default), raise their failure again as recorded, or fail at once.",
    ),
    click.option(
        "--interrupted",
        type=click.Choice(policies.INTERRUPTED),
        help="Interrupted children: retry them (default) or fail.",
    ),
    click.option(
        "--cancelled",
        type=click.Choice(policies.CANCELLED),
        help="Stopped children: by_cause (default) retries those that were stopped with their parent.",
    ),
    click.option("--from-phase", metavar="PHASE", help="Do this phase and all later ones again."),
    click.option(
        "--rerun",
        multiple=True,
        metavar="KEY",
        help="Do this child or step again (its id, key or step name); may be repeated.",
    ),
    click.option(
        "--definition",
        type=click.Choice(policies.DEFINITION),
        help="A definition that has changed: accept it (default) or refuse.",
    ),
    click.option(
        "--max-attempts",
        type=click.IntRange(min=1),
        metavar="N",
        help="Retry no child that failed this often.",
    ),
]


def _with(options: list[Callable[[F], F]]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def budget_of(options: dict[str, Any]) -> dict[str, Any] | None:
    """Takes the budget out of a command's options; None where no cap is given."""
    names = {"max_cost": "max_cost_usd", "max_tokens": "max_tokens", "max_children": "max_children"}
    given = {kept: options.pop(name) for name, kept in names.items()}
    return {name: cap for name, cap in given.items() if cap is not None} or None


def policy_of(options: dict[str, Any]) -> policies.ResumePolicy:
    """The policy that the options ask for; what is not given keeps its default."""
    fields = {name: options.pop(name) for name in policies.ResumePolicy.__struct_fields__ if name in options}
    return policies.ResumePolicy(**{name: value for name, value in fields.items() if value is not None})


@click.command(cls=Command)
@click.argument("name")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "--input", "given", metavar="JSON|@FILE|-", help="The whole input as JSON, from a file, or from stdin."
)
@click.option(
    "--id", "run_id", metavar="ID", help="An id of your own; with one that exists, the run goes on."
)
@click.option("--title", metavar="TEXT", help="A title for people.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="A label; may be repeated.")
@_with(_BUDGET)
@arguments.trust_option
@with_session
def run(
    session: Session, name: str, pairs: tuple[str, ...], given: str | None, run_id: str | None, **options: Any
) -> int:
    """Run a workflow or an agent.

    Its result is printed. Values of KEY=VALUE are JSON where they are valid JSON, else text; KEY:=JSON
    insists on JSON. Ctrl-C leaves the run interrupted: `runstone resume` goes on with it and does no finished
    work again.
    """
    budget, value = budget_of(options), arguments.read_input(pairs, given)
    labels = arguments.labels_of(options["label"])
    with session.changing(create=True) as ledger:
        session.define(ledger, name, trust=options["trust"])
        chosen = run_id or executing.new_id()
        more = {
            name: value
            for name, value in (("title", options["title"]), ("budget", budget), ("labels", labels))
            if value
        }
        start = executing.Start(
            chosen, lambda: runstone.run(name, value, ledger=ledger, run_id=chosen, **more)
        )
        return executing.drive(session.output, ledger, start)


@click.command(cls=Command)
@click.argument("run", type=arguments.RunId(), required=False)
@click.option("--all", "every", is_flag=True, help="Resume every top-level run that is interrupted.")
@_with(_POLICY)
@_with(_BUDGET)
@arguments.trust_option
@with_session
def resume(session: Session, run: str | None, every: bool, trust: bool, **options: Any) -> int:
    """Go on with RUN.

    Finished work is not done again; the result is printed. `runstone plan RUN` says before what would be
    reused, run again and started.
    """
    if (run is None) != every:
        raise click.UsageError(
            "name a run, or give --all" if run is None else "a run and --all exclude each other"
        )
    budget, policy = budget_of(options), policy_of(options)
    with session.changing() as ledger:
        chosen = executing.interrupted(ledger) if run is None else [ledger.get_run(ledger.resolve(run))]
        names = {executing.name_of(one) for one in chosen}
        for name in names or {"-"}:
            session.define(ledger, name, trust=trust)
        more: dict[str, Any] = {"policy": policy} | ({"budget": budget} if budget else {})
        starts = [
            executing.Start(one.id, lambda one=one: runstone.resume(one.id, ledger=ledger, **more))  # type: ignore[misc]
            for one in chosen
        ]
        return (
            executing.drive_all(session.output, ledger, starts)
            if every
            else executing.drive(session.output, ledger, starts[0])
        )


@click.command(cls=Command)
@click.argument("run", type=arguments.RunId())
@_with(_POLICY)
@arguments.trust_option
@with_session
def plan(session: Session, run: str, trust: bool, **options: Any) -> None:
    """Show what a resume of RUN would do.

    What it would reuse, run again and start, and what the reused work had cost. Nothing is changed.
    """
    policy = policy_of(options)
    with session.reading() as ledger:
        record = ledger.get_run(ledger.resolve(run))
        session.define(ledger, executing.name_of(record), trust=trust)
        found = runstone.plan(record.id, ledger=ledger, policy=policy)
    if not session.output.text:
        return session.output.document(found)
    plan_tables.show(found, session.output)
    return None
