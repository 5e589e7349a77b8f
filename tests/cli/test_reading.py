"""Reading commands: what they print for people and for programs, and that they change nothing."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import runstone
from runstone.cli import main
from runstone.cli.exit_codes import MEANINGS
from tests.cli.conftest import Typed
from tests.cli.test_text import obeyed

READING = [
    ("runs", "list"), ("runs", "list", "--all"), ("runs", "show", "lead-run"), ("runs", "show", "clumsy-run"),
    ("runs", "tree", "lead-run"), ("runs", "events", "reader-run"), ("runs", "logs", "reader-run"),
    ("runs", "search", "needle"), ("threads", "list"), ("threads", "show", "reader-run.thread"), ("boards", "list"),
    ("boards", "show", "board-1"), ("verify",), ("usage",),
]  # fmt: skip


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_what_runs_say_is_harmless_in_every_form(typed: Typed, words: tuple[str, ...]) -> None:
    for form in ((), ("--json",), ("--jsonl",)):
        result = typed(*words, *form)
        assert obeyed(result.stdout) <= {"\n"}
        assert obeyed(result.stderr) <= {"\n"}


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_is_one_document_and_jsonl_one_value_per_line(typed: Typed, words: tuple[str, ...]) -> None:
    json.loads(typed(*words, "--json").stdout)
    for line in typed(*words, "--jsonl").stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_changes_no_byte(typed: Typed, words: tuple[str, ...]) -> None:
    database = typed.root / ".runstone" / "ledger.db"
    before = hashlib.sha256(database.read_bytes()).digest()
    typed(*words)
    assert hashlib.sha256(database.read_bytes()).digest() == before


@pytest.mark.parametrize(
    "words",
    [
        *(("runs", "list"), ("runs", "show", "x"), ("threads", "list"), ("boards", "list"), ("verify",)),
        ("runs", "stop", "x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_where_there_is_no_workspace_none_is_created(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = Typed(tmp_path)(*words, code=1)
    assert result.stderr.startswith("error: there is no Runstone workspace in")
    assert "hint: " in result.stderr
    assert result.stdout == ""
    assert os.listdir(tmp_path) == []


def test_top_level_runs_are_listed_until_a_filter_or_all_asks_for_more(typed: Typed) -> None:
    def ids(*words: str) -> set[str]:
        return {item["id"] for item in json.loads(typed("runs", "list", "--json", *words).stdout)["items"]}

    assert ids() == {"lead-run", "clumsy-run", "lost-run"}
    assert ids("--all") == {"lead-run", "reader-run", "clumsy-run", "lost-run"}
    assert ids("--parent", "lead") == {"reader-run"}
    assert ids("--agent", "reader", "--agent", "lead") == {"reader-run", "lead-run"}
    assert ids("--status", "failed", "--status", "interrupted") == {"clumsy-run", "lost-run"}
    assert ids("--bucket", "completed") == {"lead-run", "reader-run"}
    assert ids("--kind", "team_member") == {"lead-run"}


def test_a_list_is_paged_by_its_cursor(typed: Typed) -> None:
    first = json.loads(typed("runs", "list", "--all", "--limit", "3", "--json").stdout)
    rest = typed("runs", "list", "--all", "--limit", "3", "--json", "--cursor", first["next_cursor"]).stdout
    found = [item["id"] for item in (*first["items"], *json.loads(rest)["items"])]
    assert len(found) == len(set(found)) == 4
    assert json.loads(rest)["next_cursor"] is None


def test_a_list_shows_short_ids_that_are_accepted_back(typed: Typed) -> None:
    lines = typed("runs", "list", "--all").stdout.splitlines()
    short = [line.split()[0] for line in lines[1:]]
    assert sorted(short) == sorted(["lead-run", "ader-run", "umsy-run", "lost-run"])
    for word in short:
        assert json.loads(typed("runs", "show", word, "--json").stdout)["id"].endswith(word)


def test_a_part_that_fits_several_runs_or_none_is_an_error_with_a_hint(typed: Typed) -> None:
    several = typed("runs", "show", "run", code=1)
    assert "hint: type more characters" in several.stderr
    nothing = typed("runs", "show", "nobody", code=1)
    assert "hint: list what there is: runstone runs list" in nothing.stderr


def test_show_has_the_error_the_spending_and_all_that_is_recorded(typed: Typed) -> None:
    shown = typed("runs", "show", "reader-run").stdout
    for part in (
        "half way",
        "grep 1 (1 failed)",
        "$0.50",
        "p/m",
        "reader-run.thread",
        "read all",
        "Attempts",
        "1,000",
    ):
        assert part in shown
    assert "fell \\x1b[2J over" in typed("runs", "show", "clumsy-run").stdout
    document = json.loads(typed("runs", "show", "reader-run", "--json").stdout)
    assert document["result"] == {"answer": "\u202e42"}
    assert document["telemetry"]["own"]["cost_usd"] == 0.5
    assert [one["label"] for one in document["checkpoints"]] == ["half way"]
    assert len(document["attempts"]) == 1


def test_events_are_paged_and_logs_are_the_messages(typed: Typed) -> None:
    page = json.loads(typed("runs", "events", "reader-run", "--limit", "2", "--json").stdout)
    assert [event["seq"] for event in page["items"]] == [1, 2]
    later = json.loads(
        typed("runs", "events", "reader-run", "--after", str(page["next_cursor"]), "--json").stdout
    )
    assert later["items"][0]["seq"] == 3
    logs = typed("runs", "logs", "reader-run").stdout.splitlines()
    assert [re.sub(r"^\d\d:\d\d:\d\d  assistant  ", "", line).strip() for line in logs] == [
        "first line", "second \\x1b]0;title\\x07 line", "last",
    ]  # fmt: skip
    assert len(typed("runs", "logs", "reader-run", "--tail", "1").stdout.splitlines()) == 1


def test_a_run_without_messages_and_an_empty_list_say_what_to_type(typed: Typed) -> None:
    assert "runstone runs events lead-run" in typed("runs", "logs", "lead-run").stderr
    assert typed("runs", "list", "--status", "paused").stderr == "no run fits\n"
    assert typed("runs", "list", "--status", "paused", "--quiet").stderr == ""


def test_a_board_shows_its_cards_with_their_runs(typed: Typed) -> None:
    shown = typed("boards", "show", "board-1").stdout
    assert "First \\x1b[2Jcard" in shown
    assert "lead-run" in shown


def test_global_options_are_taken_before_and_after_the_command(typed: Typed) -> None:
    after = typed("runs", "list", "--json").stdout
    assert typed("--json", "runs", "list").stdout == typed("runs", "--json", "list").stdout == after


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        (("runs", "list", "--json", "--jsonl"), "exclude each other"),
        (("runs", "list", "--limit", "0"), "--limit"),
        (("runs", "nonsense"), "nonsense"),
        (("nonsense",), "nonsense"),
        (("resume",), "name a run, or give --all"),
        (("resume", "lead-run", "--all"), "exclude each other"),
        (("runs", "events", "lead-run", "-f", "--json"), "--jsonl"),
        (("runs", "rm", "lead-run"), "--yes"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_hint(typed: Typed, words: tuple[str, ...], detail: str) -> None:
    result = typed(*words, code=2)
    assert detail in result.stderr
    assert result.stdout == ""


def test_errors_are_problems_where_json_was_asked_for(typed: Typed) -> None:
    problem = json.loads(typed("--json", "runs", "show", "nobody", code=1).stderr)
    assert problem["type"] == "urn:runstone:error:not_found"
    assert problem["code"] == "not_found"
    assert {"title", "detail", "hint"} <= problem.keys()
    usage = json.loads(typed("runs", "list", "--limit", "0", "--jsonl", code=2).stderr)
    assert usage["code"] == "usage"


def test_verify_is_clean_and_help_names_every_exit_code(typed: Typed) -> None:
    assert json.loads(typed("verify", "--json").stdout)["findings"] == []
    shown = typed("--help").stdout
    for code, meaning in MEANINGS.items():
        assert re.search(rf"^\s+{code}\s+{re.escape(meaning)}$", shown, re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(typed: Typed, shell: str) -> None:
    assert "_RUNSTONE_COMPLETE" in typed("completion", shell).stdout


def test_an_interrupted_run_is_never_shown_as_failed_or_running(typed: Typed) -> None:
    assert "↯ interrupted" in typed("runs", "show", "lost-run").stdout


def test_reading_loads_nothing_that_only_a_terminal_needs(recorded: Path) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "runstone",
        "--workspace",
        str(recorded),
        "runs",
        "list",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(re.findall(r"^import time:.*\|\s*([a-z]+)\S*$", done.stderr, re.MULTILINE))
    assert "runstone" in loaded
    assert loaded & {"rich", "platformdirs", "pygments"} == set()


def test_a_paused_run_is_settled_for_who_watches_it(recorded: Path) -> None:
    with runstone.open(recorded) as ledger, ledger.start_run(run_id="paused-run") as run:
        run.pause(state={"n": 1}, reason="lunch")
    typed = Typed(recorded)
    assert "lunch" in typed("runs", "watch", "paused-run", code=5).stdout
    assert "the run is paused; go on with it" in typed("runs", "logs", "paused-run", "-f", code=5).stderr


def test_every_command_has_help_and_takes_the_global_options() -> None:
    def walk(command: object, path: str) -> None:
        names = {name for param in command.params for name in param.opts}  # type: ignore[attr-defined]
        assert {"--json", "--jsonl", "--workspace", "--no-color", "--quiet"} <= names, path
        assert command.help, path  # type: ignore[attr-defined]
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")

    walk(main, "runstone")
