"""The two passes over one file, written against a function that runs a tool (in a run, or in a test)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from runstone.audit import cross_check, python_checks, reading, text_checks
from runstone.audit.git_tree import bytes_of
from runstone.audit.processes import Output
from runstone.audit.records import Block, Check, CrossCheck, FileEntry, Finding, Inspection

MAX_FINDINGS = 500  # per file in a result; the counts by rule stay complete
MAX_SECOND_ONLY = 50
MAX_BLOCKS = 20  # the most complex functions of a file; a report shows ten of all files
T = TypeVar("T")
Versions = dict[str, str | None]


class ToolCall(Protocol):
    """Runs a tool of the audit by its name, with arguments and standard input."""

    def __call__(self, tool: str, arguments: Sequence[str], data: bytes) -> Awaitable[Output]: ...


class FileTools:
    """One file's tools: runs them, and notes what became of each with a reason."""

    def __init__(self, call: ToolCall, versions: Versions, data: bytes) -> None:
        self.checks: list[Check] = []
        self._call, self._versions, self._data = call, versions, data

    async def ask(
        self,
        tool: str,
        arguments: Sequence[str],
        parse: Callable[[bytes], list[T]],
        *,
        fine: Sequence[int] = (0,),
    ) -> list[T] | None:
        """What the tool says, or None with a reason in `checks`. `fine` are the exit codes of an answer."""
        if self._versions.get(tool) is None:
            self.checks.append({"tool": tool, "status": "not checked", "reason": "not installed"})
            return None
        output = await self._call(tool, arguments, self._data)
        problem = output.problem or (None if output.exit_code in fine else _exit_reason(output))
        if problem is None:
            try:
                answer = parse(output.stdout)
            except python_checks.UnknownOutput as error:
                problem = str(error)
            else:
                self.checks.append({"tool": tool, "status": "ok"})
                return answer
        self.checks.append({"tool": tool, "status": "failed", "reason": problem})
        return None


async def inspect_file(root: bytes, entry: FileEntry, versions: Versions, call: ToolCall) -> Inspection:
    """The first pass. A file that is no longer the listed one gets a `skip` reason and no findings."""
    data = _read(root, entry)
    if isinstance(data, str):
        return _inspection(entry, lines=0) | {"skip": data}
    result = _inspection(entry, lines=text_checks.count_lines(data))
    if entry["kind"] == "python":
        tools = FileTools(call, versions, data)
        found, blocks = await _python(entry["path"], tools)
        worst = sorted(blocks, key=lambda block: -block["complexity"])[:MAX_BLOCKS]
        result |= {"checks": tools.checks, "functions": len(blocks), "blocks": worst}
    else:
        found = text_checks.check_text(entry["path"], data)
        result |= {"checks": [{"tool": text_checks.TOOL, "status": "ok"}]}
    found.sort(key=lambda item: (item["line"], item["column"], item["tool"], item["rule"]))
    counts = Counter(f"{item['tool']} {item['rule']}" for item in found)
    kept = found[:MAX_FINDINGS]
    return result | {"findings": kept, "counts": dict(counts), "omitted": len(found) - len(kept)}


async def cross_check_file(
    root: bytes,
    entry: FileEntry,
    findings: list[Finding],
    *,
    complete: bool,
    versions: Versions,
    call: ToolCall,
) -> CrossCheck:
    """The second pass: a verdict for every finding that another tool can judge.

    If the findings are not `complete`, nothing is told as seen by the second tool only: the first may have seen it.
    """
    data = _read(root, entry)
    if isinstance(data, str):
        check: Check = {"tool": "second check", "status": "failed", "reason": data}
        return {"path": entry["path"], "checks": [check], "findings": [], "second_only": []}
    tools = FileTools(call, versions, data)
    if entry["kind"] == "python":
        verdicts, unseen = await _second_python(entry["path"], findings, data, tools)
    else:
        second = await tools.ask(
            "git", cross_check.git_check_arguments(), cross_check.parse_git_check, fine=(0, 1, 2, 3)
        )
        verdicts, _ = _judged(findings, cross_check.covered_by_git, second)
        unseen = []  # git marks every separator line of a conflict, the text check its start only
    return {
        "path": entry["path"],
        "checks": tools.checks,
        "findings": verdicts,
        "second_only": unseen[:MAX_SECOND_ONLY] if complete else [],
    }


