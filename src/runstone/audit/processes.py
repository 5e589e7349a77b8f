"""Running one tool as a process: no shell, a clean environment, a neutral folder, bounded time and output."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

TIMEOUT_S = 60.0
MAX_OUTPUT = 32_000_000  # bytes; a linter's JSON for a file of 1 MB full of findings stays below
DRAIN_S = 5.0  # a process that left the group could hold a pipe open for ever
_CHUNK = 65_536
# radon, ruff and git look for configuration in the current folder and above; above the root there is none.
NEUTRAL_FOLDER = os.sep
# What changes how an interpreter or a tool starts must not come in with the caller's environment.
_KEPT = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "TMPDIR", "USER", "LOGNAME")


class Output(NamedTuple):
    """How a process ended. `problem` is None when its output can be used, else the reason in words."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    elapsed_ms: int
    problem: str | None


def find_tool(name: str) -> str | None:
    """The absolute path of a program: on PATH, else beside the interpreter (extra `audit`)."""
    return shutil.which(name, path=_search_path(os.environ)) or shutil.which(name, path=_own_scripts())


def tool_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Only what a tool needs to start and to speak plain text."""
    kept = {key: environment[key] for key in _KEPT if key in environment}
    plain = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1", "NO_COLOR": "1"}
    return kept | plain | {"PATH": _search_path(environment), "GIT_TERMINAL_PROMPT": "0"}


async def run_process(
    arguments: Sequence[str], data: bytes = b"", *, timeout_s: float = TIMEOUT_S, max_output: int = MAX_OUTPUT
) -> Output:
    """Starts a program, writes `data` to it and reads its output. Never raises for what the program does."""
    started = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=NEUTRAL_FOLDER,
            env=tool_environment(),
            process_group=0,
        )
    except OSError as error:
        return Output(None, b"", b"", 0, f"could not be started: {error.strerror or error}")
    _limit_processor_time(process.pid, timeout_s)
    problem, stdout, stderr = None, b"", b""
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await _talk(process, data, max_output)
            await process.wait()
    except TimeoutError:
        problem = f"no end within {timeout_s:g} s"
    except _TooMuch:
        problem = f"more than {max_output:,} bytes of output"
    finally:  # A cancelled audit (stop, Ctrl-C) must not leave its tools running.
        await _end(process)
    elapsed_ms = round((time.monotonic() - started) * 1000)
    if problem is None and process.returncode is not None and process.returncode < 0:
        problem = f"ended by signal {-process.returncode}"
    return Output(process.returncode, stdout, stderr, elapsed_ms, problem)


class _TooMuch(Exception):
    """The process printed more than the bound."""


async def _talk(process: asyncio.subprocess.Process, data: bytes, max_output: int) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    tasks = [
        asyncio.ensure_future(_read(process.stdout, max_output)),
        asyncio.ensure_future(_read(process.stderr, max_output)),
        asyncio.ensure_future(_feed(process.stdin, data)),
    ]
    try:
        stdout, stderr, _ = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return stdout or b"", stderr or b""


async def _feed(pipe: asyncio.StreamWriter, data: bytes) -> bytes:
    # A tool may end without reading everything; what it printed still counts.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(data)
        await pipe.drain()
        pipe.close()
        await pipe.wait_closed()
    return b""


async def _read(pipe: asyncio.StreamReader, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := await pipe.read(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise _TooMuch
    return b"".join(parts)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    # The group, not the process: a tool may be a script that started the real one.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # asyncio calls a process ended when its pipes are closed, and a full pipe closes only when it is read.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            for pipe in (process.stdout, process.stderr):
                while pipe is not None and await pipe.read(_CHUNK):
                    continue
            await process.wait()


def _limit_processor_time(pid: int, timeout_s: float) -> None:
    """After `kill -9` of the auditor nobody is left to enforce the timeout; on Linux the kernel does."""
    if sys.platform == "linux":
        import resource

        seconds = int(timeout_s) + 1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))


def _search_path(environment: Mapping[str, str]) -> str:
    # A relative entry ("." or "bin") would let the folder that somebody stands in choose the program.
    entries = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if os.path.isabs(entry))


def _own_scripts() -> str:
    return os.path.dirname(os.path.abspath(sys.executable))
