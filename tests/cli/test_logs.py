"""What a run printed comes back line by line: by stream, from a time on, the last ones, and as it is written."""

import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import runstone
from runstone.cli.arguments import seconds_of
from runstone.engine.handle import RunHandle
from runstone.testing.clock import FakeClock
from tests.cli.conftest import Shell, Typed

MINUTE = 60


class Printer(NamedTuple):
    """Writes output messages as a command's watcher does."""

    run: RunHandle
    counts: dict[str, int]

    def __call__(self, stream: str, *lines: str) -> None:
        first = self.counts.get(stream, 0) + 1
        self.counts[stream] = first + len(lines) - 1
        extra = {"stream": stream, "first_line": first, "lines": len(lines)}
        self.run.message("output", "\n".join(lines), extra=extra).result()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that printed to both streams, in three messages ten minutes apart, and said something between."""
    root = tmp_path_factory.mktemp("printed")
    clock = FakeClock()
    with runstone.open(root, clock=clock) as ledger, ledger.start_run(run_id="printing") as run:
        say = Printer(run, {})
        say("stdout", "one", "two", "")
        clock.advance(10 * MINUTE)
        say("stderr", "oh\x1b[2J no")
        run.message("assistant", "I look into it").result()
        clock.advance(10 * MINUTE)
        say("stdout", "three")
        for number in range(600):
            say("stderr", f"e{number}")
        run.complete()
    return root


@pytest.fixture
def typed(printed: Path) -> Typed:
    """Commands on that run's workspace."""
    return Typed(printed)


def log(typed: Typed, *words: str) -> list[str]:
    return typed("runs", "logs", "printing", *words).stdout.splitlines()


def test_each_line_of_output_is_a_line(typed: Typed) -> None:
    shown = log(typed)
    assert shown[:4] == ["one", "two", "", "oh\\x1b[2J no"]
    assert shown[4].endswith("assistant  I look into it")
    assert shown[5:7] == ["three", "e0"]
    assert len(shown) == 606


def test_one_stream_alone_has_its_own_lines_only(typed: Typed) -> None:
    assert log(typed, "--stream", "stdout") == ["one", "two", "", "three"]
    assert len(log(typed, "--stream", "stderr")) == 601


@pytest.mark.parametrize("last", [0, 1, 2, 600, 602, 10_000])
def test_the_last_lines_are_counted_in_lines(typed: Typed, last: int) -> None:
    whole = log(typed)
    assert log(typed, "--tail", str(last)) == (whole[-last:] if last else [])
    stdout = ["one", "two", "", "three"]
    assert log(typed, "--tail", str(last), "--stream", "stdout") == (stdout[-last:] if last else [])


def test_lines_have_their_numbers_times_and_attempt_as_json(typed: Typed) -> None:
    (first, second, *_) = [json.loads(line) for line in log(typed, "--jsonl")]
    assert {**second, "timestamp": ""} == {
        "stream": "stdout", "n": 2, "text": "two", "timestamp": "", "attempt": 1,
    }  # fmt: skip
    assert datetime.fromisoformat(first["timestamp"]).tzinfo is not None
    exact = [json.loads(line) for line in log(typed, "--jsonl", "--stream", "stderr")]
    assert exact[0]["text"] == "oh\x1b[2J no"
    assert [one["n"] for one in exact] == list(range(1, 602))
    document = json.loads("\n".join(log(typed, "--json", "--tail", "2")))
    assert [one["text"] for one in document["items"]] == ["e598", "e599"]


def test_from_a_time_on_nothing_older_is_shown(typed: Typed) -> None:
    times = {one["text"]: one["timestamp"] for one in map(json.loads, log(typed, "--jsonl"))}
    assert log(typed, "--since", times["three"])[0] == "three"
    assert log(typed, "--since", times["one"]) == log(typed)
    assert log(typed, "--since", times["three"], "--stream", "stdout") == ["three"]
    assert log(typed, "--since", times["three"], "--tail", "1") == ["e599"]
    assert log(typed, "--since", "2999-01-01") == []
    assert "nothing of the log fits" in typed("runs", "logs", "printing", "--since", "2999-01-01").stderr


def test_with_timestamps_each_line_begins_with_its_time(typed: Typed) -> None:
    time, text = log(typed, "--timestamps")[0].split("  ")
    assert text == "one"
    assert datetime.fromisoformat(time).tzinfo is not None


@pytest.mark.parametrize("since", ["soon", "", "10x", "m"])
def test_what_is_no_time_is_wrong_usage(typed: Typed, since: str) -> None:
    assert "is no time" in typed("runs", "logs", "printing", "--since", since, code=2).stderr


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172_800), ("0.5", 0.5), ("1.5h", 5400), ("", None),
     ("s", None), ("5m1h", None), ("-3s", None)],
)  # fmt: skip
def test_a_duration_is_read_as_people_type_it(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "extra", [None, [], {"stream": 1, "first_line": 1}, {"stream": "stdout", "first_line": "x"}]
)
def test_a_message_that_only_looks_like_output_is_shown_as_a_message(tmp_path: Path, extra: Any) -> None:
    with runstone.open(tmp_path) as ledger, ledger.start_run(run_id="posing") as run:
        run.message("output", "hello", extra=extra)
    for words in ((), ("--jsonl",), ("--tail", "1")):
        assert "hello" in Typed(tmp_path)("runs", "logs", "posing", *words).stdout


def test_what_is_followed_comes_as_it_is_written_and_ends_as_the_run_ends(shell: Shell) -> None:
    with runstone.open(shell.folder) as ledger:
        run = ledger.start_run(run_id="growing")
        say = Printer(run, {})
        say("stdout", "before 1", "before 2")
        process = shell.start("runs", "logs", "growing", "-f", "--tail", "1")
        assert process.stdout is not None
        assert process.stdout.readline() == "before 2\n"
        for number in range(3):
            say("stdout", f"line {number}")
            assert process.stdout.readline() == f"line {number}\n"
        run.fail("it broke").result()
        rest, err = process.communicate(timeout=30)
        assert (rest, process.returncode) == ("", 5)
        assert "the run is failed" in err


def test_who_follows_misses_nothing_of_what_is_written_at_once(shell: Shell) -> None:
    with runstone.open(shell.folder) as ledger, ledger.start_run(run_id="busy") as run:
        say = Printer(run, {})
        process = shell.start("runs", "logs", "busy", "-f", "--jsonl")
        found: list[str] = []
        assert process.stdout is not None
        reading = threading.Thread(target=found.extend, args=(process.stdout,))
        reading.start()
        for start in range(0, 2_000, 10):
            say("stdout", *(f"line {number}" for number in range(start, start + 10)))
        run.complete().result()
        reading.join(30)
        assert process.wait(30) == 0
    assert [json.loads(line)["text"] for line in found] == [f"line {number}" for number in range(2_000)]
