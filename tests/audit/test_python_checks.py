"""The parsers read what the installed tools really print, and refuse what they do not know."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from runstone.audit import cross_check, python_checks
from runstone.audit.processes import find_tool
from runstone.audit.records import Finding

FAULTY = b"""import os
from sys import (
    path,
    argv,
)


def tangled(a, b, c):
    if a:
        return 1
    if b:
        return 2
    if c:
        return 3
    for x in a:
        while x:
            if b and c:
                break
            if a or b:
                continue
            x -= 1
    try:
        return path
    except ValueError:
        return undefined
"""


def run(tool: str, arguments: list[str], data: bytes) -> bytes:
    program = sys.executable if tool == "compile" else find_tool(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run(
        [program, *arguments], input=data, capture_output=True, check=False, timeout=60
    ).stdout


def ruff(data: bytes, path: str = "a.py") -> list[Finding]:
    return python_checks.parse_ruff(run("ruff", python_checks.ruff_arguments(path), data))


def places(findings: list[Finding]) -> list[tuple[str, int]]:
    return [(finding["rule"], finding["line"]) for finding in findings]


def test_ruff_names_every_planted_fault() -> None:
    assert places(ruff(FAULTY)) == [("F401", 1), ("F401", 4), ("F821", 25)]


def test_a_package_file_is_judged_as_one() -> None:
    assert python_checks.safe_name("a/__init__.py") == "__init__.py"
    assert python_checks.safe_name("--config=x.pyi") == "module.pyi"
    assert python_checks.safe_name("-rf\n.py") == "module.py"


def test_radon_measures_functions_methods_and_closures() -> None:
    source = b"class A:\n    def m(self):\n        def inner():\n            pass\n        return inner\n"
    blocks = python_checks.parse_radon(run("radon", python_checks.radon_arguments(), source))
    assert [(block["name"], block["line"]) for block in blocks] == [("A.m", 2), ("m.inner", 3)]


def test_a_complex_function_is_a_finding_that_ruff_can_judge() -> None:
    source = b"import os\n\n\ndef tangled(a):\n" + b"    if a:\n        os.abort()\n" * 15
    blocks = python_checks.parse_radon(run("radon", python_checks.radon_arguments(), source))
    found = python_checks.complex_functions(blocks)
    assert places(found) == [("complex-function", 4)]
    arguments = python_checks.ruff_arguments("a.py", rules="C901", options=cross_check.COMPLEXITY_OPTIONS)
    second = python_checks.parse_ruff(run("ruff", arguments, source))
    verdicts, unseen = cross_check.judge(found, cross_check.covered_by_ruff, second)
    assert ([item["verdict"] for item in verdicts], unseen) == (["confirmed"], [])


@pytest.mark.parametrize(
    ("source", "rule", "line"),
    [
        (b"def f(:\n", "syntax-error", 1),
        (b"x = 1\nreturn x\n", "syntax-error", 2),
        (b"x = 1\0\n", "syntax-error", None),
        (b"# coding: no-such-codec\n", "syntax-error", 0),
        (b"x = '\xff'\n", "syntax-error", None),
        (b"x = 1 is 1\n", "compile-warning", 1),
        (b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", None, None),
        (b"x = 1\n", None, None),
    ],
)
def test_the_compile_check_says_what_the_interpreter_would(
    source: bytes, rule: str | None, line: int | None
) -> None:
    found = python_checks.parse_compile(run("compile", python_checks.compile_arguments(), source))
    if rule is not None:
        assert found[0]["rule"] == rule
        assert line is None or found[0]["line"] == line


def test_the_compile_check_executes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    mark = tmp_path_factory.mktemp("executed") / "mark"
    source = f"open({str(mark)!r}, 'w').close()\nraise SystemExit(3)\n".encode()
    assert python_checks.parse_compile(run("compile", python_checks.compile_arguments(), source)) == []
    assert not mark.exists()


def test_pyflakes_confirms_what_it_covers_and_knows_the_statement_of_an_import() -> None:
    second = cross_check.parse_pyflakes(run("pyflakes", [], FAULTY))
    verdicts, unseen = cross_check.judge(ruff(FAULTY), cross_check.covered_by_pyflakes, second)
    assert [(*place, item["verdict"]) for place, item in zip(places(verdicts), verdicts, strict=True)] == [
        ("F401", 1, "confirmed"),
        ("F401", 4, "confirmed"),
        ("F821", 25, "confirmed"),
    ]
    assert unseen == []


def test_every_rule_that_is_said_to_be_covered_is_confirmed_for_real() -> None:
    source = b"""from a import *
