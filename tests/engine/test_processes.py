"""A process is proven dead or left alone; a group is ended whole, and nobody else's is ever touched."""

import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from runstone.engine import groups, process_table
from runstone.engine.groups import end_group, group_alive
from runstone.engine.processes import ProcessIdentity, identify, identify_self, is_alive
from runstone.testing.clock import FakeClock

WAIT_S = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll for what another process does: bounded, and loud when it does not come."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        time.sleep(0.005)


@contextmanager
def session(script: str, *, ready: bool = True) -> Iterator[tuple[subprocess.Popen[str], ProcessIdentity]]:
    """A shell that leads its own session; it prints a line when it is ready."""
    command = ["/bin/sh", "-c", script]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if ready:
            assert process.stdout.readline().startswith("ready")
        leader = identify(process.pid)
        assert leader is not None
        yield process, leader
    finally:
        for row in process_table.scan():
            if row.session == process.pid:
                os.kill(row.pid, signal.SIGKILL)
        process.wait(WAIT_S)
        process.stdout.close()


def reap(process: subprocess.Popen[str]) -> threading.Thread:
    """Reap in a thread, as a parent in an event loop does; otherwise the leader stays a zombie."""
    thread = threading.Thread(target=process.wait, daemon=True)
    thread.start()
    return thread


def other(identity: ProcessIdentity, **changes: object) -> ProcessIdentity:
    return msgspec.structs.replace(identity, **changes)


def living(session_id: int) -> list[int]:
    return [row.pid for row in process_table.scan() if row.session == session_id and not row.dead]


# --- identity -----------------------------------------


def test_this_process_is_alive_and_survives_storage() -> None:
    me = identify_self()
    assert me.pid == os.getpid()
    assert msgspec.json.decode(msgspec.json.encode(me), type=ProcessIdentity) == me
    assert is_alive(me) is True


def test_a_forked_child_is_not_its_parent() -> None:
    me = identify_self()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, json.dumps([identify_self().pid, identify_self() == me]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert json.load(pipe) == [pid, False]
    os.waitpid(pid, 0)


def test_an_ended_process_is_dead() -> None:
    with session("echo ready; exec sleep 60") as (process, identity):
        assert is_alive(identity) is True
        process.kill()
        process.wait(WAIT_S)
        assert is_alive(identity) is False
        assert identify(process.pid) is None


def test_a_reused_pid_is_another_process() -> None:
    with session("echo ready; exec sleep 60") as (_, identity):
        assert is_alive(other(identity, pid_start=identity.pid_start - 1)) is False


def test_a_zombie_is_dead() -> None:
    with session("echo ready; exec sleep 60") as (process, identity):
        process.kill()
        until(lambda: is_alive(identity) is False, "the zombie")
        row = process_table.read(process.pid)
        assert row is not None
        assert row.dead


def test_a_name_with_brackets_and_spaces_is_only_a_name(tmp_path: Path) -> None:
    (tmp_path / "x) Z 1 1 (y").symlink_to("/bin/sh")
    with session(f"exec '{tmp_path}/x) Z 1 1 (y' -c 'echo ready; sleep 60; :'") as (
        process,
        identity,
    ):
        row = process_table.read(process.pid)
        assert row is not None
        assert (row.session, row.dead) == (process.pid, False)
        assert is_alive(identity) is True


def test_a_stopped_process_is_alive() -> None:
    with session("echo ready; exec sleep 60") as (process, identity):
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert is_alive(identity) is True


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the main thread is ended by a Linux system call"
)
def test_a_process_whose_main_thread_ended_is_alive() -> None:
    number = {"x86_64": 60, "aarch64": 93}.get(platform.machine())
    if number is None:
        pytest.skip(f"the number of exit(2) on {platform.machine()} is not known here")
    code = f"""
        import ctypes, threading, time
        threading.Thread(target=time.sleep, args=(60,)).start()
        print("ready", flush=True)
        ctypes.CDLL(None).syscall({number}, 0)
    """
    with session(f"exec {sys.executable} -c '{textwrap.dedent(code)}'") as (process, identity):
        state = Path(f"/proc/{process.pid}/stat")
        until(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "the end of the main thread")
        assert is_alive(identity) is True
        assert group_alive(identity) is True


