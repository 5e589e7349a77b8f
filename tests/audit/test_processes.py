"""A tool gets a clean environment and a neutral folder, and can't hold the audit up or flood it."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from runstone.audit.processes import NEUTRAL_FOLDER, Output, find_tool, run_process, tool_environment


def run(code: str, data: bytes = b"", *, timeout_s: float = 60.0, max_output: int = 1_000_000) -> Output:
    arguments = [sys.executable, "-c", code]
    return asyncio.run(run_process(arguments, data, timeout_s=timeout_s, max_output=max_output))


def test_input_goes_in_and_output_comes_out() -> None:
    data = os.urandom(500_000)
    output = run("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", data)
    assert (output.exit_code, output.stdout, output.problem) == (0, data, None)


def test_a_tool_that_reads_nothing_still_answers() -> None:
    output = run("print('done')", b"x" * 500_000)
    assert (output.exit_code, output.stdout) == (0, b"done\n")


def test_a_tool_without_an_end_is_ended() -> None:
    output = run("import os, signal; print(os.getpid(), flush=True); signal.pause()", timeout_s=1.0)
    assert output.problem == "no end within 1 s"
    assert output.exit_code == -9


def test_a_flood_of_output_is_cut() -> None:
    output = run("while True: print('x' * 1000)", max_output=10_000)
    assert output.problem == "more than 10,000 bytes of output"


def test_a_crash_is_named() -> None:
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").problem == "ended by signal 11"


def test_a_missing_program_is_named() -> None:
    output = asyncio.run(run_process(["/no/such/program"]))
    assert output.problem == "could not be started: No such file or directory"


def test_a_cancelled_audit_leaves_no_tool_behind(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    code = f"import os, signal; open({str(told)!r}, 'w').write(str(os.getpid())); signal.pause()"

    async def scenario() -> int:
        work = asyncio.ensure_future(run_process([sys.executable, "-c", code]))
        pid = int(await asyncio.to_thread(told.read_text))
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return pid

    assert not psutil.pid_exists(asyncio.run(scenario()))


def test_nothing_of_the_caller_changes_how_a_tool_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "RADONCFG",
        "RUFF_CONFIG",
        "PYFLAKES_BUILTINS",
        "GIT_DIR",
        "LD_PRELOAD",
    ):
        monkeypatch.setenv(name, "evil")
    monkeypatch.setenv("PATH", os.pathsep.join([".", "bin", "", "/usr/bin"]))
    assert "evil" not in tool_environment().values()
    assert tool_environment()["PATH"] == "/usr/bin"


def test_a_program_in_the_current_folder_is_never_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "some-tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "/usr/bin"]))
    assert find_tool("some-tool") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tool("some-tool") == str(program)


def test_a_tool_stands_in_no_repository() -> None:
    assert run("import os; print(os.getcwd())").stdout.decode().strip() == NEUTRAL_FOLDER
