"""`runs watch` of several runs: each is shown once, as it ends."""

import time

from runstone.cli import exit_codes, run_tables, text
from runstone.cli.output import Output
from runstone.cli.progress import settled
from runstone.cli.table import Cell
from runstone.domain.records import AgentRun
from runstone.ledger import Ledger

_WORST = (exit_codes.RUN_FAILED, exit_codes.NEEDS_INPUT, exit_codes.STILL_RUNNING)
"""Exit codes from the worst: of several runs the first that any of them has."""


def watch_several(
    ledger: Ledger, run_ids: list[str], output: Output, *, first: bool, timeout: float | None
) -> int:
    """Waits for all of the runs, or the `first`, and says how each ended; gives the exit code."""
    until = None if timeout is None else time.monotonic() + timeout
    ended: dict[str, AgentRun] = {}
    waiting = run_ids
    while waiting and not (first and ended):
        left = None if until is None else max(0.0, until - time.monotonic())
        for run in ledger.wait_any(waiting, left):
            if settled(ledger, run):
                ended[run.id] = run
                _say(run, output)
        waiting = [run_id for run_id in run_ids if run_id not in ended]
        if left == 0:
            break
    if output.mode == "json":
        output.document(list(ended.values()))
    if output.text and waiting:
        output.note(f"{len(waiting)} of {len(run_ids)} runs have not ended")
    codes = {_code(ledger, run) for run in ended.values()}
    if waiting and not (first and ended):
        codes.add(exit_codes.STILL_RUNNING)
    return next((code for code in _WORST if code in codes), exit_codes.OK)


def _say(run: AgentRun, output: Output) -> None:
    if output.mode == "jsonl":
        output.document(run)
    elif output.text:
        name = Cell(text.clean(run_tables.name_of(run)), "strong")
        cells = [run_tables.status_cell(run.status), name, Cell(text.short_id(run.id), "dim")]
        reason = run.status_reason if run.status != "completed" else None
        output.line(*cells, *([Cell(text.clean(reason), "dim")] if reason else []))


def _code(ledger: Ledger, run: AgentRun) -> int:
    return exit_codes.NEEDS_INPUT if ledger.inputs.awaited(run.id) else exit_codes.of_status(run.status)
