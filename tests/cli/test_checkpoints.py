"""`runs checkpoints | state | diff-state`: harmless in every form, one JSON document, and nothing goes unasked."""

import json
from pathlib import Path

import pytest

import runstone
from tests.cli.conftest import Typed
from tests.cli.test_text import obeyed

HOSTILE = "\x1b[2Jgone\r\u202edrow"


@pytest.fixture
def saved(tmp_path: Path) -> Typed:
    with runstone.open(tmp_path) as ledger, ledger.start_run(run_id="saver") as run:
        for number in range(1, 5):
            text = f"{HOSTILE}\0\nline {number}\n" + "the same\n" * 20
            state = {"text": text, HOSTILE: number, "items": list(range(number))}
            run.checkpoint(state, label=HOSTILE if number == 2 else None)
    return Typed(tmp_path)


@pytest.mark.parametrize(
    "words", [("checkpoints", "saver"), ("state", "saver"), ("diff-state", "saver@1", "@3")], ids=" ".join
)
def test_saved_text_is_harmless_in_every_form(saved: Typed, words: tuple[str, ...]) -> None:
    for form in ((), ("--json",), ("--jsonl",)):
        result = saved("runs", *words, *form)
        assert obeyed(result.stdout) <= {"\n"}
        assert obeyed(result.stderr) <= {"\n"}
    json.loads(saved("runs", *words, "--json").stdout)


def test_a_difference_is_told_by_signs_without_colours(saved: Typed) -> None:
    lines = saved("runs", "diff-state", "saver").stdout.splitlines()
    assert "    -line 3" in lines
    assert "    +line 4" in lines
    assert "+ /items/3: 3" in lines
    found = json.loads(saved("runs", "diff-state", "saver@2", "@4", "--json").stdout)
    assert (found["before"], found["after"]) == ("saver@2", "saver@4")
    assert found["counts"] == {"changed": 2, "added": 2}
    assert saved("runs", "diff-state", "saver@2", "saver@2").stdout == ""


def test_nothing_is_removed_unless_somebody_says_so(saved: Typed) -> None:
    def numbers() -> list[int]:
        return [
            one["number"]
            for one in json.loads(saved("runs", "checkpoints", "saver", "--json").stdout)["items"]
        ]

    said = json.loads(saved("runs", "checkpoints", "saver", "--keep", "1", "--dry-run", "--json").stdout)
    assert (said["dry_run"], said["removed"], said["kept"]) == (True, [1, 3], 2)
    assert "nobody to ask" in saved("runs", "checkpoints", "saver", "--keep", "1", code=2).stderr
    assert "--keep N" in saved("runs", "checkpoints", "saver", "--yes", code=2).stderr
    assert numbers() == [1, 2, 3, 4]
    saved("runs", "checkpoints", "saver", "--keep", "1", "--yes")
    assert numbers() == [2, 4]
    saved("runs", "checkpoints", "saver", "--keep", "1", "--labelled-too", "--yes")
    assert numbers() == [4]
    assert "no checkpoint 2" in saved("runs", "state", "saver", "--number", "2", code=1).stderr
    assert "is the first" in saved("runs", "diff-state", "saver", code=2).stderr
