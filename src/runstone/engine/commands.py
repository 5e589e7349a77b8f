"""Runs a command as an agent: recorded before it works, heard line by line, and ended whole."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, final

import msgspec

from runstone.domain import redaction
from runstone.domain.redaction import Redactor
from runstone.engine.command_output import LINE_BYTES, Lines, Result, Tail
from runstone.engine.command_spec import CommandSpec
from runstone.engine.gate import GatedProcess
from runstone.engine.groups import KILL_WAIT_S, GroupEnd, end_group
from runstone.engine.processes import ProcessIdentity, identify
from runstone.errors import CommandFailed, CommandTimedOut

DRAIN_S: Final = 1.0
"""After its end: how long what a command left behind may finish its output, and how long silence may last."""
_OUTSIDER_BYTES: Final = 4 * 1024 * 1024
"""More than pipes and buffers can hold of the command itself; what comes after is of a process that escaped."""

Started = Callable[[ProcessIdentity, int], Awaitable[None]]
Heard = Callable[[list[tuple[str, str]]], Awaitable[None]]
_T = TypeVar("_T")
_at_work: set[ProcessIdentity] = set()


def at_work() -> tuple[ProcessIdentity, ...]:
    """The leaders of all commands of this process whose groups have not been ended; from any thread."""
    return tuple(_at_work)


@final
class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a command succeeded. `group` says what became of processes that it had left running."""

    value: Any
    exit_code: int
    duration_ms: int
    group: GroupEnd


async def run_command(
    spec: CommandSpec,
    value: Any,
    *,
    on_started: Started,
    on_lines: Heard,
    environ: Mapping[str, str],
    root: Path | None = None,
    redactor: Redactor | None = None,
) -> CommandResult:
    """Run a command on the input `value` and return its result; `root` is the folder that its `cwd` starts from.

    `on_started(leader, pgid)` is awaited before the program runs. `on_lines([(stream, text), ...])` gets every line
    of "stdout" and "stderr" in batches; while it is awaited no more is read than buffers hold. If either raises, or
    this call is cancelled, the command's processes are ended first. `environ` is all that the command inherits, less
    the names that no shell can hold (`A-B`). Lines and errors come without secrets, the result as it is. Raises
    CommandError and its subclasses, and ProcessesUnreadable where a process could not be watched.
    """
    call = spec.fill(value, environ=environ, root=root or Path.cwd())
    identify(os.getpid())  # refuses here, before there is a process, where nobody could end it later
    child = await GatedProcess.start(call)
    leader: ProcessIdentity | None = None
    try:
        leader = identify(child.process.pid)
        if leader is None:
            raise CommandFailed(f"{spec.command[0]} was killed before it ran")
        _at_work.add(leader)
        await on_started(leader, leader.pid)
    except BaseException:
        try:
            await _to_the_end(child.turn_away())
        finally:
            if leader is not None:
                _at_work.discard(leader)
        raise
    return await _Run(spec, child, leader, on_lines, redactor or Redactor()).work(call.stdin)


