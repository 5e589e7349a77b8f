"""Driving work to its end in this process: progress beside it, signals, the result, and what to type next."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import runstone
from runstone.cli import exit_codes, text
from runstone.cli.interrupts import Interrupts, Stopped
from runstone.cli.live import Watcher
from runstone.cli.output import Output, to_json
from runstone.cli.problems import DEBUG, report
from runstone.cli.progress import closing_line, look
from runstone.cli.run_tables import agent_of
from runstone.cli.table import Cell
from runstone.domain import keys
from runstone.domain.records import AgentRun, WorkflowRun
from runstone.engine.pinned import own_workflow
from runstone.errors import AgentNotFound, NotFound, RunInterrupted, RunOutcome
from runstone.ledger import Ledger


class Start(NamedTuple):
    """A run to drive: its id, and what drives it."""

    run_id: str
    begin: Callable[[], Awaitable[Any]]


def new_id() -> str:
    """The id of a run that nobody named, known before it starts so that its progress can be shown."""
    return keys.time_ordered_id(time.time_ns() // 1000, os.urandom(10))


def name_of(run: AgentRun) -> str:
    """The definition that a run came from."""
    return agent_of(run)


def known(ledger: Ledger, run: AgentRun) -> bool:
    """Whether what the run came from is registered here, or its own."""
    if isinstance(run, WorkflowRun) and own_workflow(ledger.reader, run) is not None:
        return True
    registry = runstone.default_registry()
    listed = registry.workflows() if run.kind == "workflow" else registry.agents()
    return name_of(run) in {one.name for one in listed}


def require_name(run: AgentRun) -> None:
    """Raises `AgentNotFound` for a run of a loop of its own, which nothing here can go on with."""
    if not name_of(run):
        hint = f"continue it in the loop that it came from: ledger.continue_run({run.id!r})"
        raise AgentNotFound(f"run {run.id} names no agent that could go on with it", hint=hint)


def drive(output: Output, ledger: Ledger, start: Start, interrupts: Interrupts) -> int:
    """Drives one run, prints its result, and gives the exit code."""
    interrupts.take()
    try:
        with Watcher(ledger, start.run_id, output):
            announced = _Announcement(output, ledger, start.run_id).during(start.begin)
            result = asyncio.run(_work(announced, output, interrupts))
    except (KeyboardInterrupt, Stopped) as stop:
        return _report_stopped(output, ledger, start.run_id, _code_of(stop))
    except RunOutcome as outcome:
        return _report_outcome(output, ledger, start.run_id, outcome)
    _conclude(output, ledger, start.run_id)
    print_result(output, ledger.get_run(start.run_id), result)
    return exit_codes.OK


class _Announcement:
    """Says the run's id as soon as there is such a run: nobody shall be told one that was refused."""

    def __init__(self, output: Output, ledger: Ledger, run_id: str) -> None:
        self._output, self._ledger, self._run_id = output, ledger, run_id
        self._said = False

    async def during(self, begin: Callable[[], Awaitable[Any]]) -> Any:
        """Awaits the work, and looks for its run meanwhile."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # called once more after the loop was closed
                loop.call_soon_threadsafe(self._look)

        number = self._ledger.signals.subscribe(self._run_id, tell)
        try:
            self._look()
            return await begin()
        finally:
            self._ledger.signals.unsubscribe(number)
            self._look()

    def _look(self) -> None:
        if not self._said and exists(self._ledger, self._run_id):
            self._said = True
            self._output.note(f"run {self._run_id}")


def _code_of(stop: BaseException) -> int:
    return stop.exit_code if isinstance(stop, Stopped) else exit_codes.SIGINT


def exists(ledger: Ledger, run_id: str) -> bool:
    """Whether the ledger has the run."""
    try:
        ledger.get_run(run_id)
    except NotFound:
        return False
    return True


def _report_stopped(output: Output, ledger: Ledger, run_id: str, code: int) -> int:
    ledger.flush()  # the creation of the run may still be on its way
    if exists(ledger, run_id):
        return report(RunInterrupted(f"run {run_id} is interrupted", run_id=run_id), output, code)
    return report(RunInterrupted("interrupted before the run was created", hint="run it again"), output, code)


def _report_outcome(output: Output, ledger: Ledger, run_id: str, outcome: RunOutcome) -> int:
    _conclude(output, ledger, run_id)
    if not output.text:
        try:
            output.document({"run": ledger.get_run(run_id), "result": None})
        except NotFound:
            return report(outcome, output)
    return report(outcome, output)


def _conclude(output: Output, ledger: Ledger, run_id: str) -> None:
    """One line on how the run stands; the ledger says it, not this process."""
    try:
        output.status(*closing_line(look(ledger, run_id)))
    except NotFound:
        return
    output.hint(f"see it: runstone runs tree {text.short_id(run_id)}")


def print_result(output: Output, run: AgentRun, result: Any) -> None:
    """The result: text as it is, anything else as JSON; with --json beside the run."""
    if not output.text:
        output.document({"run": run, "result": result})
    elif isinstance(result, str):
        for line in text.clean_lines(result):
            output.line(line)
    elif result is not None:
        for line in to_json(result, indent=2).split("\n"):
            output.line(text.escape_json(line))


def drive_all(output: Output, ledger: Ledger, starts: list[Start], interrupts: Interrupts) -> int:
    """Drives several runs at once, and says of each how it ended as soon as it has; no error ends the others.

    The exit code is that of the first, in their order, that did not complete.
    """
    if not starts:
        output.note("no top-level run is interrupted, or was answered and is not at work")
    interrupts.take()
    several = _Several(output, ledger, len(starts))
    try:
        results = asyncio.run(_work(several.drive(starts), output, interrupts))
    except (KeyboardInterrupt, Stopped) as stop:
        left = RunInterrupted("the runs are interrupted", hint="go on with them: runstone resume --all")
        return report(left, output, _code_of(stop))
    code = exit_codes.OK
    documents = []
    for start, result in zip(starts, results, strict=True):
        failed = isinstance(result, Exception)
        documents.append({"run": ledger.get_run(start.run_id), "result": None if failed else result})
        if isinstance(result, Exception):
            told = report(result, output)
            code = code or told
    if not output.text:
        output.items(documents)
    return code


class _Several:
    """Runs that are driven side by side; each is told as it ends."""

    def __init__(self, output: Output, ledger: Ledger, count: int) -> None:
        self._output, self._ledger = output, ledger
        self._count, self._ended = count, 0

    async def drive(self, starts: list[Start]) -> list[Any]:
        """What each gave, or the error that it raised."""
        if len(starts) > 1:
            self._output.hint(f"going on with {len(starts):,} runs; Ctrl-C leaves them interrupted")
        return await asyncio.gather(*map(self._one, starts))

    async def _one(self, start: Start) -> Any:
        try:
            result = await start.begin()
        except Exception as error:
            result = error
        self._ended += 1
        if self._output.text:
            name = Cell(text.short_id(start.run_id), "strong")
            self._output.line(name, *closing_line(look(self._ledger, start.run_id)))
            left = self._count - self._ended
            if left:
                self._output.hint(f"{self._ended:,} of {self._count:,} have ended, {left:,} go on")
        return result


def _background(output: Output) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """What is done with an error that no caller of the event loop is there to hear: a line, once for each."""
    said: set[str] = set()

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        what = repr(context.get("exception") or context.get("message"))
        if os.environ.get(DEBUG):
            loop.default_exception_handler(context)
        elif what not in said:
            said.add(what)
            output.warning(f"in the background: {what} ({DEBUG}=1 shows where)")

    return tell


async def _work(work: Awaitable[Any], output: Output, interrupts: Interrupts) -> Any:
    asyncio.get_running_loop().set_exception_handler(_background(output))
    return await interrupts.until(work)
