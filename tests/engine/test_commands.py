"""A command runs as written, is recorded before it works, is heard whole, and leaves nothing behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain.redaction import Redactor
from runstone.engine import process_table
from runstone.engine.command_output import CONTINUES, LINE_BYTES, Lines, Result, Tail
from runstone.engine.command_spec import CommandSpec
from runstone.engine.commands import CommandResult, run_command
from runstone.engine.groups import group_alive
from runstone.engine.processes import ProcessIdentity, identify, is_alive
from runstone.errors import (
    CommandFailed,
    CommandInputRefused,
    CommandNotExecutable,
    CommandNotFound,
    CommandResultInvalid,
    CommandTimedOut,
    InvalidDefinition,
)

WAIT_S = 20.0
SECRET = "ghp_aB3dE5gH7jK9mN1pQ3sT5vX7zA9bC1dE3fG5"


class Recorder:
    """The ledger's side: keeps what it is told, and may be told to do something at each call."""

    def __init__(
        self,
        on_started: Callable[[], Awaitable[None]] | None = None,
        on_line: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.leader: ProcessIdentity | None = None
        self.lines: list[tuple[str, str]] = []
        self._on_started = on_started
        self._on_line = on_line

    async def started(self, leader: ProcessIdentity, pgid: int) -> None:
        assert pgid == leader.pid
        self.leader = leader
        if self._on_started is not None:
            await self._on_started()

    async def heard(self, batch: list[tuple[str, str]]) -> None:
        self.lines.extend(batch)
        if self._on_line is not None:
            await self._on_line(batch[-1][1])

    def text(self, stream: str = "stdout") -> list[str]:
        return [text for name, text in self.lines if name == stream]

    def everything_ended(self) -> bool:
        return self.leader is not None and group_alive(self.leader) is False


async def run(
    spec: CommandSpec, value: Any = None, recorder: Recorder | None = None, *, root: Path | None = None
) -> CommandResult:
    recorder = recorder or Recorder()
    async with asyncio.timeout(WAIT_S * 3):
        return await run_command(
            spec, value, on_started=recorder.started, on_lines=recorder.heard, environ=os.environ, root=root
        )


def call(
    spec: CommandSpec, value: Any = None, recorder: Recorder | None = None, **options: Any
) -> CommandResult:
    return asyncio.run(run(spec, value, recorder, **options))


def shell(script: str, **settings: Any) -> CommandSpec:
    return CommandSpec(command=["/bin/sh", "-c", script], **{"result": "text", "grace_s": WAIT_S, **settings})


def python(code: str, **settings: Any) -> CommandSpec:
    settings = {"result": "text", "grace_s": WAIT_S, **settings}
    return CommandSpec(
        command=[sys.executable, "-c", textwrap.dedent(code), *settings.pop("arguments", [])], **settings
    )


PRINT_ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]))"
HOSTILE = "a b'c\"d$(touch x);`id`\n* \\ {input.other} {{x}} --option é \U0001f600"


# --- the command and its input ----------------------------------------


def test_a_placeholder_fills_exactly_one_argument() -> None:
    arguments = [
        "{input.path}",
        "--n={input.n}",
        "{input.list.1}",
        "{input.deep.list}",
        "{input.none}",
        "{input.yes}",
    ]
    value = {
        "path": HOSTILE,
        "n": 1.5,
        "list": [1, "two"],
        "deep": {"list": [1, {"a": 2}]},
        "none": None,
        "yes": True,
    }
    spec = python(PRINT_ARGUMENTS, arguments=arguments, result="json")
    assert call(spec, value).value == [HOSTILE, "--n=1.5", "two", '[1,{"a":2}]', "null", "true"]


def test_the_whole_input_is_a_placeholder_too() -> None:
    spec = python(PRINT_ARGUMENTS, arguments=["{input}", "x{input}"], result="json")
    assert call(spec, "text").value == ["text", "xtext"]
    assert call(spec, [1]).value == ["[1]", "x[1]"]