import b
for b in []: pass
def f():
    x = 1
    y: int
    print(f"z", z)
    print("%s %s" % (1,), "{}".format(1, 2), "{} {}".format(1))
    return {1: 1, 1: 2}, 1 is 1
assert (1, "m")
if (1, 2): pass
def f(): raise NotImplemented
__all__ = ["missing"]
"""
    first = [item for item in ruff(source) if cross_check.covered_by_pyflakes(item)]
    second = cross_check.parse_pyflakes(run("pyflakes", [], source))
    verdicts, _ = cross_check.judge(first, cross_check.covered_by_pyflakes, second)
    assert [
        place for place, item in zip(places(first), verdicts, strict=True) if item["verdict"] != "confirmed"
    ] == []
    assert len({item["rule"] for item in first}) >= 12
    assert "pyflakes" not in {item["rule"] for item in second}, (
        "a message of pyflakes has no rule in the table"
    )


def test_a_finding_that_the_second_tool_denies_is_not_confirmed() -> None:
    first = python_checks.finding("ruff", "F401", (3, 1), "`os` imported but unused")
    same_rule_elsewhere = python_checks.finding("pyflakes", "F401", (9, 1), "'os' imported but unused")
    verdicts, unseen = cross_check.judge([first], cross_check.covered_by_pyflakes, [same_rule_elsewhere])
    assert verdicts[0]["verdict"] == "not confirmed"
    assert unseen == [same_rule_elsewhere]


def test_lines_with_noqa_are_not_reported_by_the_second_tool() -> None:
    source = b"import os  # noqa: F401\nimport re\n"
    second = cross_check.parse_pyflakes(run("pyflakes", [], source))
    assert places(cross_check.without_silenced(second, source)) == [("F401", 2)]


def test_two_refusals_of_the_syntax_confirm_each_other() -> None:
    source = b"def f(:\n"
    first = ruff(source) + python_checks.parse_compile(
        run("compile", python_checks.compile_arguments(), source)
    )
    assert {(item["tool"], item["verdict"]) for item in cross_check.judge_syntax(first)} == {
        ("ruff", "confirmed"),
        ("compile", "confirmed"),
    }
    assert {item["verdict"] for item in cross_check.judge_syntax(first[:1])} == {"not confirmed"}


def test_git_confirms_text_findings() -> None:
    data = b"one \n<<<<<<< mine\na\n=======\nb\n>>>>>>> theirs\n\n\n"
    found = cross_check.parse_git_check(run("git", cross_check.git_check_arguments(), data))
    assert places(found) == [
        ("trailing-whitespace", 1),
        ("conflict-marker", 2),
        ("conflict-marker", 4),
        ("conflict-marker", 6),
    ]
    assert cross_check.parse_git_check(run("git", cross_check.git_check_arguments(), b"clean\n")) == []


@pytest.mark.parametrize(
    ("parse", "output"),
    [
        (python_checks.parse_ruff, b""),
        (python_checks.parse_ruff, b"{}"),
        (python_checks.parse_ruff, b'[{"code": "F401"}]'),
        (python_checks.parse_radon, b"[]"),
        (python_checks.parse_radon, b'{"-": {"error": "invalid syntax"}}'),
        (python_checks.parse_radon, b'{"-": [{"type": "function"}]}'),
        (python_checks.parse_compile, b"Traceback"),
        (cross_check.parse_git_check, b"something else\n"),
    ],
)
def test_output_of_an_unknown_form_is_an_error_and_not_an_empty_answer(
    parse: Callable[[bytes], Any], output: bytes
) -> None:
    with pytest.raises(python_checks.UnknownOutput):
        parse(output)


def test_a_message_is_bounded_and_well_formed() -> None:
    found = python_checks.finding("ruff", "F401", (1, 1), "\ud800" + "x" * 1000)
    assert len(found["message"]) == python_checks.MAX_MESSAGE
    found["message"].encode("utf-8")
