"""`runs list | show | tree | search`: what is recorded."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import click

from runstone.cli import event_lines, questions, run_detail, run_sections, run_tables
from runstone.cli.arguments import RunId, labels_of
from runstone.cli.command import Command, with_any_session
from runstone.cli.days import Since
from runstone.cli.living import living
from runstone.cli.options import PAGE, with_options
from runstone.cli.progress import settled
from runstone.cli.run_detail import RunDetail
from runstone.cli.run_tables import RunRow
from runstone.cli.session import Session
from runstone.cli.subjects import subject, subjects
from runstone.cli.table import Cell
from runstone.domain.inputs import InputRequest
from runstone.domain.records import AgentRun, Page, Totals
from runstone.domain.runs import BUCKETS, RUN_KINDS, STATUSES
from runstone.ledger import Ledger
from runstone.store.lists import SORTS

_EMPTY = "no runs yet; start one: runstone run repo-audit path=."
Spent = dict[str, tuple[Totals, Totals]]
NOTHING: Final = (Totals(), Totals())

_NARROWING = (
    *("status", "bucket", "kind", "agent_id", "parent_id", "thread_id", "definition_id", "labels", "q"),
    *("updated_from", "ended_from", "pinned", "archived"),
)


@click.command("list", cls=Command)
@click.option(
    "--status", multiple=True, type=click.Choice(STATUSES), help="Only runs of this status; may be repeated."
)
@click.option(
    "--bucket",
    multiple=True,
    type=click.Choice(list(BUCKETS)),
    help="Only runs of these statuses; may be repeated.",
)
@click.option(
    "--kind",
    multiple=True,
    type=click.Choice(sorted(RUN_KINDS)),
    help="Only runs of this kind; may be repeated.",
)
@click.option(
    "--agent", "agent_id", multiple=True, metavar="NAME", help="Only runs of this agent; may be repeated."
)
@click.option("--parent", type=RunId(), metavar="RUN", help="Only children of this run.")
@click.option("--thread", "thread_id", metavar="THREAD", help="Only runs that were started from this thread.")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Children and superseded runs, too; else top-level runs, or what a filter finds.",
)
@click.option(
    "--workflow", "definition_id", multiple=True, metavar="NAME", help="Only runs of this workflow."
)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only runs with this label.")
@click.option(
    "-q", "--query", "q", metavar="WORDS", help="Only runs with these words in titles, errors or messages."
)
@click.option(
    "--since", "updated_from", type=Since(), help="Only runs changed since: 2026-11-01, 7d or 12h; in UTC."
)
@click.option(
    "--ended-since", "ended_from", type=Since(), help="Only runs that ended since, in the same forms."
)
@click.option("--pinned", is_flag=True, help="Only pinned runs.")
@click.option("--archived", is_flag=True, help="Runs in the archive, which are left out else.")
@click.option(
    "--sort",
    type=click.Choice(tuple(SORTS)),
    default="updated",
    show_default=True,
    help="By time, duration or cost, the latest or largest first.",
)
@with_options(PAGE)
@with_any_session
def list_(session: Session, parent: str | None, every: bool, **options: Any) -> None:
    """List runs, the latest first.

    Without a filter only top-level runs are listed. Tokens and cost are those of a run and all below it, and `own`
    those of the run alone where that is less. A cost with ≥ lacks requests whose cost is unknown.
    """
    output = session.output
    limit, cursor, sort = (options.pop(name) for name in ("limit", "cursor", "sort"))
    with session.reading() as ledger:
        filters: dict[str, Any] = {name: value or None for name, value in options.items()}
        filters |= {"labels": labels_of(options["labels"]) or None, "archived": options["archived"]}
        if parent is not None:
            filters["parent_id"] = ledger.resolve(parent)
        narrowed = any(filters.get(name) for name in _NARROWING)
        if not (every or narrowed):
            filters["depth"] = "0"
        page = ledger.list_runs(**filters, limit=limit, cursor=cursor, sort=sort, superseded=every)
        spent = ledger.overview.totals([run.id for run in page])
        if not output.text:
            return output.items([_with_totals(run, spent) for run in page], page.next_cursor)
        if not page.items:
            output.note(
                "no run fits"
                if every or narrowed
                else "no runs yet; start one: runstone run repo-audit path=."
            )
            return None
        output.table(run_tables.run_table(_rows(ledger, page, spent), datetime.now(UTC)))
        _say_incomplete(session, [spent[run.id][1] for run in page if run.id in spent])
        _say_more(session, page)
        return None


def _say_more(session: Session, page: Page[AgentRun]) -> None:
    if page.next_cursor is not None:
        session.output.hint(f"there are more: --limit N, or --cursor {page.next_cursor}")


def _say_incomplete(session: Session, totals: Iterable[Totals]) -> None:
    if (why := run_tables.incomplete(totals)) is not None:
        session.output.note(why)


def _rows(ledger: Ledger, page: Page[AgentRun], spent: Spent) -> list[RunRow]:
    children = ledger.overview.children([run.id for run in page])
    asked = questions.by_run(ledger.inputs.list(limit=1_000))
    return [
        RunRow(run, _about(ledger, run, asked), children.get(run.id, 0), *spent.get(run.id, NOTHING))
        for run in page
    ]


def _about(ledger: Ledger, run: AgentRun, asked: dict[str, InputRequest]) -> str:
    """What it asks a person, or that nobody answered; else what it is about."""
    told = questions.note_of(asked[run.id]) if run.id in asked else questions.missed(run, datetime.now(UTC))
    return subject(ledger, run) if told is None else told.text


def _with_totals(run: AgentRun, spent: Spent) -> dict[str, Any]:
    own, subtree = spent.get(run.id, NOTHING)
    return {**run.to_dict(), "own": own.to_dict(), "subtree": subtree.to_dict()}


@click.command(cls=Command)
@click.argument("run", type=RunId())
@with_any_session
def show(session: Session, run: str) -> None:
    """Show all that is known of RUN."""
    output = session.output
    with session.reading() as ledger:
        detail = read_detail(ledger, ledger.resolve(run))
        still = settled(ledger, detail.run)
    if not output.text:
        return output.document(detail)
    now = datetime.now(UTC)
    output.table(run_detail.facts(detail, now), head=False)
    for title, table in run_sections.sections(detail, now):
        output.line("")
        output.line(Cell(title, "head"))
        output.table(table)
    if (step := run_detail.next_step_of(detail, still=still)) is not None:
        output.hint(step)
    return None


def read_detail(ledger: Ledger, run_id: str) -> RunDetail:
    """Everything that `show` needs."""
    run = ledger.get_run(run_id)
    processes = ledger.processes(run_id)
    return RunDetail(
        run=run,
        telemetry=ledger.telemetry(run_id),
        children=ledger.counts(parent_id=run_id, archived=None),
        attempts=ledger.attempts(run_id),
        phases=ledger.phases(run_id) if run.kind == "workflow" else [],
        processes=processes,
        living=living(processes),
        output=ledger.overview.printed(run_id),
        checkpoints=ledger.checkpoints.list(run_id),
        questions=ledger.inputs.list(status=None, run_id=run_id, limit=1_000).items,
        commands=ledger.commands.list(run_id),
        input=ledger.input(run_id),
        prompt=ledger.prompt(run_id),
        result=ledger.result(run_id),
    )


@click.command(cls=Command)
@click.argument("run", type=RunId())
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    default=200,
    show_default=True,
    help="At most so many lines.",
)
@with_any_session
def tree(session: Session, run: str, limit: int) -> None:
    """Show RUN with all below it.

    Each line has the status, time, tokens and cost of a run with all below it, and says what was reused.
    """
    output = session.output
    with session.reading() as ledger:
        node = ledger.tree(ledger.resolve(run))
        shown = (one.run for _, one in run_tables.outline(node)[:limit]) if output.text else ()
        about = subjects(ledger, shown)
        asked = questions.by_run(ledger.inputs.below(node.run.id))
    if output.mode == "json":
        return output.document(node)
    if output.mode == "jsonl":
        rows = (
            {
                **one.run.to_dict(),
                "own": one.own.to_dict(),
                "subtree": one.subtree.to_dict(),
                "reused": one.reused,
            }
            for one in node.walk()
        )
        return output.items(rows)
    output.table(run_tables.tree_table(node, about, datetime.now(UTC), limit=limit, asked=asked))
    return _say_incomplete(session, [node.subtree])


@click.command(cls=Command)
@click.argument("text")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    metavar="N",
    default=20,
    show_default=True,
    help="At most so many.",
)
@with_any_session
def search(session: Session, text: str, limit: int) -> None:
    """Find the words of TEXT.

    Titles, prompts, summaries, errors and messages are searched.
    """
    output = session.output
    with session.reading() as ledger:
        hits = ledger.search(text, limit=limit)
    if not output.text:
        return output.items(hits)
    if not hits:
        return output.note("nothing has all these words")
    return output.table(event_lines.search_table(hits))