def test_other_braces_are_text() -> None:
    arguments = ["{print $1}", '{"a":{"b":1}}', "{}", "{{input.path}}", "{{HOME}}", "${x }"]
    spec = python(PRINT_ARGUMENTS, arguments=arguments, result="json")
    spec.check("agents.x")
    assert call(spec, {"path": "p"}).value == [
        "{print $1}",
        '{"a":{"b":1}}',
        "{}",
        "{input.path}",
        "{HOME}",
        "${x }",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"command": ["tool", "-x", "{inptu.path}"]},
            r"agents\.lint\.command\[2\] has the unknown placeholder \{inptu",
        ),
        ({"command": ["tool", "{input.}"]}, r"command\[1\] has the unknown placeholder"),
        (
            {"command": ["tool"], "env": {"A": "{path}"}},
            r"agents\.lint\.env\.A has the unknown placeholder \{path\}",
        ),
        ({"command": ["tool"], "cwd": "{where}"}, r"agents\.lint\.cwd has the unknown placeholder"),
        ({"command": ["{input.tool}"]}, r"command\[0\] is the program and cannot come from the input"),
        ({"command": []}, r"agents\.lint\.command names no program"),
        ({"command": "tool -x"}, r"agents\.lint: Expected `array`, got `str` - at `\$\.command`"),
        ({"command": ["tool"], "input": "file"}, r"agents\.lint: Invalid enum value 'file' - at `\$\.input`"),
        ({"command": ["tool"], "timeout": 3}, r"agents\.lint: .*unknown field `timeout`"),
        ({"command": ["tool"], "timeout_s": 0}, r"agents\.lint\.timeout_s is 0"),
        ({"command": ["tool"], "grace_s": -1}, r"agents\.lint\.grace_s is -1"),
        ({"command": ["tool"], "env": {"A=B": "x"}}, r"agents\.lint\.env has the name 'A=B'"),
    ],
)
def test_a_wrong_definition_is_refused_at_its_place(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDefinition, match=message):
        CommandSpec.from_settings(settings, place="agents.lint")


