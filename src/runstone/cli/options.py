"""Options that several commands share: budgets, what a resume does with what it finds, and trust."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from runstone.domain import resume as policies

F = TypeVar("F", bound=Callable[..., Any])

BUDGET = [
    click.option(
        "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Start nothing new above this cost."
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=0),
        metavar="N",
        help="Start nothing new above this many tokens.",
    ),
    click.option(
        "--max-children",
        type=click.IntRange(min=0),
        metavar="N",
        help="Start nothing new above this many children.",
    ),
]
PAGE = [
    click.option(
        "--limit",
        type=click.IntRange(1, 1_000),
        metavar="N",
        default=50,
        show_default=True,
        help="At most so many.",
    ),
    click.option("--cursor", metavar="CURSOR", help="Go on where another list ended (its next_cursor)."),
]
"""Of a list that comes in pages."""

POLICY = [
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


def with_options(options: list[Callable[[F], F]]) -> Callable[[F], F]:
    """Adds options to a command, in their order."""

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


trust = click.option(
    "--trust",
    is_flag=True,
    help="Allow the workspace's runstone.toml to import modules and start commands, from now on.",
)
