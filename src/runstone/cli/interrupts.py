"""Ctrl-C and SIGTERM while this process works: the first leaves its runs interrupted, no later one cuts that short."""

import _thread
import asyncio
import itertools
import os
import select
import signal
from collections.abc import Awaitable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self

from runstone.cli.output import Output
from runstone.engine.commands import at_work
from runstone.engine.groups import end_group

FORCE: Final = 3
"""The signal that ends what the first one could not: two may be one nervous keypress, three are an order."""


class Stopped(Exception):
    """A signal came; the runs were left interrupted."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


class Interrupts:
    """What signals do from `take` to the end of the block, so also while the event loop and the ledger close.

    The handlers are Python's own, not the event loop's: those end with the loop, and from then on Ctrl-C would be
    a KeyboardInterrupt between any two instructions, for example between a stop and the end of a command.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._before: dict[signal.Signals, Any] = {}
        self._numbers = itertools.count(1)
        self._exit_code: int | None = None
        self._work: tuple[asyncio.AbstractEventLoop, asyncio.Future[Any]] | None = None

    def take(self) -> None:
        """From now on signals come here; until then they end the process, which has nothing to lose yet."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) == signal.SIG_IGN:
                continue  # whoever started this process wants it so, as `nohup` and `&` in scripts do
            with suppress(ValueError):  # not in the main thread, so the signals are somebody else's
                self._before[number] = signal.signal(number, self._came)

    async def until(self, work: Awaitable[Any]) -> Any:
        """Awaits the work; the first signal cancels it, and `Stopped` is raised when that is done."""
        task = asyncio.ensure_future(work)
        self._work = asyncio.get_running_loop(), task
        if self._exit_code is not None:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._exit_code is not None:
                raise Stopped(self._exit_code) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._exit_code is None:  # else the process ends now, and no signal may cut that short either
            for number, before in self._before.items():
                signal.signal(number, before)

    def _came(self, number: int, frame: FrameType | None) -> None:
        """Runs between any two instructions of the main thread, also its own: it takes no lock and writes nothing."""
        count = next(self._numbers)
        if self._exit_code is None:
            self._exit_code = 128 + number
        if count == FORCE:
            _thread.start_new_thread(self._force, ())
        if self._work is not None:
            with suppress(RuntimeError):  # the loop is closed: what it had to end has ended
                self._work[0].call_soon_threadsafe(self._act, count)

    def _act(self, count: int) -> None:
        if self._work is not None and count == 1:
            self._work[1].cancel()
        elif count == FORCE - 1:
            self._output.note("ending processes… (once more kills them)", "")

    def _force(self) -> None:
        """Kills the commands, then this process: the ledger finds its runs without an owner, so interrupted."""
        try:
            for leader in at_work():
                end_group(leader, grace_s=0)
            if self._output.text and not self._output.quiet and select.select([], [2], [], 0)[1]:
                # Not through sys.stderr: the main thread may hang in a write with its lock.
                os.write(2, b"killed; go on with what was interrupted: runstone resume --all\n")
        finally:
            os._exit(self._exit_code or 0)


class CtrlC:
    """Counts Ctrl-C while a command in the background is followed.

    Whoever follows orders the stop and notes it in `ordered`; from then on one more ends the following at once.
    """

    def __init__(self) -> None:
        self.count = 0
        self.ordered = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as `nohup` and `&` in scripts want it
            with suppress(ValueError):  # not in the main thread
                self._before = signal.signal(signal.SIGINT, self._came)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        # Never before the order is given: whoever presses twice wants it stopped, too.
        if self.ordered or self.count > FORCE:
            raise KeyboardInterrupt