@final
class _Run:
    """One command under way."""

    def __init__(
        self,
        spec: CommandSpec,
        child: GatedProcess,
        leader: ProcessIdentity,
        on_lines: Heard,
        redactor: Redactor,
    ) -> None:
        self._spec = spec
        self._child = child
        self._leader = leader
        self._on_lines = on_lines
        self._delivery = asyncio.Lock()
        self._heard = 0
        self._heard_after_exit = 0
        self._redactor = redactor
        self._result = Result(spec.result, clean=redactor.text)
        self._tail = Tail()
        self._exit = asyncio.create_task(child.process.wait())
        self._listeners = {
            asyncio.create_task(self._listen("stdout", child.stdout)),
            asyncio.create_task(self._listen("stderr", child.stderr)),
        }

    async def work(self, data: bytes | None) -> CommandResult:
        started = asyncio.get_running_loop().time()
        feeder = asyncio.create_task(self._child.let_through(data))
        try:
            in_time = await self._until_exit({self._exit, feeder, *self._listeners})
        except BaseException:
            await _to_the_end(self._settle(feeder, patient=False))
            raise
        duration_ms = round((asyncio.get_running_loop().time() - started) * 1000)
        group = await _to_the_end(self._settle(feeder, patient=True))
        for listener in self._listeners:
            listener.result()  # what could not be recorded must not pass for success
        self._require_success(in_time, duration_ms)
        code = self._exit.result()
        return CommandResult(value=self._result.value(), exit_code=code, duration_ms=duration_ms, group=group)

    async def _until_exit(self, tasks: set[asyncio.Task[Any]]) -> bool:
        """Wait for the command; False if its time is over. Raises what recording its output raised."""
        loop = asyncio.get_running_loop()
        deadline = None if self._spec.timeout_s is None else loop.time() + self._spec.timeout_s
        while not self._exit.done():
            left_s = None if deadline is None else deadline - loop.time()
            if left_s is not None and left_s <= 0:
                return False
            done, tasks = await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return True

    async def _settle(self, feeder: asyncio.Task[None], *, patient: bool) -> GroupEnd:
        """End what still runs, hear the rest of the output, let go of everything. Bounded if not `patient`."""
        try:
            if self._exit.done():  # what it left behind may just be finishing its last lines
                await asyncio.wait(self._listeners, timeout=DRAIN_S)
        finally:  # in a thread from here on: even if the whole event loop is cancelled, the group is ended
            ending = _in_thread(partial(_end, self._leader, self._spec.grace_s))
        group = await ending
        feeder.cancel()
        await asyncio.wait({self._exit, feeder}, timeout=KILL_WAIT_S)
        await self._hear_the_rest(patient=patient)
        self._child.close()
        await asyncio.wait(self._listeners, timeout=None if patient else DRAIN_S)
        for task in (self._exit, *self._listeners):
            task.cancel()
        await asyncio.gather(self._exit, feeder, *self._listeners, return_exceptions=True)
        return group

    async def _hear_the_rest(self, *, patient: bool) -> None:
        """Until the pipes are closed, or only a process that left the session can still hold them."""
        while True:
            before = self._heard
            _, listening = await asyncio.wait(self._listeners, timeout=DRAIN_S)
            silent = self._heard == before and not self._delivery.locked()
            if not listening or silent or not patient:
                return

    async def _listen(self, name: str, stream: asyncio.StreamReader) -> None:
        lines, clean = Lines(clean=self._redactor.text), redaction.Lines(self._redactor)
        while chunk := await stream.read(LINE_BYTES):
            self._heard += len(chunk)
            self._heard_after_exit += len(chunk) if self._exit.done() else 0
            if name == "stdout":
                self._result.feed(chunk)
            await self._deliver(name, [clean(line) for line in lines.feed(chunk)])
            if self._heard_after_exit > _OUTSIDER_BYTES:
                break
        await self._deliver(name, [clean(line) for line in lines.finish()])

    async def _deliver(self, name: str, texts: list[str]) -> None:
        if not texts:
            return
        if name == "stderr":
            self._tail.add(texts)
        async with self._delivery:  # one batch at a time, in the order heard
            await self._on_lines([(name, text) for text in texts])

    def _require_success(self, in_time: bool, duration_ms: int) -> None:
        """Raises CommandTimedOut or CommandFailed with exit_code, signal, duration_ms and the last stderr lines."""
        name = self._spec.command[0]
        code = self._child.process.returncode
        number = -code if code is not None and code < 0 else None
        details: dict[str, Any] = {
            "exit_code": code if number is None else None,
            "signal": number,
            "duration_ms": duration_ms,
            "stderr": str(self._tail),
        }
        if not in_time:
            raise CommandTimedOut(f"{name} did not end within {self._spec.timeout_s:g} s", **details)
        if code in self._spec.ok_exit_codes:
            return
        how = f"exit code {code}" if number is None else f"signal {signal.Signals(number).name}"
        last = str(self._tail).rpartition("\n")[2].strip()
        raise CommandFailed(f"{name} ended with {how}" + (f": {last[:300]}" if last else ""), **details)


def _in_thread(work: Callable[[], _T]) -> asyncio.Future[_T]:
    """Start `work` at once in a thread of its own: the loop's pool may be full of agents that wait for this."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def tell(settle: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            settle(outcome)

    def call() -> None:
        try:
            told = partial(tell, future.set_result, work())
        except BaseException as error:
            told = partial(tell, future.set_exception, error)
        with suppress(RuntimeError):  # the loop was closed meanwhile; nobody waits in it any more
            loop.call_soon_threadsafe(told)

    # No daemon, as the interpreter shall not end before the group; no pool, as that does not begin under Ctrl-C.
    threading.Thread(target=call, name="runstone-end").start()
    return future


def _end(leader: ProcessIdentity, grace_s: float) -> GroupEnd:
    try:
        return end_group(leader, grace_s=grace_s)
    finally:
        _at_work.discard(leader)


async def _to_the_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Await `work` to its end even if this task is cancelled meanwhile; the cancellation is raised after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
