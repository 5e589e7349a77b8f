"""Any command from the terminal: shown while it works, left alone when the terminal goes, and never half started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

import runstone
from runstone.cli import exec_facts
from runstone.cli.exec import title_of
from runstone.cli.text import for_terminal
from tests.cli.conftest import Shell

GATE = "echo begun; while [ ! -e open ]; do sleep 0.02; done; echo ended"
"""Works until somebody makes the file `open`."""


@pytest.fixture
def here(shell: Shell) -> Iterator[Shell]:
    """A folder; what a test leaves running in the background is ended."""
    yield shell
    if not (shell.folder / ".runstone").exists():
        return
    with runstone.open(shell.folder, readonly=True) as ledger:
        runs = ledger.list_runs(limit=100).items
        left = [p.pgid for run in runs for p in ledger.processes(run.id) if p.ended_at is None]
    for number in left:
        with suppress(OSError):
            os.kill(number, signal.SIGKILL)


def _watcher(ledger: runstone.Ledger, run_id: str) -> int:
    return int(ledger.attempts(run_id)[-1].identity["pid"])


def until(true: Callable[[], Any], limit: float = 30.0) -> Any:
    """Waits for what becomes true, and gives it."""
    end = time.monotonic() + limit
    while not (found := true()):
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)
    return found


def show(shell: Shell, run: str) -> Any:
    return shell("runs", "show", run, "--json").json


def begun(shell: Shell, run: str) -> Any:
    """Waits until the command has printed something."""
    return until(lambda: shell("runs", "logs", run).out if exists(shell, run) else "")


def exists(shell: Shell, run: str) -> bool:
    listed = shell("runs", "list", "--jsonl") if (shell.folder / ".runstone" / "ledger.db").exists() else None
    return listed is not None and any(one["id"] == run for one in listed.jsonl)


# --- in front of the terminal ----------------------------------------------------------------------------------------


def test_what_a_command_prints_comes_out_where_it_was_printed(here: Shell) -> None:
    said = here("exec", "--id", "both", "--", "sh", "-c", "echo one; echo two >&2; printf 'a\\tb \\033[1m'")
    assert said.out == "one\na\tb \x1b[1m\n"
    run, error, closing = said.err.splitlines()[-3:]
    assert (run, error) == ("run both", "two")
    assert closing.startswith("✓ completed")
    assert "both" in closing
    assert show(here, "both")["kind"] == "background_agent"


def test_a_long_output_is_whole_and_in_order(here: Shell) -> None:
    said = here("exec", "--quiet", "--", "seq", "1", "50000")
    assert said.out.split() == [str(number) for number in range(1, 50_001)]
    assert said.err == ""


def test_a_line_that_is_longer_than_a_record_comes_out_as_one(here: Shell) -> None:
    program = "print('ä' * 100_000); print('short')"
    said = here("exec", "--quiet", "--id", "wide", "--", sys.executable, "-c", program)
    assert said.out == "ä" * 100_000 + "\nshort\n"
    assert len(here("runs", "logs", "wide").out.splitlines()) > 2, "in the log it is in pieces"


@pytest.mark.parametrize(
    ("words", "script", "code"),
    [
        ((), "exit 3", 5),
        (("--exit-code",), "exit 3", 3),
        (("--exit-code",), "exit 0", 0),
        (("--exit-code",), "kill -9 $$", 137),
    ],
)
def test_the_exit_code_says_whether_the_run_failed_or_is_the_commands_own(
    here: Shell, words: tuple[str, ...], script: str, code: int
) -> None:
    said = here("exec", *words, "--", "sh", "-c", script, code=code)
    assert ("error: " in said.err) == (code != 0)


def test_json_is_one_document_and_jsonl_a_line_for_each_line(here: Shell) -> None:
    words = ("--", "sh", "-c", "echo one; echo two >&2")
    document = here("exec", "--json", *words).json
    assert (document["run"]["status"], document["result"]) == ("completed", {"exit_code": 0})
    *lines, last = here("exec", "--jsonl", *words).jsonl
    assert sorted((one["stream"], one["n"], one["text"]) for one in lines) == [
        ("stderr", 1, "two"), ("stdout", 1, "one"),
    ]  # fmt: skip
    assert last["run"]["status"] == "completed"


def test_ctrl_c_stops_the_command_and_says_so(here: Shell) -> None:
    process = here.start("exec", "--id", "long", "--", "sh", "-c", "echo begun; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopping it" in err
    run = show(here, "long")
    assert (run["status"], run["status_reason"], run["living"]) == ("cancelled", "Ctrl-C", [])


def test_ctrl_c_while_it_starts_leaves_nothing_behind_that_runs(here: Shell) -> None:
    process = here.start("exec", "--detach", "--id", "early", "--", "sleep", "60")
    assert process.stderr is not None
    assert "created the workspace" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert here("runs", "list", "--status", "running", "--status", "pending", "--jsonl").out == ""


def test_two_quick_ctrl_c_are_an_order_to_stop_too(here: Shell) -> None:
    process = here.start("exec", "--id", "twice", "--", "sh", "-c", "echo begun; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)  # else the two are delivered as one
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert until(lambda: show(here, "twice")["status"] == "cancelled")


def test_a_second_ctrl_c_leaves_a_command_that_does_not_stop_to_itself(here: Shell) -> None:
    process = here.start("exec", "--id", "deaf", "--", "sh", "-c", "trap '' TERM; echo begun; sleep 60")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    while "stopping it" not in process.stderr.readline():
        continue
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert until(lambda: show(here, "deaf")["status"] == "cancelled"), "the order is kept, and carried out"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_end_of_the_starter_is_not_the_end_of_the_command(here: Shell, number: signal.Signals) -> None:
    process = here.start("exec", "--id", "left", "--", "sh", "-c", GATE)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert process.wait(10) == -number
    assert show(here, "left")["status"] == "running"
    (here.folder / "open").touch()
    assert here("runs", "logs", "-f", "left").out == "begun\nended\n"


def test_a_closed_terminal_is_not_the_end_of_the_command(here: Shell) -> None:
    command = [sys.executable, "-m", "runstone", "exec", "--id", "closed", "--", "sh", "-c", GATE]
    window = subprocess.Popen(
        [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *command],
        cwd=here.folder, env=here.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    here.started.append(window)  # type: ignore[arg-type]
    assert window.stdout is not None
    while b"begun" not in window.stdout.readline():
        continue
    (starter,) = psutil.Process(window.pid).children()
    window.kill()
    assert starter.wait(10) is None, "it got SIGHUP with its terminal"
    (here.folder / "open").touch()
    assert here("runs", "logs", "-f", "closed").out == "begun\nended\n"
    assert show(here, "closed")["status"] == "completed"


def test_a_reader_that_goes_away_is_not_the_end_of_the_command(here: Shell) -> None:
    process = here.start("exec", "--id", "piped", "--", "sh", "-c", f"{GATE}; seq 1 2000")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.stdout.close()
    (here.folder / "open").touch()
    assert process.wait(30) == 141
    assert here("runs", "watch", "piped").out
    assert len(here("runs", "logs", "piped").out.splitlines()) == 2002


def test_the_watchers_death_costs_who_follows_no_line(here: Shell) -> None:
    process = here.start("exec", "--id", "watched", "--", "sh", "-c", f"{GATE}; seq 1 500")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    with runstone.open(here.folder, readonly=True) as ledger:
        os.kill(_watcher(ledger, "watched"), signal.SIGKILL)
        until(lambda: ledger.get_run("watched").attempt == 2)
    (here.folder / "open").touch()
    out, _ = process.communicate(timeout=30)
    assert out.split() == ["ended", *(str(number) for number in range(1, 501))]
    assert process.returncode == 0


def test_on_a_terminal_colours_pass_and_what_could_drive_it_does_not() -> None:
    assert for_terminal("\x1b[31mred\x1b[0m\tand \x1b[2J\x1b]0;title\x07") == (
        "\x1b[31mred\x1b[0m\tand \\x1b[2J\\x1b]0;title\\x07\x1b[0m"
    )
    assert for_terminal("plain") == "plain"


# --- detached --------------------------------------------------------------------------------------------------------


def test_detached_prints_the_id_alone_and_the_command_goes_on(here: Shell) -> None:
    said = here("exec", "--detach", "--", "sh", "-c", GATE)
    run = said.out.strip()
    assert said.out == f"{run}\n"
    assert show(here, run)["status"] == "running"
    follower = here.start("runs", "logs", "-f", run)
    (here.folder / "open").touch()
    assert follower.communicate(timeout=30)[0] == "begun\nended\n"
    assert follower.returncode == 0


def test_an_id_of_ones_own_starts_a_command_once(here: Shell) -> None:
    for _ in range(2):
        here("exec", "--id", "once", "--", "sh", "-c", "echo x >> count")
    assert (here.folder / "count").read_text() == "x\n"
    other = here("exec", "--id", "once", "--json", "--", "true", code=1)
    assert json.loads(other.err.splitlines()[-1])["code"] == "run_mismatch"


def test_a_command_that_fails_is_started_again_as_often_as_asked(here: Shell) -> None:
    script = "echo try; test $(cat tries 2>/dev/null | wc -l) -ge 1 || { echo x >> tries; exit 1; }"
    words = ("exec", "--id", "again", "--restart", "3", "--restart-delay", "0.1s")
    assert here(*words, "--", "sh", "-c", script).out == "try\ntry\n"
    run = show(here, "again")
    assert [one["outcome"] for one in run["attempts"]] == ["failed", "completed"]
    lines = here("runs", "logs", "again", "--jsonl").jsonl
    assert [(one["attempt"], one["n"]) for one in lines] == [(1, 1), (2, 1)]


def test_a_command_is_ended_at_its_time_limit(here: Shell) -> None:
    said = here("exec", "--id", "slow", "--timeout", "0.3s", "--", "sleep", "60", code=5)
    assert "did not end within 0.3 s" in said.err
    assert show(here, "slow")["error"]["code"] == "command_timed_out"


def test_a_stopped_or_failed_command_can_be_resumed(here: Shell) -> None:
    here("exec", "--id", "job", "--", "sh", "-c", "echo try; test -e mended", code=5)
    assert "runstone resume job" in here("runs", "logs", "-f", "job", code=5).err
    assert "nothing can be reused" in here("plan", "job", code=1).err
    (here.folder / "mended").touch()
    assert here("resume", "job").out == "try\n"
    assert show(here, "job")["attempt"] == 2


def test_resume_all_goes_on_with_commands_that_lost_everything(here: Shell) -> None:
    here("exec", "--detach", "--id", "lost", "--", "sh", "-c", "echo try; test -e mended || exec sleep 60")
    with runstone.open(here.folder, readonly=True) as ledger:
        until(lambda: ledger.get_run("lost").worker_thread_id)
        watcher = psutil.Process(_watcher(ledger, "lost"))
        command = psutil.Process(ledger.processes("lost")[0].pgid)
    for process in (watcher.parent(), watcher, command):
        assert process is not None
        process.kill()
    until(lambda: show(here, "lost")["status"] == "interrupted")
    (here.folder / "mended").touch()
    assert "goes on in the background: lost" in here("resume", "--all").err
    assert here("runs", "logs", "-f", "lost").out == "try\ntry\n"


def test_watching_survives_the_watchers_death(here: Shell) -> None:
    here("exec", "--detach", "--id", "seen", "--", "sh", "-c", GATE)
    watching = here.start("runs", "watch", "seen")
    with runstone.open(here.folder, readonly=True) as ledger:
        os.kill(_watcher(ledger, "seen"), signal.SIGKILL)
        until(lambda: ledger.get_run("seen").attempt == 2)
    (here.folder / "open").touch()
    out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert "completed" in out


def test_a_command_without_keeper_and_watcher_is_named_and_can_be_stopped(here: Shell) -> None:
    here("exec", "--detach", "--id", "orphan", "--", "sh", "-c", "echo begun; sleep 60")
    with runstone.open(here.folder, readonly=True) as ledger:
        watcher = psutil.Process(_watcher(ledger, "orphan"))
        pid = ledger.processes("orphan")[0].pgid
    keeper = watcher.parent()
    assert keeper is not None
    keeper.kill()
    watcher.kill()
    shown = until(lambda: said if "interrupted" in (said := here("runs", "show", "orphan").out) else "")
    assert f"its command still runs: pid {pid}" in shown
    here("runs", "stop", "orphan")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# --- before it begins ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("--", "no-such-program"), 1, "command_not_found"),
        (("--", "./missing"), 1, "command_not_found"),
        (("--", "./plain"), 1, "command_not_executable"),
        (("--", "."), 1, "command_not_executable"),
        (("--cwd", "nowhere", "--", "true"), 1, "command_not_found"),
        (("--env", "NAME", "--", "true"), 2, "usage"),
        (("--label", "name", "--", "true"), 2, "usage"),
        (("--timeout", "soon", "--", "true"), 2, "usage"),
        (("--restart", "-1", "--", "true"), 2, "usage"),
        ((), 2, "usage"),
    ],
)
def test_what_cannot_begin_creates_nothing(
    here: Shell, words: tuple[str, ...], code: int, error: str
) -> None:
    (here.folder / "plain").write_text("no program")
    said = here("--json", "exec", *words, code=code)
    assert json.loads(said.err)["code"] == error
    assert json.loads(said.err)["hint"]
    assert not (here.folder / ".runstone").exists()


def test_a_card_that_does_not_exist_starts_nothing(here: Shell) -> None:
    here("exec", "--card", "none", "--", "touch", "started", code=1)
    assert not (here.folder / "started").exists()


def test_options_of_the_command_are_its_own(here: Shell) -> None:
    assert here("exec", "--quiet", "echo", "--json", "--id", "x").out == "--json --id x\n"


def test_agent_title_labels_card_and_thread_are_recorded(here: Shell) -> None:
    with runstone.open(here.folder) as ledger:
        ledger.boards.create("plan")
        ledger.boards.add_card("plan", "Do it", card_id="card-1")
    here(
        "exec", "--id", "named", "--agent", "claude", "--title", "Mends it", "--label", "team=red", "--card", "card-1",
        "--thread", "talk", "--", "true",
    )  # fmt: skip
    run = show(here, "named")
    assert (run["agent_id"], run["title"], run["labels"]) == ("claude", "Mends it", {"team": "red"})
    assert (run["task_card_id"], run["task_board_id"], run["parent_thread_id"]) == ("card-1", "plan", "talk")


def test_stdin_is_given_only_where_it_is_asked_for(here: Shell) -> None:
    text = (here.folder / "words.txt").open("w+")
    text.write("one\ntwo\n")
    text.seek(0)
    assert here("exec", "--quiet", "--stdin", "--", "wc", "-l", stdin=text).out.strip() == "2"
    text.seek(0)
    assert here("exec", "--quiet", "--", "wc", "-l", stdin=text).out.strip() == "0"
    text.close()


def test_the_surroundings_are_recorded_without_secrets(here: Shell) -> None:
    folder = here.folder / "repository"
    git(here.folder, "init", "-q", "-b", "main", str(folder))
    (folder / "file").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    here.env |= {"API_TOKEN": "hidden-1", "DATABASE": "postgres://me:hidden-2@host/db", "PLAIN": "shown"}
    command = ["sh", "-c", 'printf %s "$API_TOKEN" > seen; echo "$DATABASE"']
    said = here("exec", "--id", "facts", "--cwd", "repository", "--env", "ADDED=1", "--", *command)
    assert (folder / "seen").read_text() == "hidden-1", "the command itself has them"
    assert "hidden" not in said.out, "what is recorded of its output has them not"
    (folder / "seen").unlink()
    given = show(here, "facts")["input"]
    assert given["cwd"] == str(folder)
    assert given["command"] == command
    assert (given["environment"]["PLAIN"], given["environment"]["ADDED"]) == ("shown", "1")
    assert given["environment"].keys() >= {"PATH", "API_TOKEN", "DATABASE"}
    assert "hidden" not in json.dumps(given)
    commit = git(folder, "rev-parse", "HEAD")
    assert given["git"] == {"commit": commit, "branch": "main", "dirty": False}
    assert given["user"]
    assert f"{commit[:12]} on main" in here("runs", "show", "facts").out


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    ).stdout.strip()


def test_git_state_is_none_where_there_is_no_repository_and_dirty_where_something_is_new(
    tmp_path: Path,
) -> None:
    assert exec_facts.git_state(str(tmp_path)) is None
    git(tmp_path, "init", "-q", "-b", "main")
    assert exec_facts.git_state(str(tmp_path)) == {"commit": None, "branch": "main", "dirty": False}
    (tmp_path / "new").touch()
    assert exec_facts.git_state(str(tmp_path)) == {"commit": None, "branch": "main", "dirty": True}


def test_a_folder_cannot_have_code_run_by_looking_at_its_git_state(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "core.fsmonitor", f"touch {tmp_path / 'ran'}; false")
    exec_facts.git_state(str(tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (("/usr/bin/make", "test"), "make test"),
        (("sh", "-c", "echo  a\n echo b"), "sh -c 'echo a echo b'"),
        (("./run.sh", "a b"), "run.sh 'a b'"),
        (("echo", "x" * 200), "echo " + "x" * 74 + "…"),
    ],
)
def test_a_title_is_the_command_line_on_one_line(command: tuple[str, ...], title: str) -> None:
    assert title_of(command) == title
