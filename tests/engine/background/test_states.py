"""Whatever a command does, its run ends in a clear state, and what it printed is in its thread."""

import os
import shutil
import time
from pathlib import Path

import pytest

import runstone
from runstone.errors import (
    CommandInputRefused,
    CommandNotExecutable,
    CommandNotFound,
    InvalidInput,
    RunMismatch,
)
from runstone.ledger import Ledger
from tests.engine.background.commands import (
    PYTHON,
    command_of,
    counting,
    end_all,
    ended,
    eventually,
    lives,
    messages,
    printed,
    processes_of,
)


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_a_command_that_exits_with_0_completes_with_its_lines(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(sh("echo one; echo two >&2; printf three"), facts={"git": {"branch": "main"}})
    done = ended(ledger, run.id)
    assert (done.status, done.kind, done.attempt) == ("completed", "background_agent", 1)
    assert printed(ledger, run.id) == ["one", "three"]
    assert printed(ledger, run.id, "stderr") == ["two"]
    assert ledger.result(run.id) == {"exit_code": 0}
    assert done.summary == "three"
    assert ledger.input(run.id)["git"] == {"branch": "main"}
    (process,) = ledger.processes(run.id)
    assert (process.exit_code, process.signal) == (0, None)
    assert process.usage is not None
    assert process.usage["max_rss_bytes"] > 0
    assert ledger.care.verify() == []
    eventually(lambda: not list(processes_of(tmp_path)))
    assert list((tmp_path / ".runstone" / "exec").iterdir()) == []


def test_an_exit_code_fails_with_the_last_lines_of_stderr(ledger: Ledger) -> None:
    run = ledger.exec(sh("echo why >&2; exit 3"))
    done = ended(ledger, run.id)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "command_failed"
    assert done.error["message"] == "sh ended with exit code 3: why"
    failed = [event for event in ledger.events(run.id, limit=1000).items if event.type == "run.failed"]
    assert failed[0].payload["error"]["exit_code"] == 3
    assert failed[0].payload["error"]["stderr"] == "why"


def test_a_signal_fails_with_its_name(ledger: Ledger) -> None:
    run = ledger.exec(sh("kill -9 $$"))
    done = ended(ledger, run.id)
    assert done.error is not None
    assert done.error["message"] == "sh ended with signal SIGKILL"
    assert ledger.processes(run.id)[0].signal == 9


def test_what_cannot_be_started_fails_with_its_own_error(ledger: Ledger, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    no_format = tmp_path / "no_format"
    no_format.write_bytes(b"\x00\x01\x02 nothing that a kernel knows")
    no_format.chmod(0o755)
    cases: list[tuple[list[str], dict[str, str], type[Exception]]] = [
        (["surely-not-here"], {}, CommandNotFound),
        ([str(plain)], {}, CommandNotExecutable),
        ([str(no_format)], {}, CommandNotExecutable),
        (["true"], {"cwd": str(tmp_path / "nowhere")}, CommandNotFound),
        (["true", "x" * 10_000_000], {}, CommandInputRefused),
    ]
    for number, (command, more, kind) in enumerate(cases):
        with pytest.raises(kind):
            ledger.exec(command, run_id=f"case-{number}", title="t", **more)  # type: ignore[arg-type]
        run = ledger.get_run(f"case-{number}")
        assert run.status == "failed"
        assert run.error is not None
        assert run.error["code"] == kind.code, (command[0], run.error)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [[], "ls", [""], [1], ["a\0b"]])
def test_what_is_no_command_is_refused_before_there_is_a_run(ledger: Ledger, command: list[str]) -> None:
    with pytest.raises((InvalidInput, CommandInputRefused)):
        ledger.exec(command)
    assert ledger.list_runs().items == []


def test_a_time_limit_ends_the_whole_group(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(sh("sleep 100 & echo begun; sleep 100"), timeout_s=0.5)
    done = ended(ledger, run.id)
    assert done.error is not None
    assert done.error["code"] == "command_timed_out"
    assert printed(ledger, run.id) == ["begun"]
    eventually(lambda: not list(processes_of(tmp_path)))


def test_a_stop_cancels_also_what_ignores_term(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(sh("trap '' TERM; echo begun; while :; do sleep 0.1; done"))
    pid = command_of(ledger, run.id)
    eventually(lambda: printed(ledger, run.id))
    ledger.command(run.id, "stop", by="ana", reason="enough")
    done = ended(ledger, run.id)
    assert (done.status, done.status_reason) == ("cancelled", "enough")
    assert not lives(pid)
    assert ledger.processes(run.id)[0].signal == 9
    assert [order.status for order in ledger.commands.list(run.id)] == ["applied"]


def test_what_a_command_leaves_behind_is_ended_after_its_last_lines(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.exec(sh("(sleep 0.3; echo late; sleep 100) & echo soon"))
    done = ended(ledger, run.id)
    assert done.status == "completed"
    assert printed(ledger, run.id) == ["soon", "late"]
    eventually(lambda: not list(processes_of(tmp_path)))


def test_a_command_that_closes_its_outputs_is_waited_for(ledger: Ledger) -> None:
    run = ledger.exec(sh("echo before; exec >&- 2>&- 3>&-; sleep 0.5; exit 4"))
    done = ended(ledger, run.id)
    assert done.error is not None
    assert "exit code 4" in done.error["message"]
    assert printed(ledger, run.id) == ["before"]


def test_a_silent_command_completes_without_a_thread(ledger: Ledger) -> None:
    run = ledger.exec(["true"])
    done = ended(ledger, run.id)
    assert (done.status, done.summary) == ("completed", None)
    assert messages(ledger, run.id) == []


def test_binary_output_is_replaced_and_never_fatal(ledger: Ledger) -> None:
    program = "import os; os.write(1, bytes(range(256)) * 400); os.write(1, b'\\nend\\n')"
    run = ledger.exec([PYTHON, "-c", program])
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id)[-1] == "end"
    assert ledger.care.verify() == []


def test_a_line_of_50_mb_comes_whole_in_bounded_pieces(ledger: Ledger) -> None:
    program = "import sys; sys.stdout.write('x' * 50_000_000 + '\\nend\\n')"
    run = ledger.exec([PYTHON, "-c", program])
    assert ended(ledger, run.id, 120).status == "completed"
    pieces = [message.text for message in messages(ledger, run.id)]
    assert pieces[-1] == "end"
    assert max(map(len, pieces)) < 70_000
    assert sum(piece.count("x") for piece in pieces) == 50_000_000


def test_lines_are_grouped_and_rows_stay_small(ledger: Ledger) -> None:
    run = ledger.exec(counting(20_000))
    assert ended(ledger, run.id).status == "completed"
    assert printed(ledger, run.id) == [str(number) for number in range(1, 20_001)]
    assert len(messages(ledger, run.id)) < 200


def test_stdin_is_given_whole(ledger: Ledger) -> None:
    run = ledger.exec(["wc", "-c"], stdin=b"x" * 200_000)
    ended(ledger, run.id)
    assert printed(ledger, run.id)[0].strip() == "200000"


def test_without_stdin_it_reads_nothing(ledger: Ledger) -> None:
    run = ledger.exec(["cat"])
    assert ended(ledger, run.id).status == "completed"


def test_a_second_start_under_its_id_is_the_same_run(ledger: Ledger) -> None:
    first = ledger.exec(sh("echo once; sleep 1"), run_id="mine")
    second = ledger.exec(sh("echo once; sleep 1"), run_id="mine")
    assert first.id == second.id
    ended(ledger, "mine")
    assert printed(ledger, "mine") == ["once"]
    with pytest.raises(RunMismatch):
        ledger.exec(["true"], run_id="mine")


def test_a_stream_that_the_command_cut_says_so_and_the_rest_is_there(ledger: Ledger) -> None:
    script = "echo first >&2; sleep 0.5; echo second > /dev/stderr; sleep 0.3; echo third >&2; echo done"
    run = ledger.exec(sh(script))
    ended(ledger, run.id)
    assert printed(ledger, run.id, "stderr") == ["first", "second", "third"]
    cut = [event for event in ledger.events(run.id, limit=1000).items if event.type == "output.cut"]
    assert [event.payload["stream"] for event in cut] == ["stderr"]


def test_the_command_has_no_more_open_files_than_it_was_given(ledger: Ledger) -> None:
    run = ledger.exec(
        [PYTHON, "-I", "-S", "-c", "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"]
    )
    ended(ledger, run.id)
    assert printed(ledger, run.id) == ["[0, 1, 2, 3, 4]"]  # 4 is the look itself


def test_signals_mean_to_the_command_what_they_mean_elsewhere(ledger: Ledger) -> None:
    names = "('SIGHUP', 'SIGTERM', 'SIGCHLD')"
    program = f"import signal; print([signal.getsignal(getattr(signal, n)).name for n in {names}])"
    run = ledger.exec([PYTHON, "-I", "-S", "-c", program])
    ended(ledger, run.id)
    assert printed(ledger, run.id) == ["['SIG_DFL', 'SIG_DFL', 'SIG_DFL']"]


def test_files_are_readable_by_their_owner_alone(ledger: Ledger, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run = ledger.exec(["sleep", "100"], env={"SECRET": "x", "PATH": os.environ["PATH"]})
    finally:
        os.umask(before)
    folder = tmp_path / ".runstone" / "exec" / run.id
    assert folder.stat().st_mode & 0o077 == 0
    for file in folder.iterdir():
        assert file.name == "1.started" or file.stat().st_mode & 0o077 == 0, file.name


def test_what_was_taken_over_is_given_back_to_the_disk(ledger: Ledger, tmp_path: Path) -> None:
    program = (
        "import sys,time; [print('x' * 999) for _ in range(20_000)]; sys.stdout.flush(); time.sleep(100)"
    )
    run = ledger.exec([PYTHON, "-c", program])
    eventually(lambda: len(printed(ledger, run.id)) == 20_000)
    spool = tmp_path / ".runstone" / "exec" / run.id / "1.stdout"
    assert spool.stat().st_size > 19_000_000
    eventually(lambda: spool.stat().st_blocks * 512 < 6_000_000)


def test_nobody_stays_behind_when_the_workspace_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with runstone.open(folder) as ledger:
        try:
            ledger.exec(["sleep", "1"])
            shutil.rmtree(folder)
            eventually(lambda: not list(processes_of(folder)))
        finally:
            end_all(folder)


def test_a_detached_start_does_not_wait_for_the_command(ledger: Ledger) -> None:
    before = time.monotonic()
    run = ledger.exec(["sleep", "100"])
    assert run.status == "running"
    assert time.monotonic() - before < 9