@pytest.mark.parametrize(
    ("settings", "value", "message"),
    [
        (
            {"command": ["true", "{input.path}"]},
            {},
            r"command\[1\] needs \{input\.path\}, but the input has no input\.path",
        ),
        ({"command": ["true", "{input.a.b}"]}, {"a": 1}, r"no input\.a\.b"),
        ({"command": ["true", "{input.a.7}"]}, {"a": [1]}, r"no input\.a\.7"),
        ({"command": ["true"], "env": {"X": "{input.a}"}}, None, r"env\.X needs"),
        ({"command": ["true", "{input}"]}, "a\0b", r"command\[1\] would hold what no argument can"),
        ({"command": ["true", "{input}"]}, "\ud800", r"command\[1\] would hold what no argument can"),
        ({"command": ["true"], "input": "env"}, {"a": 1, "A": 2}, r"RUNSTONE_INPUT_A"),
        ({"command": ["true", "{input}"]}, "x" * 4_000_000, r"longer than the system takes"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(settings: dict[str, Any], value: Any, message: str) -> None:
    recorder = Recorder()
    with pytest.raises(CommandInputRefused, match=message):
        call(CommandSpec.from_settings(settings, place="agents.x"), value, recorder)
    assert recorder.leader is None


def test_input_by_environment() -> None:
    code = """
        import json, os
        print(json.dumps({k: v for k, v in os.environ.items() if k.startswith(("RUNSTONE_", "X_"))}))
    """
    value = {"path": HOSTILE, "n": 3, "deep": [1], "no name": 1}
    seen = call(python(code, input="env", env={"X_OWN": "{input.n}!"}, result="json"), value).value
    assert json.loads(seen.pop("RUNSTONE_INPUT")) == value
    assert seen == {"RUNSTONE_INPUT_PATH": HOSTILE, "RUNSTONE_INPUT_N": "3", "X_OWN": "3!"}


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_input_by_stdin_of_any_size(size: int) -> None:
    value = {"text": "é" * size, "hostile": HOSTILE}
    code = "import sys; data = open('/dev/stdin').read(); print(data, end='')"
    assert call(python(code, input="stdin", result="json"), value).value == value


def test_a_command_need_not_read_its_input() -> None:
    assert call(shell("echo done", input="stdin"), "x" * 3_000_000).value == "done\n"
    assert call(shell("exec <&-; sleep 0.1; echo done", input="stdin"), "x" * 3_000_000).value == "done\n"


def test_without_stdin_there_is_nothing_to_read() -> None:
    # Not even an empty pipe: rg and others take a pipe for what they shall search.
    assert call(shell("wc -c; test -c /dev/stdin && echo device"), {"path": "x"}).value.split() == [
        "0",
        "device",
    ]


def test_cwd_is_relative_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert call(shell("pwd", cwd="{input}"), "sub", root=tmp_path).value == f"{tmp_path}/sub\n"
    assert call(shell("pwd"), root=tmp_path).value == f"{tmp_path}\n"


# --- recorded before it works -----------------------------------------


def test_the_recorded_process_is_the_program_itself() -> None:
    recorder = Recorder()
    code = "import os; print(os.getpid(), os.getpgrp(), os.getsid(0))"
    result = call(python(code), None, recorder)
    assert recorder.leader is not None
    assert result.value.split() == [str(recorder.leader.pid)] * 3
    assert is_alive(recorder.leader) is False


@pytest.mark.parametrize("way", ["args", "env", "stdin"])
def test_nothing_runs_before_it_is_recorded(tmp_path: Path, way: str) -> None:
    mark = tmp_path / "ran"

    async def ledger_is_down() -> None:
        await asyncio.sleep(0.2)
        assert not mark.exists()
        raise OSError("disk full")

    recorder = Recorder(on_started=ledger_is_down)
    with pytest.raises(OSError, match="disk full"):
        call(shell('touch "$MARK"', input=way, env={"MARK": str(mark)}), None, recorder)
    assert recorder.everything_ended()
    assert not mark.exists()


def test_nothing_runs_if_this_process_is_killed_before_recording(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    code = f"""
        import asyncio, os, signal
        from runstone.engine.command_spec import CommandSpec
        from runstone.engine.commands import run_command

        async def die(leader, pgid):
            print(pgid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        spec = CommandSpec(command=["touch", {str(mark)!r}])
        asyncio.run(run_command(spec, None, on_started=die, on_lines=die, environ=os.environ))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, timeout=WAIT_S, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pgid = int(done.stdout)
    wait_until(lambda: (row := process_table.read(pgid)) is None or row.dead, "the gate to close")
    assert not mark.exists()


def test_cancelled_while_recording_nothing_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    async def main() -> None:
        recording = asyncio.Event()

        async def slow() -> None:
            recording.set()
            await asyncio.sleep(WAIT_S)

        recorder = Recorder(on_started=slow)
        task = asyncio.create_task(run(shell(f"touch {mark}"), None, recorder))
        await recording.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert recorder.everything_ended()

    asyncio.run(main())
    assert not mark.exists()


# --- heard whole ------------------------------------------------------


def test_lines_of_both_streams_in_their_order() -> None:
    recorder = Recorder()
    call(
        shell("for n in 1 2 3; do echo o$n; echo e$n >&2; done; printf 'last\\r\\n\\nunterminated'"),
        None,
        recorder,
    )
    assert recorder.text() == ["o1", "o2", "o3", "last", "", "unterminated"]
    assert recorder.text("stderr") == ["e1", "e2", "e3"]


def test_binary_output_becomes_text_without_losing_a_line() -> None:
    recorder = Recorder()
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 3 + b'\\n\\xff\\xfe\\nend')"
    call(python(code, result="text"), None, recorder)
    lines = recorder.text()
    assert len(lines) == 3 + 3
    assert lines[-2:] == ["\ufffd\ufffd", "end"]
    assert not any("\0" in line for line in lines)


def test_a_long_line_comes_in_marked_pieces() -> None:
    recorder = Recorder()
    text = "é" * 100_000 + "\U0001f600" * 50_000
    call(python("import sys; print(sys.stdin.read()[1:-2])", input="stdin"), text, recorder)
    lines = recorder.text()
    assert len(lines) > 5
    assert all(line.endswith(CONTINUES) for line in lines[:-1])
    assert all(len(line.removesuffix(CONTINUES).encode()) <= LINE_BYTES for line in lines)
    assert "".join(line.removesuffix(CONTINUES) for line in lines) == text


@pytest.mark.parametrize("at", [-41, -40, -24, -3, 0])
@pytest.mark.parametrize("whole", [True, False], ids=["at once", "in chunks"])
def test_no_piece_of_a_long_line_ends_within_a_secret(at: int, whole: bool) -> None:
    said = f"password: {SECRET[4:]} {SECRET}"
    data = "é".encode() * (LINE_BYTES // 2)
    data = data[: len(data) + 2 * at] + f" {said} ".encode() + data + b"\n"
    redactor = Redactor()
    lines = Lines(clean=redactor.text)
    size = len(data) if whole else 999
    pieces = [text for i in range(0, len(data), size) for text in lines.feed(data[i : i + size])]
    assert len(pieces) >= 2
    assert "".join(text.removesuffix(CONTINUES) for text in pieces) == data.decode().rstrip("\n")
    assert all(len(text.encode()) > LINE_BYTES // 2 for text in pieces[:-1])
    shown = "".join(map(redactor.text, pieces))
    assert all(SECRET[n : n + 8] not in shown for n in range(len(SECRET) - 8))


def test_what_an_error_quotes_is_cleaned_before_it_is_cut() -> None:
    recorder = Recorder()
    code = f"import sys; sys.stderr.write('password={SECRET[4:]}' + 'x' * 1990); sys.exit(3)"
    with pytest.raises(CommandFailed) as failed:
        call(python(code), None, recorder)
    assert "[redacted:password]" in failed.value.details["stderr"]
    assert SECRET[-8:] not in str(failed.value.details)
    with pytest.raises(CommandResultInvalid) as invalid:
        call(python(f"print('token=' + '{SECRET[4:]}' * 6)", result="json"), None, recorder)
    assert SECRET[-8:] not in str(invalid.value)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.text(max_size=20).map(str.encode),
            st.sampled_from(
                [b"\n", b"\r\n", b"x" * LINE_BYTES, "é".encode() * LINE_BYTES, b"a" * (LINE_BYTES - 1)]
            ),
        ),
        max_size=12,
    )
)
def test_however_it_is_torn_the_text_is_the_same(chunks: list[bytes]) -> None:
    lines = Lines()
    texts = [text for chunk in chunks for text in lines.feed(chunk)] + lines.finish()
    whole: list[str] = []
    for text in texts:
        # A short line may end like the mark by chance; only a piece is as long as a piece.
        if whole and whole[-1].endswith(CONTINUES) and len(whole[-1].encode()) >= LINE_BYTES:
            whole[-1] = whole[-1].removesuffix(CONTINUES) + text
        else:
            whole.append(text)
    data = b"".join(chunks)
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    shown = [line.removesuffix(b"\r").decode("utf-8", "replace").replace("\0", "\ufffd") for line in expected]
    if all(len(line) <= LINE_BYTES for line in expected):
        assert texts == shown
    # A torn character of an invalid long line may be shown by another count of replacements.
    assert [line.replace("\ufffd", "") for line in whole] == [line.replace("\ufffd", "") for line in shown]


def test_output_far_beyond_memory_is_heard_in_little_memory() -> None:
    code = """
        import asyncio, os, resource, sys
        from runstone.engine.command_spec import CommandSpec
        from runstone.engine.commands import run_command

        unit = 1 if sys.platform == "darwin" else 1024
        lines = size = 0

        async def started(leader, pgid):
            pass

        async def heard(batch):
            global lines, size
            lines += len(batch)
            size += sum(len(text) + 1 for _, text in batch)

        script = "yes $(printf %01000d 7) | head -c 200000000; echo; echo 42"
        spec = CommandSpec(command=["/bin/sh", "-c", script], result="last_line_json")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        result = asyncio.run(run_command(spec, None, on_started=started, on_lines=heard, environ=os.environ))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
        print(result.value, lines, size, grown)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, timeout=100, check=True
    )
    value, lines, size, grown = map(int, done.stdout.split())
    assert (value, lines) == (42, 200_000_000 // 1001 + 2)
    assert size == 200_000_000 + len("\n42\n")
    assert grown < 16_000_000


def test_a_slow_ledger_holds_the_command_back(tmp_path: Path) -> None:
    count = tmp_path / "written"
    # It notes outside of its output how much it could write: what pipes and buffers hold, and no more.
    code = """
        import os, sys
        for n in range(400):
            os.write(1, b"x" * 9_999 + b"\\n")
            with open(sys.argv[1], "a") as file:
                file.write(".")
    """

    async def main() -> None:
        open_now = asyncio.Event()
        recorder = Recorder(on_line=lambda _: wait(open_now))
        task = asyncio.create_task(run(python(code, arguments=[str(count)]), None, recorder))
        sizes = [0, -1]
        while sizes[-1] != sizes[-2] or sizes[-1] == 0:  # until it no longer gets on
            assert not task.done()
            await asyncio.sleep(0.2)
            sizes.append(count.stat().st_size if count.exists() else 0)
        assert sizes[-1] < 100
        open_now.set()
        await task
        assert recorder.text() == ["x" * 9_999] * 400

    asyncio.run(main())


def test_lines_that_cannot_be_recorded_end_the_command() -> None:
    async def full(_: str) -> None:
        raise OSError("disk full")

    recorder = Recorder(on_line=full)
    with pytest.raises(OSError, match="disk full"):
        call(shell("echo 1; sleep 60"), None, recorder)
    assert recorder.everything_ended()


def test_a_line_that_cannot_be_recorded_after_the_end_is_no_success() -> None:
    async def late(_: str) -> None:
        await asyncio.to_thread(wait_until, recorder.everything_ended, "the end of the command")
        await asyncio.sleep(0.1)  # and until its exit was noticed here, too
        raise OSError("disk full")

    recorder = Recorder(on_line=late)
    with pytest.raises(OSError, match="disk full"):
        call(shell("echo 1"), None, recorder)


# --- the result -------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "kind", "value"),
    [
        ('{"a": [1, 2]}', "json", {"a": [1, 2]}),
        ('\n{"a":\n 1}\n\n', "json", {"a": 1}),
        ('reading...\n{"a": 1}\n', "json", {"a": 1}),
        ('{"a": 1}\ndone\n\n', "json", {"a": 1}),
        ("", "json", None),
        (" \n", "json", None),
        ('{"a": 1}\n{"a": 2}\r\n \n', "json", {"a": 2}),
        ('{"a": 1}\n{"a": 2}\r\n \n', "last_line_json", {"a": 2}),
        ("", "last_line_json", None),
        ("42", "last_line_json", 42),
        ("text\r\n", "text", "text\r\n"),
        ("", "text", ""),
    ],
)
def test_the_result_is_what_was_printed(output: str, kind: Any, value: Any) -> None:
    result = Result(kind)
    for byte in output.encode():
        result.feed(bytes([byte]))
    assert result.value() == value


@pytest.mark.parametrize(
    ("output", "kind"), [("no json", "json"), ("{'a': 1}", "json"), ("1\ntext", "last_line_json")]
)
def test_a_promised_result_that_is_missing_is_an_error(output: str, kind: Any) -> None:
    result = Result(kind)
    result.feed(output.encode())
    with pytest.raises(CommandResultInvalid, match="it ends with"):
        result.value()


def test_a_result_is_bounded_and_never_cut() -> None:
    def filled(kind: Any, *chunks: bytes) -> Result:
        result = Result(kind, limit=1000)
        for chunk in chunks:
            result.feed(chunk)
        return result

    noise = [b"123456789\n"] * 500
    assert filled("json", *noise, b'{"a": 1}\n').value() == {"a": 1}
    assert filled("json", b"[" + b"1," * 490 + b"1]").value() == [1] * 491
    with pytest.raises(CommandResultInvalid):  # its end would be the JSON number 9...
        filled("json", *[b"9" * 100] * 50).value()
    with pytest.raises(CommandResultInvalid, match="longer than the 1,000 bytes"):
        filled("text", *noise).value()


def test_last_line_json_keeps_a_long_last_line() -> None:
    line = json.dumps(["x" * 1000] * 1000).encode()
    result = Result("last_line_json")
    for start in range(0, len(line), 50_000):
        result.feed(b"noise\n" * 10_000 if start == 0 else b"")
        result.feed(line[start : start + 50_000])
    result.feed(b"\n\n")
    assert result.value() == ["x" * 1000] * 1000


def test_exit_codes_that_count_as_success() -> None:
    result = call(shell("echo '[1]'; exit 1", ok_exit_codes=(0, 1), result="json"))
    assert (result.value, result.exit_code) == ([1], 1)


def test_a_failure_says_what_the_command_said() -> None:
    with pytest.raises(CommandFailed, match="ended with exit code 3: last words") as caught:
        call(shell("echo first >&2; echo last words >&2; exit 3"))
    details = caught.value.details
    assert (details["exit_code"], details["signal"], details["stderr"]) == (3, None, "first\nlast words")
    with pytest.raises(CommandFailed, match="ended with signal SIGKILL") as caught:
        call(shell("kill -9 $$"))
    assert (caught.value.details["exit_code"], caught.value.details["signal"]) == (None, signal.SIGKILL)


def test_the_last_words_are_bounded() -> None:
    tail = Tail()
    tail.add(["x" * 70_000] * 100 + ["end"])
    assert str(tail).endswith("end")
    assert len(str(tail)) <= 2_000


# --- what cannot be started -------------------------------------------


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    for name in ("no-such-program", "./missing", str(tmp_path / "missing")):
        with pytest.raises(CommandNotFound, match=Path(name).name):
            call(CommandSpec(command=[name]), root=tmp_path)
    with pytest.raises(CommandNotFound, match=r"no folder .*nowhere to run true in"):
        call(CommandSpec(command=["true"], cwd="nowhere"), root=tmp_path)


def test_a_program_that_cannot_run_says_why(tmp_path: Path) -> None:
    plain, script = tmp_path / "plain", tmp_path / "script"
    plain.write_text("#!/bin/sh\n")
    with pytest.raises(CommandNotExecutable, match="plain may not be executed"):
        call(CommandSpec(command=["./plain"]), root=tmp_path)
    with pytest.raises(CommandNotExecutable, match="is a folder"):
        call(CommandSpec(command=[str(tmp_path)]))
    script.write_text("#!/no/such/python -u\n")
    script.chmod(0o755)
    with pytest.raises(CommandNotExecutable, match="needs the interpreter /no/such/python"):
        call(CommandSpec(command=["./script"]), root=tmp_path)
    with pytest.raises(CommandNotExecutable, match="plain may not be executed"):
        call(CommandSpec(command=["plain"], env={"PATH": str(tmp_path)}))


def test_the_working_folder_does_not_choose_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    planted = tmp_path / "planted-tool"
    planted.write_text("#!/bin/sh\necho owned\n")
    planted.chmod(0o755)
    for path in (".", ":/bin", "/bin:"):
        with pytest.raises(CommandNotFound, match="planted-tool is not on the PATH"):
            call(CommandSpec(command=["planted-tool"], env={"PATH": path}), root=tmp_path)


# --- ended whole ------------------------------------------------------


def test_a_timeout_ends_the_command_and_keeps_its_output() -> None:
    recorder = Recorder()
    with pytest.raises(CommandTimedOut, match=r"did not end within 0\.3 s") as caught:
        call(shell("echo before; sleep 60 & sleep 60", timeout_s=0.3), None, recorder)
    assert recorder.text() == ["before"]
    assert recorder.everything_ended()
    assert caught.value.details["signal"] == signal.SIGTERM


def cancel_when(line: str, spec: CommandSpec, *, times: int = 1) -> Recorder:
    """Run `spec`, cancel it when it has printed `line`, and return what was recorded when the cancel came through."""
    recorder = Recorder()

    async def main() -> None:
        task: asyncio.Task[Any]

        async def on_line(text: str) -> None:
            if text == line:
                for n in range(times):
                    asyncio.get_running_loop().call_later(0.05 * n, task.cancel)

        recorder._on_line = on_line
        task = asyncio.create_task(run(spec, None, recorder))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert recorder.everything_ended()

    asyncio.run(main())
    return recorder


def test_cancelling_ends_the_group_before_it_returns() -> None:
    cancel_when("ready", shell("sleep 60 & (sleep 60 & sleep 60) & echo ready; wait"))


def test_a_cancelled_command_may_finish_its_words() -> None:
    script = (
        "trap 'echo saving; sleep 0.3; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    )
    assert cancel_when("ready", shell(script)).text() == ["ready", "saving", "saved"]


def test_a_cancelled_command_that_ignores_term_is_killed() -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    started = time.monotonic()
    cancel_when("ready", shell(script, grace_s=0.3))
    assert time.monotonic() - started < WAIT_S / 2


def test_a_stopped_command_is_ended() -> None:
    cancel_when("ready", shell("echo ready; kill -STOP $$; echo never"))


def test_impatience_leaves_nothing_behind() -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    cancel_when("ready", shell(script, grace_s=0.5), times=8)


def test_a_command_is_ended_though_the_thread_pool_is_full() -> None:
    async def main() -> None:
        hold = threading.Event()
        loop = asyncio.get_running_loop()
        held = [loop.run_in_executor(None, hold.wait, WAIT_S * 2) for _ in range(64)]
        try:
            with pytest.raises(CommandTimedOut):
                async with asyncio.timeout(WAIT_S):
                    await run(shell("sleep 60", timeout_s=0.2))
        finally:
            hold.set()
            await asyncio.gather(*held)

    asyncio.run(main())


def test_ctrl_c_ends_the_command() -> None:
    code = """
        import asyncio, os
        from runstone.engine.command_spec import CommandSpec
        from runstone.engine.commands import run_command

        async def started(leader, pgid):
            pass

        async def heard(batch):
            print(*(text for _, text in batch), flush=True)

        spec = CommandSpec(command=["/bin/sh", "-c", "echo $$; sleep 60 & sleep 60"])
        asyncio.run(run_command(spec, None, on_started=started, on_lines=heard, environ=os.environ))
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        leader = identify(int(process.stdout.readline()))
        assert leader is not None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert "KeyboardInterrupt" in errors
    assert group_alive(leader) is False


def test_what_a_finished_command_left_is_ended() -> None:
    recorder = Recorder()
    started = time.monotonic()
    result = call(shell("sleep 60 & sleep 60 & echo done"), None, recorder)
    assert (result.value, result.group.outcome) == ("done\n", "ended")
    assert recorder.everything_ended()
    assert time.monotonic() - started < WAIT_S


def test_a_helper_may_finish_the_last_lines() -> None:
    recorder = Recorder()
    result = call(shell("(sleep 0.2; echo from the helper) & echo done"), None, recorder)
    assert recorder.text() == ["done", "from the helper"]
    assert result.group.outcome == "already_gone"


ESCAPE = """
    import os, sys, time
    print("done", flush=True)
    if os.fork() == 0:
        os.setsid()
        print(os.getpid(), flush=True)
        time.sleep(0.4)
        while True:
            {work}
    time.sleep(0.2)
"""


@pytest.mark.parametrize("work", ["time.sleep(60)", "os.write(1, b'x' * 1000 + bytes([10]))"])
def test_a_daemon_that_keeps_the_pipe_does_not_hold_the_run(work: str) -> None:
    recorder = Recorder()
    started = time.monotonic()
    try:
        result = call(python(ESCAPE.format(work=work)), None, recorder)
        assert result.value.startswith("done\n")
        assert time.monotonic() - started < WAIT_S
    finally:
        os.kill(int(recorder.text()[1]), signal.SIGKILL)


def test_nothing_is_held_after_many_runs() -> None:
    async def main() -> tuple[int, int]:
        await run(shell("echo warm"))
        before = len(os.listdir("/dev/fd"))
        for _ in range(5):
            await asyncio.gather(*(run(shell("cat; echo x >&2", input="stdin"), n) for n in range(8)))
        for spec in (CommandSpec(command=["missing"]), shell("exit 1"), shell("sleep 60", timeout_s=0.05)):
            with pytest.raises(Exception, match=r"missing|exit code 1|did not end"):
                await run(spec)
        return before, len(os.listdir("/dev/fd"))

    before, after = asyncio.run(main())
    assert after <= before


# --- small tools ------------------------------------------------------


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s for {what}"
        time.sleep(0.005)


async def wait(event: asyncio.Event) -> None:
    await event.wait()
