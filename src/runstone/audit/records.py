"""The JSON shapes that pass between the parts of an audit, as children's inputs and results."""

from typing import Any, Literal, NotRequired, TypedDict

FileKind = Literal["python", "text", "binary", "skipped"]
Severity = Literal["error", "warning"]
CheckStatus = Literal["ok", "not checked", "failed"]
Verdict = Literal["confirmed", "not confirmed", "no second check"]


class FileEntry(TypedDict):
    """One tracked path; `raw` (percent-encoded bytes) is there only when the name is not UTF-8.

    `sha256` is the hash of the bytes in the working tree, so a changed file is a changed input.
    `skip` says why a path is not inspected.
    """

    path: str
    mode: str
    kind: FileKind
    size: int
    sha256: str
    raw: NotRequired[str]
    skip: NotRequired[str]


class Finding(TypedDict):
    """One thing a tool says about one place. `line` and `column` count from 1; 0 means the whole file."""

    tool: str
    rule: str
    line: int
    column: int
    severity: Severity
    message: str
    verdict: NotRequired[Verdict]


class Check(TypedDict):
    """What became of one tool on one file."""

    tool: str
    status: CheckStatus
    reason: NotRequired[str]


class Block(TypedDict):
    """One function or method and its cyclomatic complexity."""

    name: str
    line: int
    complexity: int


class Inspection(TypedDict):
    """What the first pass says about one file.

    `counts` has every finding by "tool rule"; `findings` is cut at a bound, and `omitted` says by how many.
    """

    path: str
    kind: FileKind
    size: int
    lines: int
    checks: list[Check]
    findings: list[Finding]
    counts: dict[str, int]
    omitted: int
    blocks: list[Block]
    functions: int
    skip: NotRequired[str]


class CrossCheck(TypedDict):
    """The second tool's answer for one file: verdicts on findings, and what only the second tool saw."""

    path: str
    checks: list[Check]
    findings: list[Finding]
    second_only: list[Finding]


JsonObject = dict[str, Any]