def test_elsewhere_nothing_is_proven() -> None:
    me = identify_self()
    assert is_alive(other(me, host="elsewhere")) is None
    assert is_alive(other(me, host="elsewhere", boot_id="other")) is None
    assert is_alive(other(me, pid_namespace="pid:[1]")) is None
    assert is_alive(other(me, pid_namespace=None)) is None
    assert is_alive(me, observer=other(me, pid_namespace=None)) is None


def test_a_reboot_ends_the_processes_of_a_machine_but_proves_nothing_of_a_container() -> None:
    machine = "pid:[4026531836]" if sys.platform.startswith("linux") else "machine"
    now = other(identify_self(), pid_namespace=machine)
    before = other(now, boot_id="the boot before")
    assert is_alive(before, observer=now) is False
    assert group_alive(before, observer=now) is False
    assert end_group(before, observer=now).outcome == "already_gone"
    container = other(before, pid_namespace="pid:[4026532201]")
    assert is_alive(container, observer=now) is None
    assert end_group(container, observer=now).reason == "other_host"


# --- PID namespaces -----------------------------------------

_OBSERVER = """
import json, sys
import msgspec
from runstone.engine.groups import end_group
from runstone.engine.processes import ProcessIdentity, identify_self, identify, is_alive
from runstone.errors import ProcessesUnreadable
foreign = msgspec.json.decode(sys.argv[1], type=ProcessIdentity)
me = identify_self()
try:
    seen = identify(1) is not None
except ProcessesUnreadable:
    seen = "unreadable"
answer = {
    "me": msgspec.to_builtins(me), "alive": is_alive(foreign), "end": end_group(foreign).reason,
    "self": is_alive(me), "seen": seen,
}
print(json.dumps(answer), flush=True)
sys.stdin.read()
"""


@contextmanager
def namespaced(*options: str) -> Iterator[dict[str, object]]:
    """What a process in a PID namespace of its own says of this one; it lives on until the block ends."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", *options]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True, timeout=WAIT_S)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"unshare is not allowed here: {error}")
    me = msgspec.json.encode(identify_self()).decode()
    command = [*unshare, sys.executable, "-c", _OBSERVER, me]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.communicate(timeout=WAIT_S)


def test_two_pid_namespaces_prove_nothing_of_each_other() -> None:
    with namespaced("--mount-proc") as answer:
        foreign = msgspec.convert(answer["me"], ProcessIdentity)
        assert (answer["alive"], answer["end"]) == (None, "other_namespace")
        assert (answer["self"], answer["seen"]) == (True, True)
        # Its pid (1) is ours, too, of another process: only the namespace tells them apart.
        assert foreign.pid == 1
        assert is_alive(foreign) is None
        assert group_alive(foreign) is None
        assert end_group(foreign).reason == "other_namespace"


def test_under_a_foreign_proc_nothing_is_read() -> None:
    with namespaced() as answer:
        assert (answer["alive"], answer["end"]) == (None, "unreadable")
        assert (answer["self"], answer["seen"]) == (None, "unreadable")
        assert is_alive(msgspec.convert(answer["me"], ProcessIdentity)) is None


_HIDDEN = """
import os, sys
import msgspec
from runstone.engine.groups import end_group
from runstone.engine.processes import ProcessIdentity, identify, is_alive
from runstone.errors import ProcessesUnreadable
foreign = msgspec.json.decode(sys.argv[1], type=ProcessIdentity)
assert is_alive(foreign) is True
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert is_alive(foreign) is None
try:
    identify(foreign.pid)
