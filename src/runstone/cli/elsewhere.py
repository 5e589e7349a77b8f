"""`run`, `resume` and lists of definitions with a server: the work is done there, and shown here."""

from typing import TYPE_CHECKING, Any, cast

import click

from runstone.cli import exit_codes, questions
from runstone.cli.executing import print_result
from runstone.cli.live import watch
from runstone.cli.output import Output
from runstone.cli.progress import closing_line, look, settled
from runstone.cli.run_detail import next_step
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.domain.resume import ResumePolicy
from runstone.domain.secrets import names_in
from runstone.ledger import Ledger

if TYPE_CHECKING:
    from runstone.client.ledger import RemoteLedger


def run(session: Session, name: str, value: Any, **asked: Any) -> int:
    """Starts it on the server, and shows it until it ends. Ctrl-C ends the showing, not the run."""
    if any(names_in(value)):
        raise click.UsageError("a secret's value does not go over HTTP; run it on the server's machine")
    with session.changing() as ledger:
        started = cast("RemoteLedger", ledger).start(name, value, **asked)
        return _follow(session.output, ledger, started.id)


def resume(session: Session, run_id: str, policy: ResumePolicy, budget: dict[str, Any] | None) -> int:
    """Has the server go on with a run, and shows it until it ends."""
    with session.changing() as ledger:
        found = ledger.resolve(run_id)
        cast("RemoteLedger", ledger).resume(found, policy=policy, budget=budget)
        return _follow(session.output, ledger, found)


def _follow(output: Output, ledger: Ledger, run_id: str) -> int:
    record = watch(ledger, run_id, output, None)
    if record.status == "completed":
        if output.text:
            output.status(*closing_line(look(ledger, run_id)))
        print_result(output, record, ledger.result(run_id))
        return exit_codes.OK
    awaited = ledger.inputs.awaited(run_id)
    if output.text:
        output.line(*closing_line(look(ledger, run_id)))
    else:
        output.document({"run": record, "result": None})
    asked = ledger.inputs.below(run_id) if awaited else []
    step = questions.hint_of(asked[0]) if asked else next_step(record, still=settled(ledger, record))
    if step:
        output.hint(step)
    return exit_codes.NEEDS_INPUT if awaited else exit_codes.of_status(record.status)


def definitions(session: Session, kind: str) -> None:
    """Lists what the server can start."""
    with session.reading() as ledger:
        found = cast("RemoteLedger", ledger).definitions(kind)
    if not session.output.text:
        return session.output.items(found["items"])
    if not found["trusted"]:
        session.output.note("the server's workspace is not trusted to run its code: runstone up --trust", "")
    table = Table([Column("name"), Column("version", 2), Column("form", 1)], [])
    for one in found["items"]:
        table.add(Cell(one["name"], "strong"), one["version"], Cell(one["form"], "dim"))
    return session.output.table(table)