def needs_second_look(inspection: Inspection) -> bool:
    """Every Python file (the second tool may see more), and text files with a finding that git can judge."""
    if "skip" in inspection:
        return False
    return inspection["kind"] == "python" or any(map(cross_check.covered_by_git, inspection["findings"]))


def worth_judging(inspection: Inspection) -> list[Finding]:
    """The findings that a second tool covers; only these belong to the second pass's input."""
    covers = (cross_check.covered_by_pyflakes, cross_check.covered_by_ruff, cross_check.covered_by_git)
    return [
        item
        for item in inspection["findings"]
        if (item["tool"], item["rule"]) in cross_check.SYNTAX or any(cover(item) for cover in covers)
    ]


async def _python(path: str, tools: FileTools) -> tuple[list[Finding], list[Block]]:
    linted = await tools.ask("ruff", python_checks.ruff_arguments(path), python_checks.parse_ruff)
    compiled = await tools.ask("compile", python_checks.compile_arguments(), python_checks.parse_compile)
    blocks = await tools.ask("radon", python_checks.radon_arguments(), python_checks.parse_radon) or []
    return [*(linted or []), *(compiled or []), *python_checks.complex_functions(blocks)], blocks


async def _second_python(
    path: str, findings: list[Finding], data: bytes, tools: FileTools
) -> tuple[list[Finding], list[Finding]]:
    verdicts = cross_check.judge_syntax(findings)
    broken = bool(verdicts)
    flakes = await tools.ask("pyflakes", [], cross_check.parse_pyflakes, fine=(0, 1))
    judged, unseen = _judged(findings, cross_check.covered_by_pyflakes, flakes)
    unseen = [] if broken else cross_check.without_silenced(unseen, data)
    verdicts += judged
    if any(map(cross_check.covered_by_ruff, findings)):
        arguments = python_checks.ruff_arguments(path, rules="C901", options=cross_check.COMPLEXITY_OPTIONS)
        measured = await tools.ask("ruff", arguments, python_checks.parse_ruff)
        judged, more = _judged(findings, cross_check.covered_by_ruff, measured)
        verdicts, unseen = verdicts + judged, unseen + more
    return verdicts, unseen


def _judged(
    findings: list[Finding], covers: Callable[[Finding], bool], second: list[Finding] | None
) -> tuple[list[Finding], list[Finding]]:
    # A second tool that could not answer has not denied anything.
    return ([], []) if second is None else cross_check.judge(findings, covers, second)


def _read(root: bytes, entry: FileEntry) -> bytes | str:
    try:
        data = reading.read_tracked(root, bytes_of(entry), entry["mode"])
    except reading.Unreadable as problem:
        return str(problem)
    return data if reading.digest(data) == entry["sha256"] else "changed while the audit was running"


def _inspection(entry: FileEntry, *, lines: int) -> Inspection:
    return {
        "path": entry["path"],
        "kind": entry["kind"],
        "size": entry["size"],
        "lines": lines,
        "checks": [],
        "findings": [],
        "counts": {},
        "omitted": 0,
        "blocks": [],
        "functions": 0,
    }


def _exit_reason(output: Output) -> str:
    lines = [line.strip() for line in output.stderr.decode("utf-8", "replace").split("\n") if line.strip()]
    told = python_checks.well_formed("; ".join(lines[:3]))[: python_checks.MAX_MESSAGE]
    return f"exit code {output.exit_code}: {told}" if told else f"exit code {output.exit_code}"
