"""The general check of a text file: pure functions from bytes to findings."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from runstone.audit.records import FileKind, Finding, Severity

TOOL = "text"
LONG_LINE = 500  # characters; people's text and code stay far below, generated and minified files do not
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BREAK = re.compile(rb"\r\n|\n|\r")
_PYTHON_SHEBANG = re.compile(rb"\A#![^\n]*\bpython[0-9.]*\b")
# In these formats a blank at a line's end means something.
_BLANKS_MEAN = {".md", ".markdown", ".patch", ".diff", ".tsv"}
_TEXT_WITH_CR = {".bat", ".cmd", ".ps1", ".sln", ".csproj"}


def kind_of(name: str, data: bytes) -> FileKind:
    """python by suffix or first line, binary when a NUL is in it (or UTF-16), else text."""
    if b"\0" in data or data.startswith(_UTF16):
        return "python" if name.endswith((".py", ".pyi", ".pyw")) else "binary"
    if name.endswith((".py", ".pyi", ".pyw")) or _PYTHON_SHEBANG.match(data):
        return "python"
    return "text"


def check_text(name: str, data: bytes) -> list[Finding]:
    """Findings of every rule below, ordered by line."""
    found = [
        *_encoding(data),
        *_line_endings(name, data),
        *_lines(name, data),
        *_conflicts(data),
        *_end(data),
        *_syntax(name, data),
    ]
    return sorted(found, key=lambda finding: (finding["line"], finding["column"], finding["rule"]))


def count_lines(data: bytes) -> int:
    """Lines as an editor counts them: the last one counts without its newline, too."""
    return len(_split(data))


def _split(data: bytes) -> list[bytes]:
    lines = _BREAK.split(data)
    return lines[:-1] if not lines[-1] else lines


def _finding(
    rule: str, line: int, message: str, *, column: int = 1, severity: Severity = "warning"
) -> Finding:
    return {
        "tool": TOOL,
        "rule": rule,
        "line": line,
        "column": column,
        "severity": severity,
        "message": message,
    }


def _encoding(data: bytes) -> Iterator[Finding]:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(_BREAK.findall(data[: error.start])) + 1
        yield _finding(
            "invalid-utf-8",
            line,
            f"byte 0x{data[error.start]:02x} is not valid UTF-8 ({error.reason})",
            severity="error",
        )


def _line_endings(name: str, data: bytes) -> Iterator[Finding]:
    crlf = data.count(b"\r\n")
    counts = {"LF": data.count(b"\n") - crlf, "CRLF": crlf, "CR": data.count(b"\r") - crlf}
    used = {ending: count for ending, count in counts.items() if count}
    if len(used) > 1:
        told = ", ".join(f"{count} {ending}" for ending, count in used.items())
        yield _finding("mixed-line-endings", 0, f"several line endings in one file: {told}", column=0)
    elif used and "LF" not in used and PurePosixPath(name).suffix.lower() not in _TEXT_WITH_CR:
        yield _finding("not-lf", 0, f"lines end in {next(iter(used))}", column=0)


def _lines(name: str, data: bytes) -> Iterator[Finding]:
    blanks_mean = PurePosixPath(name).suffix.lower() in _BLANKS_MEAN
    for number, line in enumerate(_split(data), start=1):
        bare = line.rstrip(b" \t")
        if bare != line and not blanks_mean:
            yield _finding(
                "trailing-whitespace", number, "blanks at the end of the line", column=len(bare) + 1
            )
        length = len(line.decode("utf-8", "replace")) if len(line) > LONG_LINE else len(line)
        if length > LONG_LINE:
            yield _finding(
                "long-line", number, f"{length:,} characters (limit {LONG_LINE})", column=LONG_LINE + 1
            )


def _conflicts(data: bytes) -> Iterator[Finding]:
    lines = list(enumerate(_split(data), start=1))
    starts = [number for number, line in lines if line.startswith(b"<<<<<<< ")]
    ends = [number for number, line in lines if line.startswith(b">>>>>>> ")]
    # A lone marker is a quotation or an underline; a start with an end below it is an unfinished merge.
    for start in starts:
        if any(end > start for end in ends):
            yield _finding("conflict-marker", start, "merge conflict marker", severity="error")


def _end(data: bytes) -> Iterator[Finding]:
    if data and not data.endswith((b"\n", b"\r")):
        yield _finding("no-final-newline", count_lines(data), "no newline at the end of the file")


def _syntax(name: str, data: bytes) -> Iterator[Finding]:
    path = PurePosixPath(name)
    # These JSON files may hold comments by their tools' own rules.
    if (
        path.suffix == ".json"
        and not path.name.startswith(("tsconfig", "jsconfig"))
        and ".vscode" not in path.parts
    ):
        yield from _json_syntax(data)
    elif path.suffix == ".toml":
        yield from _toml_syntax(data)


def _json_syntax(data: bytes) -> Iterator[Finding]:
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        yield _finding("invalid-json", error.lineno, error.msg, column=error.colno, severity="error")
    except (UnicodeDecodeError, RecursionError) as error:
        yield _finding(
            "invalid-json", 0, f"can't be parsed: {type(error).__name__}", column=0, severity="error"
        )


def _toml_syntax(data: bytes) -> Iterator[Finding]:
    try:
        tomllib.loads(data.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (0, 0)
        yield _finding("invalid-toml", line, str(error).split(" (at ")[0], column=column, severity="error")
    except (UnicodeDecodeError, RecursionError) as error:
        yield _finding(
            "invalid-toml", 0, f"can't be parsed: {type(error).__name__}", column=0, severity="error"
        )
