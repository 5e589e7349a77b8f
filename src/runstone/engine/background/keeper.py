"""The keeper of a background command: starts it, starts who watches it, waits for both, and notes how it ended.

Run as a script: `python -I -S keeper.py FOLDER [PYTHONPATH...]`, with the environment for the watchers. It imports the
standard library alone, has no ledger and next to no memory, so that it lives as long as the command does.

With its watcher it talks in lines of JSON over a socket. From the watcher: {"start": N} makes the process of attempt
N, which waits behind its gate, {"open": N} lets it through, {"done": true} says that all is recorded. From the
keeper: {"hello": ...} and {"pid": P}. How a command ended is told by a file, for watchers that come later, too.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Final, NoReturn

_RESTORED: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
)
KEEPER: Final = "keeper"
"""The file that a keeper locks as long as it lives, so that others know whether somebody brings the run on."""

_HEADER: Final = b"runstone\n"
_REPLIES: Final = "RUNSTONE_REPLIES"
_DSN: Final = "RUNSTONE_DSN"
_RESUMED: Final = "RUNSTONE_RESUME"
_RESUME: Final = "resume.json"
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 30.0
_TRIES_AFTER_THE_END: Final = 20
"""So often a new watcher is tried after the command has ended; then a resume goes on with what is in the spool."""

_SETTLED_S: Final = 5.0
"""A watcher that lived so long did not fail at once: the pauses begin anew."""


class Command:
    """The process of one attempt."""

    def __init__(self, folder: str, launch: dict[str, Any], number: int) -> None:
        self.number = number
        self.opened = False
        self.ended = False
        self.why_not: tuple[str, int] | None = ("gate", 0)
        self.started_at = time.time()
        gate, self.gate = os.pipe()
        self.said, saying = os.pipe()
        spools = [_spool(folder, number, stream) for stream in ("stdout", "stderr", "protocol")]
        os.close(_created(folder, f"{number}.replies"))
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.gate)
            _become(folder, _as_started(folder, launch, number), gate, saying, spools)
        for descriptor in (gate, saying, *spools):
            os.close(descriptor)

    def open(self) -> bool:
        """Lets the program run. True once it was executed; else `why_not` has the place and the errno."""
        if self.opened or self.gate < 0:
            return False
        self.opened = True
        self.started_at = time.time()
        with contextlib.suppress(BrokenPipeError):  # it was killed in front of the gate; its end says so
            os.write(self.gate, b"\n")
        self.close()
        told = b""
        while part := os.read(self.said, 100):
            told += part
        place, _, number = told.decode().partition(" ")
        self.why_not = (place, int(number)) if number else None
        return self.why_not is None

    def close(self) -> None:
        """Closes the gate: a process that was not let through ends."""
        if self.gate >= 0:
            os.close(self.gate)
            self.gate = -1

    def forget(self) -> None:
        """Gives back what it held here."""
        self.close()
        os.close(self.said)


def _spool(folder: str, number: int, stream: str) -> int:
    descriptor = _created(folder, f"{number}.{stream}")
    os.write(descriptor, _HEADER)
    return descriptor


def _created(folder: str, name: str) -> int:
    path = os.path.join(folder, name)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _as_started(folder: str, launch: dict[str, Any], number: int) -> dict[str, Any]:
    """The launch with the names of its files; where there is something to go on with, the command for that."""
    environment = {**launch["environment"], _REPLIES: os.path.join(folder, f"{number}.replies")}
    if _DSN in os.environ:  # not in the launch, which is a file
        environment[_DSN] = os.environ[_DSN]
    going_on = os.path.join(folder, _RESUME)
    if not os.path.exists(going_on):
        return {**launch, "environment": environment}
    environment[_RESUMED] = going_on
    again = launch.get("resume") or launch["arguments"]
    program = launch.get("resume_program") or launch["program"]
    return {**launch, "environment": environment, "arguments": again, "program": program}


def _become(folder: str, launch: dict[str, Any], gate: int, saying: int, spools: list[int]) -> NoReturn:
    """In the child: waits for the gate, and becomes the program. Never returns."""
    place = "cwd"
    try:
        os.setsid()
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # Above the descriptors that the program gets, so that none of them is overwritten.
        gate, saying = (fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 20) for one in (gate, saying))
        spools = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 20) for one in spools]
        try:
            reading = os.open(os.path.join(folder, "stdin"), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            reading = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if not os.read(gate, 1):
            os._exit(126)
        for target, source in enumerate((reading, *spools)):
            if source == target:
                os.set_inheritable(target, True)
            else:
                os.dup2(source, target)
        os.closerange(4, 20)
        os.chdir(launch["cwd"])
        place = "exec"
        os.execve(launch["program"], launch["arguments"], launch["environment"])  # noqa: S606 - no shell between
    except OSError as error:
        os.write(saying, f"{place} {error.errno}".encode())
    except BaseException:
        os.write(saying, f"{place} 0".encode())
    os._exit(127)


class Keeper:
    """One command with its watchers, one after another."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(os.path.join(folder, "launch.json"), "rb") as file:
            self.launch: dict[str, Any] = json.load(file)
        self.command: Command | None = None
        self.watcher = 0
        self.channel: socket.socket | None = None
        self.heard = b""
        self.done = False
        self.failed = 0
        self.watched_at = 0.0
        self.again_at = 0.0
        self.woken, waking = os.pipe()
        for descriptor in (self.woken, waking):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)

    def run(self) -> None:
        """Until a watcher said that all is recorded, or too many of them failed after the command's end."""
        while not self.done:
            if not self.watcher and time.monotonic() >= self.again_at:
                self.start_watcher()
            self.wait()
            self.reap()
            if not self.watcher and self.failed > _TRIES_AFTER_THE_END and not self.living():
                break
        if self.command is not None and not self.command.opened:
            self.command.close()
        while self.living():  # it was not let through, or could not be ended
            self.wait()
            self.reap()

    def living(self) -> bool:
        """Whether the command was started and has not ended."""
        return self.command is not None and not self.command.ended

    def wait(self) -> None:
        """Until something happened: a child ended, or the watcher said something."""
        left = None if self.watcher or self.done else max(0.0, self.again_at - time.monotonic())
        watched: list[Any] = [self.woken, *([self.channel] if self.channel is not None else [])]
        ready, _, _ = select.select(watched, [], [], left)
        if self.woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.woken, 4096)
        if self.channel in ready:
            self.hear()

    def hear(self) -> None:
        """Obeys what the watcher says; closes the line when it is gone."""
        if self.channel is None:
            return
        try:
            part = self.channel.recv(65536)
        except OSError:
            part = b""
        if not part:
            self.channel.close()
            self.channel = None
            return
        *lines, self.heard = (self.heard + part).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))

    def obey(self, order: dict[str, Any]) -> None:
        """Does what the watcher asks for."""
        if "start" in order:
            self.start(order["start"])
        elif "open" in order:
            if self.command is not None and self.command.number == order["open"] and self.command.open():
                self.write(f"{order['open']}.started", b"")
        elif order.get("done"):
            self.done = True

    def start(self, number: int) -> None:
        """Makes the process of an attempt; one that an earlier watcher left in front of the gate ends."""
        if self.command is not None and not self.command.ended:
            if self.command.opened:
                self.say({"pid": 0})
                return
            self.command.close()
            os.waitpid(self.command.pid, 0)
            self.command.forget()
        with open(os.path.join(self.folder, "launch.json"), "rb") as file:
            self.launch = json.load(file)
        self.command = Command(self.folder, self.launch, number)
        self.say({"pid": self.command.pid})

    def say(self, told: dict[str, Any]) -> None:
        """Tells the watcher, if there is one."""
        if self.channel is not None:
            with contextlib.suppress(OSError):  # it died; its end comes next
                self.channel.sendall(json.dumps(told).encode() + b"\n")

    def start_watcher(self) -> None:
        """Starts a watcher and tells it what there is."""
        ours, theirs = socket.socketpair()
        theirs.set_inheritable(True)
        self.watched_at = time.monotonic()
        null = os.open(os.devnull, os.O_RDWR)
        told = os.open(
            os.path.join(self.folder, "watcher.log"),
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC,
            0o600,
        )
        actions = [
            (os.POSIX_SPAWN_DUP2, source, target) for source, target in ((null, 0), (null, 1), (told, 2))
        ]
        arguments = [*self.launch["watcher"], self.folder, str(theirs.fileno())]
        try:
            self.watcher = os.posix_spawn(
                arguments[0], arguments, os.environ, file_actions=actions, setsigdef=_RESTORED
            )
        except OSError:
            self.watcher_failed()
        os.close(null)
        os.close(told)
        theirs.close()
        self.channel, self.heard = ours, b""
        self.hello()

    def hello(self) -> None:
        """Tells a new watcher of the command."""
        command = self.command
        told = None
        if command is not None:
            told = {
                "launch": command.number,
                "pid": command.pid,
                "opened": command.opened,
                "ended": command.ended,
            }
        self.say({"hello": told})

    def reap(self) -> None:
        """Notes the ends of children."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.watcher:
                self.watcher = 0
                self.watcher_failed()
            elif self.command is not None and pid == self.command.pid:
                self.note_end(status, used)

    def watcher_failed(self) -> None:
        """Has the next watcher started, after a pause that grows while they fail at once."""
        self.hear_the_rest()
        if time.monotonic() - self.watched_at > _SETTLED_S:
            self.failed = 0
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self.failed)
        self.failed += 1
        self.again_at = time.monotonic() + pause

    def hear_the_rest(self) -> None:
        """What the watcher said before it died: the last of it may be that all is done."""
        if self.channel is not None:
            self.channel.setblocking(False)
        while self.channel is not None:
            self.hear()  # closes it when there is nothing more

    def note_end(self, status: int, used: Any) -> None:
        """Writes how the command ended: whole, or not at all."""
        command = self.command
        assert command is not None
        command.ended = True
        command.forget()
        signalled = os.WIFSIGNALED(status)
        told: dict[str, Any] = {
            "exit_code": None if signalled else os.WEXITSTATUS(status),
            "signal": os.WTERMSIG(status) if signalled else None,
            "started_at": command.started_at,
            "ended_at": time.time(),
            "user_s": round(used.ru_utime, 6),
            "system_s": round(used.ru_stime, 6),
            "max_rss_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }
        if command.why_not is not None:
            told["failed_at"], told["errno"] = command.why_not
        self.write(f"{command.number}.exit.json", json.dumps(told).encode())
        self.say({"ended": command.number})

    def write(self, name: str, data: bytes) -> None:
        """Writes a file of the folder whole, or not at all."""
        path = os.path.join(self.folder, name)
        while True:
            try:
                descriptor = os.open(
                    path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
                )
                try:
                    os.write(descriptor, data)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.replace(path + ".new", path)
            except FileNotFoundError:
                self.done = True  # the folder was removed: nobody asks any more
                return
            except OSError:
                time.sleep(1.0)  # a full disk: nobody else knows how the command ended
                continue
            return


def _hold(folder: str) -> None:
    """Takes the keepers' lock, which the end of this process gives back; the command does not inherit it."""
    descriptor = os.open(os.path.join(folder, KEEPER), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):  # a file system without locks: then nobody can tell
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def main() -> None:
    """Keeps the command of the folder that is named."""
    folder = sys.argv[1]
    _hold(folder)  # before the starter goes on: from then on the run has a keeper
    if os.fork():
        os._exit(0)  # the starter has no child that it would have to wait for
    if os.getsid(0) == os.getpid():
        raise SystemExit("the keeper leads no session")
    os.chdir("/")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Keeper(folder).run()


if __name__ == "__main__":
    main()