except ProcessesUnreadable as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a /proc that hides processes")
def test_a_hidden_process_is_not_a_dead_one() -> None:
    mount = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    unshare = ["unshare", "--mount", "/bin/sh", "-c", mount, "sh"]
    if subprocess.run([*unshare, "true"], capture_output=True, timeout=WAIT_S, check=False).returncode != 0:
        pytest.skip("a /proc with hidepid cannot be mounted here")
    me = msgspec.json.encode(identify_self()).decode()
    done = subprocess.run(
        [*unshare, sys.executable, "-c", _HIDDEN, me],
        text=True,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.stdout.strip() == f"process {os.getpid()} exists, but this user may not see it", done.stderr


# --- ending groups -----------------------------------------


def test_term_ends_a_group_with_its_grandchildren() -> None:
    with session("sleep 60 & (sleep 60 & exec sleep 60) & echo ready; wait") as (process, leader):
        until(lambda: len(living(process.pid)) == 4, "the grandchildren")
        reap(process)
        assert end_group(leader).outcome == "ended"
        assert living(process.pid) == []
        assert group_alive(leader) is False
        assert end_group(leader).outcome == "already_gone"


def test_ignored_term_becomes_kill_after_the_grace() -> None:
    with session("trap '' TERM; echo ready; while :; do sleep 0.05; done") as (process, leader):
        reap(process)
        clock = FakeClock()
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            clock.advance(seconds)
            time.sleep(0.002)

        assert end_group(leader, grace_s=3.0, clock=clock, pause=pause).outcome == "killed"
        assert living(process.pid) == []
        # Short looks first, then seldom, and the grace is kept to the last of them.
        assert max(pauses) <= 0.1
        assert sum(pauses) >= 3.0


def test_a_command_that_obeys_ends_well_before_the_grace() -> None:
    with session("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done") as (process, leader):
        reap(process)
        started = time.monotonic()
        assert end_group(leader, grace_s=WAIT_S).outcome == "ended"
        assert time.monotonic() - started < WAIT_S / 2


def test_a_stopped_group_is_ended() -> None:
    # One process: a shell that is stopped in the middle of starting another is never reported as stopped.
    code = 'import signal, sys; signal.signal(15, lambda *_: sys.exit()); print("ready"); signal.pause()'
    with session(f"exec {sys.executable} -uc '{code}'") as (process, leader):
        os.killpg(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        reap(process)
        assert end_group(leader, grace_s=WAIT_S).outcome == "ended"


def test_what_the_dead_leader_left_is_ended() -> None:
    with session("sleep 60 & sleep 60 & echo ready") as (process, leader):
        process.wait(WAIT_S)
        assert is_alive(leader) is False
        assert group_alive(leader) is True
        assert end_group(leader).outcome == "ended"
        assert living(process.pid) == []


def test_a_group_made_inside_the_session_is_ended_too() -> None:
    # As shells with job control and timeout(1) do.
    code = 'import os, time; os.setpgid(0, 0); print("ready"); time.sleep(60)'
    with session(f"{sys.executable} -uc '{code}' &") as (process, leader):
        process.wait(WAIT_S)
        (left,) = living(process.pid)
        assert os.getpgid(left) == left != process.pid
        assert end_group(leader).outcome == "ended"


def test_an_unreaped_leader_counts_as_gone() -> None:
    with session("echo ready") as (_process, leader):
        until(lambda: is_alive(leader) is False, "the zombie")
        assert group_alive(leader) is False
        assert end_group(leader).outcome == "already_gone"


def test_the_group_of_a_reused_number_is_never_touched() -> None:
    with session("sleep 60 & echo ready; wait") as (process, leader):
        for start in (leader.pid_start - 100, leader.pid_start + 100):
            reused = other(leader, pid_start=start)
            assert group_alive(reused) is False
            assert end_group(reused, grace_s=0).outcome == "already_gone"
        assert len(living(process.pid)) == 2


def test_older_processes_are_never_touched_when_the_leader_is_gone() -> None:
    with session("sleep 60 & echo ready") as (process, leader):
        process.wait(WAIT_S)
        younger = other(leader, pid_start=leader.pid_start + 1_000_000)
        assert end_group(younger, grace_s=0).outcome == "already_gone"
        assert len(living(process.pid)) == 1


def test_the_own_group_is_never_ended() -> None:
    code = """
        import os
        from runstone.engine.groups import end_group
        from runstone.engine.processes import identify, identify_self
        if os.fork() == 0:  # a member of the session, whose leader is its parent
            os._exit(0 if end_group(identify(os.getppid())).reason == "own_group" else 1)
        _, status = os.wait()
        assert end_group(identify_self()).reason == "own_group"
        raise SystemExit(os.waitstatus_to_exitcode(status))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], start_new_session=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0


def test_a_group_on_another_host_is_refused() -> None:
    with session("echo ready; exec sleep 60") as (_, leader):
        end = end_group(other(leader, host="elsewhere"))
        assert (end.outcome, end.reason, end.gone) == ("refused", "other_host", False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_what_may_not_be_signalled_is_reported() -> None:
    with session("echo ready; exec sleep 60") as (_, leader):
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            groups.KILL_WAIT_S = 0.05  # type: ignore[misc]  # the child of this test only
            end = end_group(leader, grace_s=0.05)
            os._exit(0 if (end.reason, end.survivors) == ("not_permitted", (leader.pid,)) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert group_alive(leader) is True


def test_psutil_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, runstone.engine.groups; sys.exit('psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=WAIT_S, check=False).returncode == 0
