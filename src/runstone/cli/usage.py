"""`usage` and `usage reprice`: what was spent, by day, model, agent and more."""

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from runstone import reports
from runstone.cli import usage_tables
from runstone.cli.arguments import RunId, labels_of
from runstone.cli.command import Command, Group, with_any_session, with_session
from runstone.cli.days import Since
from runstone.cli.options import with_options
from runstone.cli.session import Session
from runstone.domain.records import Repriced, UsageRow
from runstone.engine import prices

F = TypeVar("F", bound=Callable[..., Any])


class By(click.ParamType[str]):
    """What a report is summed by."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """One of the names, or a label."""
        if value not in reports.GROUPS and not re.fullmatch(r"label:.+", value):
            self.fail(f"{value!r} is none of {', '.join(reports.GROUPS)} or label:NAME", param, ctx)
        return str(value)


SPAN: list[Callable[[Any], Any]] = [
    click.option(
        "--since", type=Since(), help="From this day on: 2026-11-01, 7d (the last 7 days), 12h; in UTC."
    ),
    click.option(
        "--until", type=Since(end=True), help="Up to the end of this day, or up to this time; in UTC."
    ),
    click.option("--provider", multiple=True, metavar="NAME", help="Only this provider; may be repeated."),
    click.option("--model", multiple=True, metavar="NAME", help="Only this model; may be repeated."),
]


@click.group("usage", cls=Group, invoke_without_command=True)
@click.option(
    "--by",
    multiple=True,
    type=By(),
    default=["day"],
    show_default=True,
    help="Sum by day or hour, model, provider, agent, workflow, thread, run or label:NAME; may be repeated.",
)
@with_options(SPAN)
@click.option("--agent", multiple=True, metavar="NAME", help="Only runs of this agent; may be repeated.")
@click.option("--workflow", multiple=True, metavar="NAME", help="Only within this workflow; may be repeated.")
@click.option(
    "--thread", multiple=True, metavar="THREAD", help="Only runs that were started from this thread."
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only runs with this label.")
@click.option("--run", "run_id", type=RunId(), metavar="RUN", help="Only this run and all below it.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=40,
    show_default=True,
    help="At most so many lines for people: the latest times, else what cost most. The total is of all.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values; costs are exact.")
@with_any_session
def usage(session: Session, by: tuple[str, ...], limit: int, as_csv: bool, **options: Any) -> None:
    """See what was spent: requests, tokens and cost.

    Days are those of UTC. What removed runs had spent is in it. A cost is `reported` as the provider told it,
    `priced` by published prices, or `unknown`: a sum with ≥ lacks requests whose cost is unknown.

    \b
    runstone usage                                  by day
    runstone usage --by model --since 7d            by model, the last seven days
    runstone usage --by agent --by model --csv      for a spreadsheet
    runstone usage --by label:team --label env=prod
    """  # fmt: skip
    if click.get_current_context().invoked_subcommand is not None:
        return
    output = session.output
    if as_csv and not output.text:
        raise click.UsageError("--csv and --json exclude each other")
    labels = labels_of(options.pop("labels"))
    filters = {name: value or None for name, value in options.items()}
    with session.reading() as ledger:
        if filters["run_id"] is not None:
            filters["run_id"] = ledger.resolve(filters["run_id"])
        rows = ledger.usage(by, labels=labels, **filters)
    if as_csv:
        click.echo(usage_tables.usage_csv(by, rows), nl=False)
    elif output.mode == "json":
        output.document({"by": by, "items": rows, "total": usage_tables.total_of(rows)})
    elif output.mode == "jsonl":
        output.items(rows)
    else:
        narrowed = bool(labels) or any(filters.values())
        _show(session, list(by), rows, narrowed=narrowed, limit=limit)


def _show(session: Session, by: list[str], rows: list[UsageRow], *, narrowed: bool, limit: int) -> None:
    output = session.output
    if not rows:
        return output.note(
            "no request fits" if narrowed else
            "no usage yet; a run reports it: run.usage(provider=..., model=..., input_tokens=..., output_tokens=...)"
        )  # fmt: skip
    total = usage_tables.total_of(rows)
    shown = rows[-limit:] if "day" in by or "hour" in by else rows[:limit]
    table = usage_tables.usage_table(by, shown, total)
    for line in usage_tables.charted(table, shown, output.width()):
        output.line(*line)
    if len(rows) > len(shown):
        output.note(f"{len(rows) - len(shown)} more lines, which the total has: --limit N")
    if (why := usage_tables.lacking(total)) is not None:
        output.note(why)
    return None


@usage.command("reprice", cls=Command)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@with_options(SPAN)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_session
def reprice(session: Session, dry_run: bool, yes: bool, **options: Any) -> None:
    """Compute costs anew by published prices.

    Those that are unknown, or were computed before; what a provider told is never changed. Each request is priced
    as of its time, and all sums follow. It can be cut off and started again. Needs the extra `prices`.

    \b
    runstone usage reprice --dry-run
    runstone usage reprice --since 30d --model claude-sonnet-4-5 --yes
    """
    output = session.output
    filters: dict[str, Any] = {name: value or None for name, value in options.items()}
    basis = prices.load().basis
    with session.reading() if dry_run else session.changing() as ledger:
        found = ledger.reprice(dry_run=True, **filters)
        changed = sum(one.changed for one in found)
        if output.text:
            _show_repriced(session, found)
        if changed and not dry_run:
            if not yes:
                _confirm(session, changed)
            found = ledger.reprice(**filters)
    if not output.text:
        return output.document({"dry_run": dry_run, "prices": basis, "items": found})
    if not changed:
        return output.note(f"nothing to change by {basis}", "")
    requests = "1 request" if changed == 1 else f"{changed:,} requests"
    if dry_run:
        return output.note(f"{requests} would change by {basis}; to do it, leave --dry-run out", "")
    return output.note(f"{requests} changed by {basis}", "")


def _show_repriced(session: Session, found: list[Repriced]) -> None:
    if found:
        session.output.table(usage_tables.repriced_table(found))


def _confirm(session: Session, changed: int) -> None:
    if not (session.output.text and sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("repricing asks first, and there is nobody to ask; give --yes, or --dry-run")
    click.confirm(f"Change the cost of {changed:,} requests?", abort=True, err=True)
