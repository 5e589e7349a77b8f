"""The first pass over a Python file: what ruff, radon and the compile check get, parsers of what they say.

All three read the file's bytes from standard input: no name and no setting of the repository reaches a tool.
"""

import json
import sys
from typing import Any

from runstone.audit.records import Block, Finding, Severity

RUFF_RULES = "E4,E7,E9,F,B,PLE"
# radon counts boolean operators and comprehensions as branches, too, so its bound is above McCabe's 10, ruff's own.
COMPLEX = 15
MAX_MESSAGE = 300  # characters; a message may quote the file
_ERROR_RULES = ("E9", "F50", "F63", "F7", "F82", "PLE", "invalid-syntax")

# compile() parses and checks; nothing of the file is executed, and nothing is written.
_COMPILE_CODE = """
import json, sys, warnings
data = sys.stdin.buffer.read()
found = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        compile(data, "<file>", "exec", dont_inherit=True)
    except SyntaxError as error:
        found.append(["syntax-error", error.lineno or 0, error.offset or 0, "error", str(error.msg)])
    except ValueError as error:
        found.append(["syntax-error", 0, 0, "error", str(error)])
    except (RecursionError, MemoryError) as error:
        found.append(["too-nested", 0, 0, "warning", type(error).__name__])
for warning in caught:
    found.append(["compile-warning", warning.lineno or 0, 0, "warning", str(warning.message)])
json.dump(found, sys.stdout)
"""


class UnknownOutput(ValueError):
    """A tool printed what its parser does not know. The message names the tool."""


def safe_name(path: str) -> str:
    """The file name that ruff is told: its rules differ for stubs and package files, and only for these."""
    last = path.rpartition("/")[2]
    if last in ("__init__.py", "__init__.pyi"):
        return last
    return "module.pyi" if last.endswith(".pyi") else "module.py"


def ruff_arguments(path: str, *, rules: str = RUFF_RULES, options: tuple[str, ...] = ()) -> list[str]:
    """Arguments after `ruff`. `--isolated` ignores every configuration file, `--no-cache` writes nothing."""
    target = f"py{sys.version_info.major}{sys.version_info.minor}"
    fixed = [
        "check",
        "--isolated",
        "--no-cache",
        "--no-fix",
        "--quiet",
        "--exit-zero",
        "--output-format",
        "json",
    ]
    return [
        *fixed,
        "--target-version",
        target,
        "--select",
        rules,
        *options,
        "--stdin-filename",
        safe_name(path),
        "-",
    ]


def parse_ruff(output: bytes) -> list[Finding]:
    """Source: `ruff check --output-format json`."""
    found: list[Finding] = []
    for item in _json("ruff", output, list):
        try:
            rule, place = item["code"] or "invalid-syntax", item["location"]
            found.append(finding("ruff", rule, (place["row"], place["column"]), item["message"]))
        except (KeyError, TypeError) as error:
            raise UnknownOutput(f"ruff printed a finding of an unknown form: {error!r}") from None
    return found


def radon_arguments() -> list[str]:
    """Arguments after `radon`: cyclomatic complexity as JSON, of every block."""
    return ["cc", "--json", "--min", "A", "--max", "F", "--show-closures", "--no-assert", "-"]


def parse_radon(output: bytes) -> list[Block]:
    """Functions, methods and closures by line; UnknownOutput for a file that radon can't parse.

    Source: `radon cc --json`.
    """
    blocks: dict[tuple[int, str], Block] = {}
    for items in _json("radon", output, dict).values():
        if isinstance(items, dict) and "error" in items:
            raise UnknownOutput(f"radon can't parse the file: {items['error']}")
        try:
            for item in items:
                if item["type"] in ("function", "method"):
                    name = f"{item['classname']}.{item['name']}" if item.get("classname") else item["name"]
                    block: Block = {
                        "name": well_formed(name),
                        "line": item["lineno"],
                        "complexity": item["complexity"],
                    }
                    blocks.setdefault((item["lineno"], item["name"]), block)
        except (KeyError, TypeError) as error:
            raise UnknownOutput(f"radon printed a block of an unknown form: {error!r}") from None
    return sorted(blocks.values(), key=lambda block: (block["line"], block["name"]))


def complex_functions(blocks: list[Block]) -> list[Finding]:
    """A finding for every block above the bound."""
    return [
        finding(
            "radon",
            "complex-function",
            (block["line"], 1),
            f"{block['name']} has complexity {block['complexity']}",
        )
        for block in blocks
        if block["complexity"] > COMPLEX
    ]


def compile_arguments() -> list[str]:
    """Arguments after the interpreter; `-I -S` keeps site packages, environment and current folder out."""
    return ["-I", "-S", "-c", _COMPILE_CODE]


def parse_compile(output: bytes) -> list[Finding]:
    """Syntax errors and the compiler's own warnings."""
    found: list[Finding] = []
    for item in _json("compile", output, list):
        rule, line, column, severity, message = item
        found.append(finding("compile", rule, (line, column), message, severity=severity))
    return found


def finding(
    tool: str, rule: str, place: tuple[int, int], message: str, *, severity: Severity | None = None
) -> Finding:
    """One finding with a bounded message; the severity follows from the rule unless it is given."""
    told = severity or ("error" if rule.startswith(_ERROR_RULES) else "warning")
    text = well_formed(message)
    short = text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
    return {
        "tool": tool,
        "rule": rule,
        "line": place[0],
        "column": place[1],
        "severity": told,
        "message": short,
    }


def well_formed(text: str) -> str:
    """Without lone surrogates: tools may quote them as escapes, and the ledger takes well-formed text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _json(tool: str, output: bytes, expected: type) -> Any:
    try:
        value = json.loads(output.decode("utf-8", "replace"))
    except ValueError:
        raise UnknownOutput(f"{tool} did not print JSON") from None
    if not isinstance(value, expected):
        raise UnknownOutput(f"{tool} printed {type(value).__name__}, not {expected.__name__}")
    return value
