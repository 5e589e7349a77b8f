"""The second pass: another tool looks at the same bytes, and every finding of the first pass gets a verdict.

Which second tool can confirm which first one:

    ruff F...               pyflakes            says the same about the same line or name
    radon complex-function  ruff C901           measures the same function
    ruff invalid-syntax     compile             the interpreter refuses the file, too (and vice versa)
    text (two rules)        git diff --check    finds the same line

A finding that no second tool covers says so. Matching is pure; running is the workflow's work.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from runstone.audit.git_tree import SAFE_GIT
from runstone.audit.python_checks import UnknownOutput, finding
from runstone.audit.records import Finding

GIT_RULES = {"trailing-whitespace": "trailing whitespace.", "conflict-marker": "leftover conflict marker"}
SYNTAX = {("ruff", "invalid-syntax"), ("compile", "syntax-error")}
MCCABE = 10
MAX_STATEMENT = 100  # lines of one import statement; a name seen again farther away is another statement
COMPLEXITY_OPTIONS = ("--config", f"lint.mccabe.max-complexity={MCCABE}")

# pyflakes prints sentences and no rule names; ruff's F rules are the same checks by number.
_PYFLAKES_RULES = [
    ("F403", r"'.*import \*' used"),
    ("F405", r"may be undefined, or defined from star imports"),
    ("F402", r"import .* shadowed by loop variable"),
    ("F401", r"imported but unused"),
    ("F404", r"from __future__ imports must occur"),
    ("F407", r"future feature not defined"),
    ("F811", r"redefinition of unused"),
    ("F841", r"local variable .* is assigned to but never used"),
    ("F842", r"local variable .* is annotated but never used"),
    ("F822", r"undefined name .* in __all__"),
    ("F823", r"local variable .* referenced before assignment"),
    ("F821", r"undefined name"),
    ("F541", r"f-string is missing placeholders"),
    ("F632", r"use ==/!= to compare"),
    ("F601", r"dictionary key .* repeated with different values"),
    ("F631", r"assertion is always true"),
    ("F634", r"'if tuple literal' is always true"),
    ("F633", r"use of >> is invalid with print function"),
    ("F824", r"`(?:global|nonlocal) .*` is unused"),
    ("F501", r"'\.\.\.' % \.\.\. has invalid format string"),
    ("F502", r"'\.\.\.' % \.\.\. expected mapping"),
    ("F503", r"'\.\.\.' % \.\.\. expected sequence"),
    ("F504", r"'\.\.\.' % \.\.\. has unused named argument"),
    ("F505", r"'\.\.\.' % \.\.\. is missing argument"),
    ("F506", r"'\.\.\.' % \.\.\. has mixed positional and named"),
    ("F507", r"'\.\.\.' % \.\.\. has .* placeholder"),
    ("F509", r"'\.\.\.' % \.\.\. has unsupported format character"),
    ("F521", r"'\.\.\.'\.format\(\.\.\.\) has invalid format string"),
    ("F522", r"'\.\.\.'\.format\(\.\.\.\) has unused named argument"),
    ("F523", r"'\.\.\.'\.format\(\.\.\.\) has unused arguments"),
    ("F524", r"'\.\.\.'\.format\(\.\.\.\) is missing argument"),
    ("F525", r"'\.\.\.'\.format\(\.\.\.\) mixes automatic and manual"),
    ("F702", r"'continue' not properly in loop"),
    ("F701", r"'break' outside loop"),
    ("F704", r"'yield' outside function"),
    ("F706", r"'return' outside function"),
    ("F707", r"an 'except:' block as not the last"),
    ("F722", r"syntax error in forward annotation"),
    ("F901", r"'raise NotImplemented' should be"),
]
_COMPILED = [(rule, re.compile(pattern)) for rule, pattern in _PYFLAKES_RULES]
PYFLAKES_COVERS = frozenset(rule for rule, _ in _PYFLAKES_RULES)
_PYFLAKES_LINE = re.compile(r"<stdin>:(\d+):(?:(\d+):?)? (.*)")
_GIT_LINE = re.compile(r"-?:(\d+): (.*)")
_NAME = re.compile(r"[`'\"]([^`'\"]+)[`'\"]")
_NOQA = re.compile(rb"#\s*(?:noqa\b|ruff:\s*noqa\b)", re.IGNORECASE)


def git_check_arguments() -> list[str]:
    """Arguments after `git` that check bytes on standard input as if all of them had just been added."""
    whitespace = "core.whitespace=blank-at-eol,-blank-at-eof,-space-before-tab,cr-at-eol"
    return [
        *SAFE_GIT,
        "-c",
        whitespace,
        "diff",
        "--no-index",
        "--no-ext-diff",
        "--no-textconv",
        "--check",
        "--",
        "/dev/null",
        "-",
    ]


def parse_pyflakes(output: bytes) -> list[Finding]:
    """A finding for each `<stdin>:LINE:COLUMN: MESSAGE`; one without a ruff number has rule `pyflakes`."""
    found: list[Finding] = []
    for line in output.decode("utf-8", "replace").splitlines():
        if match := _PYFLAKES_LINE.match(line):
            message = match[3]
            rule = next((rule for rule, pattern in _COMPILED if pattern.search(message)), "pyflakes")
            found.append(finding("pyflakes", rule, (int(match[1]), int(match[2] or 0)), message))
    return found


def parse_git_check(output: bytes) -> list[Finding]:
    """Source: `git diff --check`; lines that quote the file are skipped."""
    rules = {sentence: rule for rule, sentence in GIT_RULES.items()}
    found: list[Finding] = []
    for line in output.decode("utf-8", "replace").split("\n"):
        match = _GIT_LINE.match(line)
        if match and match[2] in rules:
            found.append(finding("git", rules[match[2]], (int(match[1]), 1), match[2]))
    if output and not found:
        raise UnknownOutput("git diff --check printed nothing of the known form")
    return found


def judge(
    first: Iterable[Finding], covers: Callable[[Finding], bool], second: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """(the covered findings with a verdict each, what only the second tool saw). Others are left out."""
    verdicts: list[Finding] = []
    unseen = list(second)
    for item in first:
        if not covers(item):
            continue
        partner = next((other for other in second if _same(item, other)), None)
        unseen = [other for other in unseen if not _same(item, other)]
        verdicts.append(item | {"verdict": "not confirmed" if partner is None else "confirmed"})
    return verdicts, unseen


def covered_by_pyflakes(item: Finding) -> bool:
    """A ruff finding that pyflakes could have made."""
    return item["tool"] == "ruff" and item["rule"] in PYFLAKES_COVERS


def covered_by_ruff(item: Finding) -> bool:
    """A complexity finding of radon."""
    return item["rule"] == "complex-function"


def covered_by_git(item: Finding) -> bool:
    """A finding of the text check that `git diff --check` looks for, too."""
    return item["tool"] == "text" and item["rule"] in GIT_RULES


def judge_syntax(first: Sequence[Finding]) -> list[Finding]:
    """Syntax findings of ruff and of the interpreter confirm each other: both refuse this file."""
    tools = {item["tool"] for item in first if (item["tool"], item["rule"]) in SYNTAX}
    verdict = "confirmed" if len(tools) == 2 else "not confirmed"
    return [item | {"verdict": verdict} for item in first if (item["tool"], item["rule"]) in SYNTAX]  # type: ignore[misc]


def without_silenced(second: Iterable[Finding], data: bytes) -> list[Finding]:
    """Without the lines whose author wrote `noqa`: ruff honours that, pyflakes does not know it."""
    lines = data.split(b"\n")
    return [
        item
        for item in second
        if not (0 < item["line"] <= len(lines) and _NOQA.search(lines[item["line"] - 1]))
    ]


def _same(first: Finding, second: Finding) -> bool:
    if covered_by_ruff(first):
        return second["rule"] == "C901" and first["line"] == second["line"]
    if first["rule"] != second["rule"]:
        return False
    # In an import over several lines ruff points at the name, pyflakes at the statement: the name decides.
    distance = first["line"] - second["line"]
    return distance == 0 or (0 < distance <= MAX_STATEMENT and bool(_names(first) & _names(second)))


def _names(item: Finding) -> set[str]:
    return {name.rpartition(".")[2] for name in _NAME.findall(item["message"])}
