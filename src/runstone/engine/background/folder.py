"""The folder of a background command, `.runstone/exec/<run>/`: what its keeper and its watchers tell each other.

    launch.json      what to run, with its whole environment; the folder is its owner's alone
    stdin            what the command reads, where something was given
    N.stdout ...     what the command of attempt N printed and was not taken over yet (spool files)
    N.exit.json      how it ended, written by the keeper
    N.replies        answers that a running command is told
    resume.json      what a command that is started again goes on with
    N.completed      the result of its `complete` line, as given: events are redacted
    keeper           locked by the keeper as long as it lives

It is removed when the run has completed. Until then a resume may need it.
"""

import fcntl
import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.engine.background.keeper import KEEPER
from runstone.errors import StoreIO

FOLDER: Final = "exec"

STREAMS: Final = ("stdout", "stderr", "protocol")
RESUME: Final = "resume.json"
_SPOOL: Final = re.compile(rf"[0-9]+\.({'|'.join(STREAMS)})")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is run, and how. `program` is the absolute path that `arguments[0]` was found at."""

    run_id: str
    program: str
    arguments: list[str]
    environment: dict[str, str]
    cwd: str
    timeout_s: float | None = None
    restart: dict[str, Any] | None = None
    watcher: list[str] = []
    """The command that starts a watcher."""
    resume: list[str] | None = None
    """The command that goes on, where there is something to go on with; without it the same one."""
    resume_program: str | None = None


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended, as its keeper saw it. Times are seconds UTC.

    `failed_at` is set where the program was never executed: `cwd` or `exec`, with the `errno` of it.
    """

    exit_code: int | None = None
    signal: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    max_rss_bytes: int | None = None
    failed_at: str | None = None
    errno: int | None = None

    def usage(self) -> dict[str, Any] | None:
        """What it used, as the ledger keeps it."""
        told = {"user_s": self.user_s, "system_s": self.system_s, "max_rss_bytes": self.max_rss_bytes}
        known = {name: value for name, value in told.items() if value is not None}
        return known or None


class ExecFolder:
    """The folder of one run."""

    def __init__(self, workspace_folder: Path, run_id: str) -> None:
        # An id may hold characters that are no file name everywhere; then its digest names the folder.
        name = run_id if _PLAIN.fullmatch(run_id) else hashlib.sha256(run_id.encode()).hexdigest()
        self.path = workspace_folder / FOLDER / name

    def create(self) -> None:
        """Makes the folder. Raises `StoreIO`."""
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreIO(f"{self.path} cannot be created: {error.strerror}") from error

    def spool(self, launch: int, stream: str) -> Path:
        """What the command that attempt `launch` started printed to `stream`."""
        return self.path / f"{launch}.{stream}"

    def write_launch(self, launch: Launch, stdin: bytes | None) -> None:
        """Writes what the keeper and its watchers need. Raises `StoreIO`."""
        try:
            if stdin is not None:
                _write(self.path / "stdin", stdin)
            _write(self.path / "launch.json", msgspec.json.encode(launch))
        except OSError as error:
            raise StoreIO(f"{self.path} cannot be written: {error.strerror}") from error

    def launch(self) -> Launch | None:
        """What is run; None if the folder is not there or cannot be read."""
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.path / "launch.json").read_bytes(), type=Launch)
        return None

    def exit_of(self, launch: int) -> Exit | None:
        """How the command of that attempt ended; None if its keeper has not said so."""
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.path / f"{launch}.exit.json").read_bytes(), type=Exit)
        return None

    def kept(self) -> bool | None:
        """Whether a keeper of the run lives; None where this process cannot tell."""
        try:
            descriptor = os.open(self.path / KEEPER, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None  # a file system without locks
        finally:
            os.close(descriptor)
        return False

    def write_completed(self, launch: int, result: bytes) -> None:
        """Keeps the result that the command of that attempt gave, until it has ended. Raises `StoreIO`."""
        try:
            _write(self.path / f"{launch}.completed", result)
        except OSError as error:
            raise StoreIO(f"{self.path} cannot be written: {error.strerror}") from error

    def completed(self, launch: int) -> bytes | None:
        """The result that the command of that attempt gave."""
        with suppress(OSError):
            return (self.path / f"{launch}.completed").read_bytes()
        return None

    def launches(self) -> list[int]:
        """The attempts whose commands left spool files, in their order."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return []
        return sorted({int(name.split(".")[0]) for name in names if _SPOOL.fullmatch(name)})

    def started(self, launch: int) -> bool:
        """Whether the command of that attempt was let through and executed."""
        return (self.path / f"{launch}.started").exists()

    def clear(self, launch: int) -> None:
        """Removes what an attempt left, when all of it is in the ledger."""
        for name in (*STREAMS, "exit.json", "started", "completed", "replies"):
            (self.path / f"{launch}.{name}").unlink(missing_ok=True)

    def write_going_on(self, told: bytes | None) -> None:
        """Writes what the next command goes on with; None takes it away. Raises `StoreIO`."""
        try:
            if told is None:
                (self.path / RESUME).unlink(missing_ok=True)
            else:
                _write(self.path / RESUME, told)
        except OSError as error:
            raise StoreIO(f"{self.path} cannot be written: {error.strerror}") from error

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and readable by the owner alone."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
