"""`run`, `resume` and lists of definitions with a server: the work is done there, and shown here."""

from typing import TYPE_CHECKING, Any, cast

import click

from runstone.cli import exit_codes, questions, resumptions, text
from runstone.cli.definition_tables import phase_table
from runstone.cli.executing import print_result
from runstone.cli.live import watch
from runstone.cli.output import Output, to_json
from runstone.cli.problems import report
from runstone.cli.progress import closing_line, look, settled
from runstone.cli.run_detail import next_step
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.domain.records import AgentRun
from runstone.domain.resume import ResumePolicy
from runstone.domain.secrets import names_in
from runstone.errors import RunstoneError
from runstone.ledger import Ledger

if TYPE_CHECKING:
    from runstone.client.ledger import RemoteLedger


def server_of(ledger: Ledger) -> "RemoteLedger":
    """The ledger of a session with a server, as what it is."""
    return cast("RemoteLedger", ledger)


def run(session: Session, name: str, value: Any, **asked: Any) -> int:
    """Starts it on the server, and shows it until it ends. Ctrl-C ends the showing, not the run."""
    if any(names_in(value)):
        raise click.UsageError("a secret's value does not go over HTTP; run it on the server's machine")
    with session.changing() as ledger:
        started = server_of(ledger).start(name, value, **asked)
        return _follow(session.output, ledger, started.id)


def resume(session: Session, run_id: str, policy: ResumePolicy, budget: dict[str, Any] | None) -> int:
    """Has the server go on with a run, and shows it until it ends."""
    with session.changing() as ledger:
        found = ledger.resolve(run_id)
        server_of(ledger).resume(found, policy=policy, budget=budget)
        return _follow(session.output, ledger, found)


def resume_all(session: Session, policy: ResumePolicy, budget: dict[str, Any] | None) -> int:
    """Has the server go on with all runs that it would, and says of each how it ended as soon as it has."""
    output = session.output
    with session.changing() as ledger:
        found, refused = [], exit_codes.OK
        for one in server_of(ledger).resumable():
            if not one.known:
                output.note(f"left out: {one.run.id} ({resumptions.why_left_out(one.run)})", "")
                continue
            try:
                server_of(ledger).resume(one.run.id, policy=policy, budget=budget)
            except RunstoneError as error:  # no error keeps the others
                refused = refused or report(error, output)
                continue
            found.append(one.run.id)
        if not found and not refused:
            output.note("no top-level run is interrupted, or was answered and is not at work")
        return refused or _ended(output, ledger, found)


def _ended(output: Output, ledger: Ledger, run_ids: list[str]) -> int:
    """Says how the runs end, as they do; gives the exit code of the first, in their order, that did not complete."""
    codes: dict[str, int] = {}
    while left := [one for one in run_ids if one not in codes]:
        for record in ledger.wait_any(left):
            if not settled(ledger, record):
                continue
            awaited = ledger.inputs.awaited(record.id)
            codes[record.id] = exit_codes.NEEDS_INPUT if awaited else exit_codes.of_status(record.status)
            if output.text:
                name = Cell(text.short_id(record.id), "strong")
                output.line(name, *closing_line(look(ledger, record.id)))
    if not output.text:
        output.items([{"run": ledger.get_run(one), "result": ledger.result(one)} for one in run_ids])
    return next((codes[one] for one in run_ids if codes[one]), exit_codes.OK)


def foretell(session: Session, policy: ResumePolicy) -> int:
    """Shows what `resume --all` would have the server go on with; nothing is changed."""
    with session.reading() as ledger:
        server = server_of(ledger)
        found = [
            (one.run, server.plan(one.run.id, policy=policy) if one.known else None)
            for one in server.resumable()
        ]
        spent = {one.id: ledger.telemetry(one.id).subtree for one, _ in found}
        resumptions.show(session.output, ledger, found, spent, commands=False)
    return exit_codes.OK


def fork(
    session: Session, run_id: str, changes: dict[str, Any], new_id: str | None, *, goes_on: bool
) -> tuple[AgentRun, int | None]:
    """Has the server fork the run; with `goes_on` shows the fork until it ends. Gives it, and the exit code of that."""
    with session.changing() as ledger:
        made = server_of(ledger).fork(run_id, new_id=new_id, start=goes_on, **changes)
        return made, _follow(session.output, ledger, made.id) if goes_on else None


def definition(session: Session, kind: str, name: str) -> None:
    """Shows what the server can start under the name; no command line and no file is told."""
    output = session.output
    with session.reading() as ledger:
        found = server_of(ledger).definition(kind, name)
    if not output.text:
        return output.document(found)
    counted = ", ".join(f"{number} {bucket}" for bucket, number in found["runs"].items() if number)
    table = Table([Column(""), Column("", least=20)], [])
    for label, value in {**found, "runs": counted or "none", "phases": None}.items():
        if value:
            table.add(Cell(label, "dim"), value if isinstance(value, str) else to_json(value))
    output.table(table, head=False)
    if found["phases"]:
        output.line("")
        output.table(phase_table(found["phases"]))
    output.hint(f"run it: runstone run {text.clean(found['name'])} key=value ...")
    return None


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
        found = server_of(ledger).definitions(kind)
    if not session.output.text:
        return session.output.items(found["items"])
    if not found["trusted"]:
        session.output.note("the server's workspace is not trusted to run its code: runstone up --trust", "")
    table = Table([Column("name"), Column("version", 2), Column("form", 1)], [])
    for one in found["items"]:
        table.add(Cell(one["name"], "strong"), one["version"], Cell(one["form"], "dim"))
    return session.output.table(table)
