"""`prune`: what may go is shown first, then asked for, then removed beside whatever works in the ledger."""

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from runstone.care.prune import (
    PER,
    STATUSES,
    Policy,
    Pruned,
    PrunePlan,
    old_copies,
    plan_prune,
    prune,
    remove_copies,
)
from runstone.care.removing import Taken
from runstone.cli import exit_codes, prune_tables, text
from runstone.cli.arguments import labels_of
from runstone.cli.command import Command, with_session
from runstone.cli.output import Output
from runstone.cli.percent import Percent
from runstone.cli.session import Session
from runstone.ledger import Ledger

_AGES: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SIZES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Age(click.ParamType[timedelta]):
    """How long ago."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """A time span such as 30d."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,6})([mhdw])", value)
        if found is None:
            self.fail(f"{value!r} is no age such as 30d, 12h, 2w or 90m", param, ctx)
        return timedelta(seconds=int(found[1]) * _AGES[found[2]])


class Size(click.ParamType[int]):
    """Bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A number of bytes, such as 2GB; MiB and GiB are 1024-fold."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([kmgt]?)(i?)b?", value.lower())
        if found is None or (found[3] and not found[2]):
            self.fail(f"{value!r} is no size such as 2GB, 500MB or 1.5GiB", param, ctx)
        unit = _SIZES[found[2]] if not found[3] else 1024 ** list(_SIZES).index(found[2])
        return round(float(found[1]) * unit)


@click.command("prune", cls=Command)
@click.option(
    "--older-than", type=Age(), metavar="AGE", help="Trees in which nothing happened since: 30d, 12h."
)
@click.option(
    "--keep", type=click.IntRange(min=0), metavar="N", help="All but the newest N trees that fit the filters."
)
@click.option("--per", type=click.Choice(PER), help="With --keep: the newest N of each agent or workflow.")
@click.option(
    "--max-size",
    "max_bytes",
    type=Size(),
    metavar="SIZE",
    help="The oldest, until the ledger needs no more than SIZE.",
)
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(STATUSES),
    help="Only trees whose root has it; may be repeated.",
)
@click.option("--agent", multiple=True, metavar="NAME", help="Only trees of this agent; may be repeated.")
@click.option(
    "--workflow", multiple=True, metavar="NAME", help="Only trees of this workflow; may be repeated."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only trees with this label; may be repeated.",
)
@click.option("--interrupted", is_flag=True, help="Also trees with interrupted runs, which could be resumed.")
@click.option(
    "--keep-rows",
    is_flag=True,
    help="Keep what is listed of each run: remove only events, messages and checkpoints.",
)
@click.option("--old-backups", is_flag=True, help="Also the copies that upgrades made (ledger-before-*.db).")
@click.option("--dry-run", is_flag=True, help="Show what would go, and nothing more.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@with_session
def prune_(
    session: Session, keep_rows: bool, old_backups: bool, dry_run: bool, yes: bool, **options: Any
) -> int:
    """Remove old work, by whole trees that have ended.

    What would go is shown first. A tree goes only if every limit and filter that is given lets it go; whatever has
    not ended, and what is labelled pinned=true, stays. What removed runs had cost stays in `runstone usage`.

    \b
    runstone prune --older-than 30d                  what ended over 30 days ago
    runstone prune --keep 20 --per workflow --yes    all but the newest 20 of each workflow
    runstone prune --max-size 2GB --older-than 1d    the oldest, until 2 GB are enough
    runstone prune --older-than 7d --keep-rows       what was said and done, but not that it was done
    """
    if options["per"] and options["keep"] is None:
        raise click.UsageError("--per goes with --keep")
    policy = Policy(**{**options, "labels": labels_of(options["labels"])})
    if not (policy.says_anything or old_backups):
        error = click.UsageError("say what may go")
        error.hint = "runstone prune --older-than 30d --dry-run; or --keep N, --max-size SIZE"  # type: ignore[attr-defined]
        raise error
    wanted = policy if policy.says_anything else None
    if yes and not dry_run:
        with session.changing() as ledger:
            return _carry_out(session, ledger, _plan(session, ledger, wanted, keep_rows), old_backups)
    with session.reading() as ledger:
        plan = _plan(session, ledger, wanted, keep_rows)
    _show(session.output, plan, old_backups)
    if dry_run or not (plan.trees or (old_backups and plan.old_copies)):
        return exit_codes.OK
    if not (session.output.text and sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "removing asks first, and there is nobody to ask: nothing was removed; give --yes, or --dry-run"
        )
    click.confirm("Remove this for good?", abort=True, err=True)
    with session.changing() as ledger:
        return _carry_out(session, ledger, plan, old_backups)


def _plan(session: Session, ledger: Ledger, policy: Policy | None, keep_rows: bool) -> PrunePlan:
    with Percent(session.output) as meter:
        # Without a limit or filter only copies are asked for: of no tree may more than all be kept.
        return plan_prune(
            ledger, policy or Policy(keep=sys.maxsize), keep_rows=keep_rows,
            looked=lambda count: meter.say(f"looked at {count:,} trees"),
        )  # fmt: skip


def _show(output: Output, plan: PrunePlan, old_backups: bool) -> None:
    if not output.text:
        return output.document({"plan": prune_tables.document(plan), "removed": None})
    if plan.trees:
        output.table(prune_tables.trees(plan, datetime.now(UTC)))
        if len(plan.trees) > prune_tables.SHOWN:
            output.note(f"and {len(plan.trees) - prune_tables.SHOWN:,} more")
        output.line("")
        output.table(prune_tables.sums(plan), head=False)
    else:
        output.note("no ended tree fits", "")
    for copy in plan.old_copies:
        name = text.clean(copy.path)
        end = "" if old_backups else " stays; --old-backups removes it"
        output.note(f"{name} ({text.size(copy.bytes)}){end}", "")
    return None


def _carry_out(session: Session, ledger: Ledger, plan: PrunePlan, old_backups: bool) -> int:
    with Percent(session.output) as meter:
        done = prune(ledger, plan, progress=lambda taken: meter.say(f"removed {_told(taken)}"))
    copies = remove_copies(old_copies(ledger)) if old_backups else 0
    _tell(session.output, plan, done, copies)
    return exit_codes.OK


def _told(taken: Taken) -> str:
    names = ("run", "event", "message", "checkpoint", "value")
    numbers = (taken.runs, taken.events, taken.messages, taken.checkpoints, taken.blobs)
    return ", ".join(text.counted(number, name) for number, name in zip(numbers, names, strict=True))


def _tell(output: Output, plan: PrunePlan, done: Pruned, copies: int) -> None:
    if not output.text:
        return output.document(
            {"plan": prune_tables.document(plan), "removed": prune_tables.outcome(done, copies)}
        )
    for run_id, reason in done.skipped:
        output.warning(f"{text.short_id(run_id)} stays: {reason}")
    taken, before, now = done.taken, plan.space.file_bytes, done.space.file_bytes
    what = "stripped" if plan.keep_rows else "removed"
    output.note(
        f"{what} {text.counted(taken.trees, 'tree')}: {_told(taken)}; "
        f"the ledger has {text.size(now)}, it had {text.size(before)}",
        "",
    )
    if copies:
        output.note(f"removed old copies: {text.size(copies)}", "")
    if not done.space.shrinks and done.space.free_bytes:
        output.note(f"{text.size(done.space.free_bytes)} in the file are free, and will be used again")
    elif not done.log_emptied:
        output.note("a reader holds the log: the file shrinks as soon as it is done")
    return None
