"""Showing progress while something goes on: redrawn on a terminal, as lines elsewhere, as events with --jsonl."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Protocol, Self

from runstone.cli.output import Output
from runstone.cli.progress import Progress, live_lines, look, plain_lines, settled
from runstone.domain.records import AgentRun, RunEvent
from runstone.errors import NotFound
from runstone.feeds import SETTLED
from runstone.ledger import Ledger

_LOOK_S: Final = 0.25
_LOG_S: Final = 5.0
"""A log gets a line at most so often, but for a phase that begins or ends."""


class View(Protocol):
    """Shows one look after the other."""

    def show(self, progress: Progress) -> None:
        """Shows how the run gets on."""

    def close(self) -> None:
        """Leaves the terminal as it was."""


class TerminalView:
    """Redraws a few lines on stderr."""

    def __init__(self, output: Output) -> None:
        from rich.console import Console
        from rich.live import Live

        self._output = output
        console = Console(file=sys.stderr, force_terminal=True, highlight=False, markup=False)
        # What agents print goes above the lines; but never from a redirected stdout to the terminal.
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty()
        )
        self._live.start()

    def show(self, progress: Progress) -> None:
        from rich.text import Text

        size = shutil.get_terminal_size()
        lines = live_lines(progress, size.columns, size.lines)
        texts = [self._output.styled(line, sys.__stderr__ or sys.stderr) for line in lines]
        whole = Text("\n").join(Text.from_ansi(text, no_wrap=True, overflow="ellipsis") for text in texts)
        self._live.update(whole, refresh=True)

    def close(self) -> None:
        self._live.stop()


class LogView:
    """A line on stderr for each change of phase, and else every few seconds."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._statuses: list[str] = []
        self._lines: list[str] = []
        self._at = 0.0

    def show(self, progress: Progress) -> None:
        # A run that waits for its children is at work to whoever reads this.
        status = progress.run.status if progress.run.status in SETTLED else "working"
        statuses = [status, *(phase.status for phase in progress.phases)]
        if statuses == self._statuses and time.monotonic() - self._at < _LOG_S:
            return
        lines = plain_lines(progress)
        for line in lines:
            if line not in self._lines:
                self._output.note(line, "")
        self._statuses, self._lines, self._at = statuses, lines, time.monotonic()

    def close(self) -> None:
        return None


class NoView:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        return None

    def close(self) -> None:
        return None


def view_of(output: Output) -> View:
    """The view that fits the output: none with --quiet or JSON."""
    if output.quiet or not output.text:
        return NoView()
    return TerminalView(output) if output.coloured(sys.stderr) else LogView(output)


class Watcher:
    """Shows a run's progress from a thread of its own while the block runs."""

    def __init__(self, ledger: Ledger, run_id: str, output: Output) -> None:
        self._ledger, self._run_id, self._output = ledger, run_id, output
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="runstone-progress", daemon=True)
        self._error: Exception | None = None
        self._after = ledger.cursor()

    def _watch(self) -> None:
        try:
            if self._output.mode == "jsonl":
                for event in tree_events(self._ledger, self._run_id, self._stop.is_set, after=self._after):
                    self._output.document(event)
            else:
                self._redraw()
        except Exception as error:
            self._error = error

    def _redraw(self) -> None:
        view = view_of(self._output)
        try:
            pause = _LOOK_S
            while not self._stop.wait(pause):
                began = time.monotonic()
                try:
                    view.show(look(self._ledger, self._run_id))
                except NotFound:
                    continue  # not created yet
                # Looking must not slow the work down: at most a twentieth of the time.
                pause = max(_LOOK_S, 20 * (time.monotonic() - began))
        finally:
            view.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10.0)
        if self._error is not None and error is None:
            raise self._error


def watch(ledger: Ledger, run_id: str, output: Output, timeout: float | None) -> AgentRun:
    """Shows a run of any process until it is settled, or for `timeout` seconds; gives it as it then is."""
    limit = None if timeout is None else time.monotonic() + timeout

    def left() -> float:
        return _LOOK_S if limit is None else min(_LOOK_S, max(0.0, limit - time.monotonic()))

    def done() -> bool:
        return settled(ledger, ledger.get_run(run_id)) or left() == 0

    if output.mode == "jsonl":
        for event in tree_events(ledger, run_id, done, after=ledger.cursor()):
            output.document(event)
        return ledger.get_run(run_id)
    view = view_of(output)
    try:
        while True:
            run = ledger.wait(run_id, timeout=left())
            view.show(look(ledger, run_id))
            if settled(ledger, run) or left() == 0:
                return run
    finally:
        view.close()


def tree_events(ledger: Ledger, run_id: str, done: Callable[[], bool], *, after: str) -> Iterator[RunEvent]:
    """Events of a run and all below it in commit order, until `done()`; what was committed before is still given."""
    inside: dict[str, bool] = {run_id: True}
    tail = ledger.tail(after, timeout=_LOOK_S)
    last: int | None = None
    asked_at = 0.0
    while True:
        if last is None and done():
            last = _position(ledger)
        for event in tail:
            if _belongs(ledger, event.run_id, inside):
                yield event
            # Other runs may keep the tail busy for ever, so `done` is asked in between, too.
            if last is None and time.monotonic() - asked_at > _LOOK_S:
                asked_at = time.monotonic()
                last = _position(ledger) if done() else None
            if last is not None and event.position >= last:
                return
        if last is not None:
            return


def _position(ledger: Ledger) -> int:
    return int(ledger.cursor().rpartition("-")[2])


def _belongs(ledger: Ledger, run_id: str, inside: dict[str, bool]) -> bool:
    """Whether the run is the watched one or below it; each run is looked up once."""
    path: list[str] = []
    current: str | None = run_id
    while current is not None and current not in inside:
        path.append(current)
        try:
            current = ledger.get_run(current).parent_run_id
        except NotFound:
            current = None
    found = current is not None and inside[current]
    inside.update(dict.fromkeys(path, found))
    return found
