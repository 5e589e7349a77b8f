"""Questions at the command line: what is asked, answering it, and scripts that ask."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.cli import questions
from runstone.domain.inputs import InputRequest
from runstone.errors import InvalidAnswer
from runstone.testing.clock import FakeClock
from tests.cli.conftest import Shell, Typed
from tests.cli.records import NOW
from tests.cli.test_terminal import Window

ASKER = """
import runstone

@runstone.workflow("asker", version="1")
async def asker(ctx, input):
    return await ctx.ask("Which \\x1b[2Jbranch?", choices=["main", "dev"], reason="to publish")

@runstone.workflow("crew", version="1")
async def crew(ctx, input):
    return await ctx.child("asker")
"""


def asked(**fields: Any) -> InputRequest:
    """A question made by hand."""
    base: dict[str, Any] = {
        "id": "01890000-0000-7000-8000-0000000000aa", "run_id": "r", "attempt": 1, "key": None, "reason": None,
        "message": "Which?", "response_schema": None, "choices": None, "default": None, "expires_at": None,
        "status": "open", "response": None, "answered_by": None, "answered_at": None, "asked_at": NOW,
        "closed_at": None,
    }  # fmt: skip
    return InputRequest(**(base | fields))


# --- what is typed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "typed", "value"),
    [
        ({}, "main", "main"), ({}, "5", "5"), ({"choices": ("main", 2)}, "main", "main"),
        ({"choices": ("main", 2)}, "2", 2),
        ({"choices": (True,)}, "true", True), ({"choices": ("main",)}, "other", "other"),
        ({"response_schema": {"type": "integer"}}, "5", 5), ({"response_schema": {"type": "string"}}, "5", "5"),
        ({"response_schema": {"type": ["string", "null"]}}, "null", "null"),
        ({"response_schema": {"type": "object"}}, '{"a": 1}', {"a": 1}), ({"response_schema": {}}, "5", "5"),
    ],
)  # fmt: skip
def test_what_is_typed_is_read_as_the_question_asks(fields: dict[str, Any], typed: str, value: Any) -> None:
    assert questions.value_of(asked(**fields), typed) == value


def test_a_number_at_the_prompt_is_a_choice_unless_it_is_one_itself() -> None:
    three = asked(choices=("main", "dev", "1"))
    assert questions.typed_at_prompt(three, "2") == "dev"
    assert questions.typed_at_prompt(three, "1") == "1"
    assert questions.typed_at_prompt(three, "main") == "main"
    with pytest.raises(InvalidAnswer):
        questions.typed_at_prompt(three, "9")
    with pytest.raises(InvalidAnswer, match="no choices"):
        questions.numbered(asked(), 1)
    with pytest.raises(InvalidAnswer, match="JSON"):
        questions.value_of(asked(response_schema={"type": "integer"}), "five")


# --- commands -------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(tmp_path: Path) -> Typed:
    """A workspace with one open question, of a run of its own loop."""
    with runstone.open(tmp_path) as ledger, ledger.start_run(run_id="loop-run", title="Loop") as run:
        run.ask(
            "Which \x1b[2Jbranch?",
            choices=["main", "dev"],
            reason="to publish",
            expires_s=3600,
            default="dev",
        )
    return Typed(tmp_path)


def only(typed: Typed) -> dict[str, Any]:
    (one,) = json.loads(typed("inputs", "list", "--status", "all", "--json").stdout)["items"]
    assert isinstance(one, dict)
    return one


def test_a_question_is_listed_shown_and_answered_by_any_part_of_its_id(asking: Typed) -> None:
    one = only(asking)
    short = one["id"][-8:]
    listed = asking("inputs", "list").stdout
    assert short in listed
    assert "main | dev" in listed
    shown = asking("inputs", "show", short).stdout
    for text in ("to publish", "then taken as", "1)", "main", "2)", "dev", "loop-run"):
        assert text in shown
    assert "\x1b" not in shown + listed
    assert "Which" in asking("runs", "list").stdout
    assert "[input" in asking("runs", "tree", "loop-run").stdout
    assert "Questions" in asking("runs", "show", "loop-run").stdout
    assert asking("inputs", "wait", short, "--timeout", "0", code=6).stdout == ""
    assert "runstone inputs answer" in asking("resume", "loop-run", code=6).stderr
    said = asking("inputs", "answer", short, "--choice", "2", "--by", "ana")
    assert said.stdout.split() == [short, "✓", "answered", "dev"]
    assert (only(asking)["response"], only(asking)["answered_by"]) == ("dev", "ana")
    assert asking("inputs", "wait", short).stdout == "dev\n"
    assert "nobody is asked" in asking("inputs", "list").stderr
    assert asking("runs", "list", "--bucket", "needs_input").stdout == ""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("inputs", "answer", "{id}", "other"), 1, "must be one of main, dev"),
        (("inputs", "answer", "{id}", "--choice", "3"), 1, "no choice 3"),
        (("inputs", "answer", "{id}", "--choice", "0"), 2, "--choice"),
        (("inputs", "answer", "{id}", "--json-value", "{{"), 2, "no JSON"),
        (("inputs", "answer", "{id}", "--json-value", '["main"]'), 1, "must be one of"),
        (("inputs", "answer", "{id}", "main", "--choice", "1"), 2, "exclude each other"),
        (("inputs", "answer", "{id}"), 2, "nobody to ask"),
        (("inputs", "answer", "nothing", "main"), 1, "no input request nothing"),
        (("inputs", "show", "nothing"), 1, "runstone inputs list"),
        (("inputs", "wait"), 2, "name an input request"),
        (("inputs", "wait", "--run", "nothing"), 1, "no run nothing"),
        (("inputs", "list", "--status", "late"), 2, "late"),
        (("inputs", "list", "--cursor", "x"), 1, "cursor"),
        (("ask", "Which?", "--run", "loop-run"), 1, "only a running one asks"),
        (("ask", "Which?", "--run", "nothing"), 1, "no run nothing"),
        (("ask", " ", "--run", "loop-run"), 1, "a question is text"),
        (("ask", "Which?"), 2, "runstone exec"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    asking: Typed, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, told: str
) -> None:
    monkeypatch.delenv("RUNSTONE_RUN_ID", raising=False)
    before = only(asking)
    said = asking(*(word.format(id=before["id"]) for word in words), code=code)
    assert told in said.stderr
    assert only(asking) == before


def test_a_second_answer_is_shown_the_first(asking: Typed) -> None:
    input_id = only(asking)["id"]
    asking("inputs", "answer", input_id, "main", "--by", "ana")
    asking("inputs", "answer", input_id, "main", "--by", "bo")
    said = asking("inputs", "answer", input_id, "dev", "--by", "bo", code=1)
    assert 'by ana already: "main"' in said.stderr
    assert f"runstone inputs show {input_id}" in said.stderr


def test_a_run_whose_question_nobody_answered_says_so_before_anybody_goes_on(tmp_path: Path) -> None:
    clock = FakeClock()  # long ago
    with (
        runstone.open(tmp_path, clock=clock) as ledger,
        ledger.start_run(run_id="late", agent_id="a") as run,
    ):
        run.ask("Now?", expires_s=5)
    typed = Typed(tmp_path)
    for words in (("runs", "list"), ("runs", "tree", "late")):
        assert "nobody answered in time; go on: runstone resume late" in typed(*words).stdout
    assert "expired" in typed("runs", "show", "late").stdout
    assert typed("inputs", "list").stdout == ""
    with runstone.open(tmp_path):  # writes down what has become of it
        assert "nobody answered" not in typed("runs", "list").stdout


def test_a_noun_without_a_verb_shows_its_commands_as_they_are_laid_out(asking: Typed) -> None:
    said = asking("inputs", code=2)
    assert said.stdout == ""
    assert said.stderr.startswith("Usage: ")
    assert "\n  answer  Answer the question INPUT.\n" in said.stderr


# --- in processes of their own --------------------------------------------------------------------------------------


@pytest.fixture
def crew(shell: Shell) -> Shell:
    """A folder with workflows that ask, and a command that does."""
    (shell.folder / "crew.py").write_text(ASKER)
    script = 'answer=$(runstone ask \'Ready?\' --choice yes --choice no) || exit; echo "\\"$answer\\""'
    (shell.folder / "ask.sh").write_text(script)
    toml = 'modules = ["crew"]\n[agents.script]\ncommand = ["sh", "{workspace}/ask.sh"]\n'
    (shell.folder / "runstone.toml").write_text(toml.replace("{workspace}", str(shell.folder)))
    bin_ = shell.folder / "bin"
    bin_.mkdir()
    (bin_ / "runstone").write_text(f'#!/bin/sh\nexec {sys.executable} -m runstone "$@"\n')
    (bin_ / "runstone").chmod(0o755)
    shell.env["PATH"] = f"{bin_}:{shell.env['PATH']}"
    return shell


def test_a_run_that_asks_ends_with_six_and_goes_on_once_it_is_answered(crew: Shell) -> None:
    said = crew("run", "asker", "--id", "job", "--trust", code=6)
    assert "runstone inputs answer" in said.err
    assert "resume job" in said.err
    again = crew("resume", "job", code=6)
    assert "Which" in again.err
    assert crew("runs", "show", "job", "--json").json["attempt"] == 1
    assert crew("runs", "watch", "job", code=6)
    input_id = crew("inputs", "list", "--jsonl").jsonl[0]["id"]
    crew("inputs", "answer", input_id, "main")
    assert crew("resume", "job").out == "main\n"


def test_resume_all_goes_on_with_what_was_answered_and_leaves_the_rest(crew: Shell) -> None:
    crew("run", "crew", "--id", "answered", "--trust", code=6)
    assert crew("runs", "show", "answered", "--json").json["status"] == "waiting"
    crew("runs", "watch", "answered", code=6)  # its child asks
    (one,) = crew("inputs", "list", "--jsonl").jsonl
    crew("run", "asker", "--id", "open", code=6)
    crew("inputs", "answer", one["id"], "--choice", "1")
    said = crew("resume", "--all", "--jsonl")
    assert [(line["run"]["id"], line["result"]) for line in said.jsonl] == [("answered", "main")]
    assert crew("runs", "show", "open", "--json").json["attempt"] == 1


def test_a_script_asks_in_the_name_of_its_run_and_gets_the_answer(crew: Shell) -> None:
    run = crew.start("run", "script", "--id", "job", "--trust")
    end = time.monotonic() + 60
    found: list[Any] = []
    while not found and time.monotonic() < end:
        if (crew.folder / ".runstone" / "ledger.db").exists():
            found = crew("inputs", "list", "--jsonl").jsonl
    assert crew("runs", "show", "job", "--json").json["status"] == "running"
    assert crew("runs", "list", "--bucket", "needs_input", "--jsonl").jsonl[0]["id"] == "job"
    crew("inputs", "answer", found[0]["id"], "yes")
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (0, "yes\n"), err


def test_on_a_terminal_the_question_is_shown_with_its_choices_and_asked(crew: Shell) -> None:
    crew("run", "asker", "--id", "job", "--trust", code=6)
    (one,) = crew("inputs", "list", "--jsonl").jsonl
    window = Window(crew, "inputs", "answer", one["id"][-8:])
    window.until("2)  dev")
    window.until("Answer (1 to 2, or the text):")
    window.type("7\n")
    window.until("no choice 7")
    window.type("2\n")
    assert window.end() == 0
    assert crew("inputs", "wait", one["id"]).out == "dev\n"
