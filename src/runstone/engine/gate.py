"""Starts a program behind a gate: it exists and can be recorded, but does nothing until it is let through.

Without the gate, a program that gets its input as arguments would work from its first moment; a ledger that
crashed before it recorded the process would leave one behind that nobody knows of. Here the closing of the gate,
by intent or by our death, ends the process before the program was ever executed.
"""

import asyncio
import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Final, final

from runstone.engine.command_spec import Invocation
from runstone.errors import CommandInputRefused, CommandNotExecutable, CommandNotFound

# The shell is only the gate, and this is all it ever parses: program and arguments pass through it as they are,
# its pid and start stay those of the program. POSIX has `read` take no byte more than the line. Without input the
# program gets no pipe at all, since some (rg) take one for what they shall search.
_GATE: Final = 'IFS= read -r go && exec "$@"'
_GATE_WITHOUT_INPUT: Final = _GATE + " </dev/null"
_BUFFER_BYTES: Final = 64 * 1024


@final
class GatedProcess:
    """One process, leading a session of its own. `close` it in the end."""

    def __init__(self) -> None:
        self._ours = ExitStack()
        self._gate = -1
        self._process: asyncio.subprocess.Process | None = None
        self.stdout = asyncio.StreamReader(limit=_BUFFER_BYTES)
        self.stderr = asyncio.StreamReader(limit=_BUFFER_BYTES)

    @classmethod
    async def start(cls, call: Invocation) -> "GatedProcess":
        """Start it in front of the gate. Raises CommandNotFound, CommandNotExecutable, CommandInputRefused."""
        program = find_program(call.arguments[0], environment=call.environment, cwd=call.cwd)
        started = cls()
        try:
            await started._start(program, call)
        except BaseException:
            started.close()
            raise
        return started

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process; its pid stays the same when the program takes over from the gate."""
        assert self._process is not None
        return self._process

    async def let_through(self, data: bytes | None) -> None:
        """Open the gate; what the program then reads from its standard input is `data`, or nothing.

        A program may end, or close its input, without reading all of it.
        """
        left = memoryview(b"\n" + (data or b""))
        try:
            while left:
                try:
                    left = left[os.write(self._gate, left) :]
                except BlockingIOError:
                    await _writable(self._gate)
        except BrokenPipeError:
            return
        finally:
            self._close_gate()

    async def turn_away(self) -> None:
        """End it before the program runs."""
        self.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    def close(self) -> None:
        """Close our ends of its pipes; the readers come to their end after what they hold already."""
        self._close_gate()
        self._ours.close()

    async def _start(self, program: str, call: Invocation) -> None:
        with ExitStack() as theirs:
            gate, self._gate = os.pipe()
            theirs.callback(os.close, gate)
            os.set_blocking(self._gate, False)
            # Pipes of our own, because asyncio's count a process as running while anybody holds its output.
            out = await self._pipe_to(self.stdout, theirs)
            err = await self._pipe_to(self.stderr, theirs)
            script = _GATE_WITHOUT_INPUT if call.stdin is None else _GATE
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *("/bin/sh", "-c", script, "gate", program, *call.arguments[1:]),
                    stdin=gate,
                    stdout=out,
                    stderr=err,
                    cwd=call.cwd,
                    env=call.environment,
                    start_new_session=True,
                )
            except OSError as error:
                if error.errno == errno.E2BIG:
                    raise CommandInputRefused(
                        "the arguments and environment are longer than the system takes"
                    ) from error
                raise CommandNotExecutable(f"{program} cannot be started: {error.strerror}") from error

    async def _pipe_to(self, reader: asyncio.StreamReader, theirs: ExitStack) -> int:
        reading, writing = os.pipe()
        theirs.callback(os.close, writing)
        file = os.fdopen(reading, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        except BaseException:
            file.close()
            raise
        self._ours.callback(transport.close)
        return writing

    def _close_gate(self) -> None:
        gate, self._gate = self._gate, -1
        if gate >= 0:
            os.close(gate)


def find_program(name: str, *, environment: Mapping[str, str], cwd: str) -> str:
    """The absolute path of a program. Raises CommandNotFound or CommandNotExecutable, saying what was tried.

    A relative entry of PATH is passed over: the folder that a command works in shall not choose the program.
    """
    if not os.path.isdir(cwd):
        raise CommandNotFound(f"there is no folder {cwd} to run {name} in")
    search = environment.get("PATH", os.defpath).split(os.pathsep)
    folders = [cwd] if os.sep in name else [folder for folder in search if os.path.isabs(folder)]
    places = [os.path.join(folder, name) for folder in folders]
    existing = [place for place in places if os.path.exists(place)]
    for place in existing:
        if os.path.isfile(place) and os.access(place, os.X_OK):
            _require_interpreter(place)
            return os.path.abspath(place)
    if existing:
        what = "is a folder" if os.path.isdir(existing[0]) else "may not be executed"
        raise CommandNotExecutable(f"{existing[0]} {what}")
    raise CommandNotFound(f"there is no {places[0]}" if os.sep in name else f"{name} is not on the PATH")


def _require_interpreter(program: str) -> None:
    # The kernel says "no such file" of the script when its interpreter is missing, which misleads everybody.
    try:
        with open(program, "rb") as file:
            first = file.readline(256)
    except PermissionError:
        return  # executable, but not readable: then it is no script
    words = first[2:].split(maxsplit=1) if first.startswith(b"#!") else []
    if words and not os.access(words[0], os.X_OK):
        raise CommandNotExecutable(
            f"{program} needs the interpreter {os.fsdecode(words[0])}, which cannot be run"
        )


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(fd, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
