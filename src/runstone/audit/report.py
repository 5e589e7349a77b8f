"""The Markdown report of an audit: a pure function from the children's results to one text."""

from collections import Counter

from runstone.audit.markdown import code, plain, table
from runstone.audit.records import Check, Finding
from runstone.audit.totals import Audit, Totals, totals

FINDINGS_PER_FILE = 50
WORST_FUNCTIONS = 10
TOOLS = {
    "ruff": "lints Python (and confirms complexity)",
    "radon": "measures the complexity of Python functions",
    "compile": "the interpreter's own syntax check",
    "text": "general check of every other text file",
    "pyflakes": "second look at ruff's findings",
    "git": "second look at text findings",
}


def render(audit: Audit) -> str:
    """The whole report. Equal results give equal bytes."""
    parts = [
        _head(audit),
        _totals(totals(audit)),
        _not_checked(audit),
        _by_rule(audit),
        _by_file(audit),
        _findings(audit),
        _second_only(audit),
        _complexity(audit),
        _tools(audit),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(audit: Audit) -> str:
    commit = (
        f"commit {code(audit.commit)}, with what the working tree changed"
        if audit.commit
        else "no commit yet"
    )
    return (
        f"# Audit of {code(audit.root)}\n\n"
        f"Run {code(audit.run_id)}; {commit}. Tracked files only; nothing was written or executed there."
    )


def _totals(sums: Totals) -> str:
    rows = [(name.replace("_", " "), f"{value:,}") for name, value in sums._asdict().items()]
    return "## Totals\n\n" + table(("what", "number"), rows, right={1})


def _not_checked(audit: Audit) -> str:
    lines = [
        f"- not checked: {name}, because it is not installed or does not start ({TOOLS[name]})"
        for name in TOOLS
        if name in audit.tools and audit.tools[name] is None
    ]
    lines += [f"- not checked: {code(path)}, {plain(reason)}" for path, reason in _skipped(audit)]
    for path, check in _failed_checks(audit):
        lines.append(
            f"- not checked: {code(path)} by {check['tool']}, {plain(check.get('reason', 'no reason given'))}"
        )
    lines += [
        f"- not checked: {code(entry['path'])}, binary" for entry in audit.files if entry["kind"] == "binary"
    ]
    if audit.left_out:
        lines.append(f"- not checked: {audit.left_out:,} more files, left out by the run's limit")
    return "## Not checked\n\n" + ("\n".join(lines) or "Everything was checked.")


def _skipped(audit: Audit) -> list[tuple[str, str]]:
    from_listing = [(entry["path"], entry["skip"]) for entry in audit.files if "skip" in entry]
    from_reading = [(item["path"], item["skip"]) for item in audit.inspections if "skip" in item]
    return sorted(from_listing + from_reading)


def _failed_checks(audit: Audit) -> list[tuple[str, Check]]:
    everything = [*audit.inspections, *audit.cross_checks]
    failed = [
        (item["path"], check)
        for item in everything
        for check in item["checks"]
        if check["status"] == "failed"
    ]
    return sorted(failed, key=lambda pair: (pair[0], pair[1]["tool"]))


def _by_rule(audit: Audit) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for item in audit.inspections:
        for finding in item["findings"]:
            examples.setdefault((finding["tool"], finding["rule"]), finding["message"])
        for label, count in item["counts"].items():
            tool, _, rule = label.partition(" ")
            counts[tool, rule] += count
    if not counts:
        return "## Findings by rule\n\nNone."
    ordered = sorted(counts, key=lambda key: (-counts[key], key))
    rows = [
        (tool, code(rule), f"{counts[tool, rule]:,}", plain(examples.get((tool, rule), "")))
        for tool, rule in ordered
    ]
    return "## Findings by rule\n\n" + table(("tool", "rule", "findings", "for example"), rows, right={2})


def _by_file(audit: Audit) -> str:
    verdicts = {
        check["path"]: Counter(item.get("verdict") for item in check["findings"])
        for check in audit.cross_checks
    }
    found = [item for item in audit.inspections if item["counts"]]
    if not found:
        return ""
    found.sort(key=lambda item: (-sum(item["counts"].values()), item["path"]))
    rows = []
    for item in found:
        seen = verdicts.get(item["path"], Counter())
        worst = max((block["complexity"] for block in item["blocks"]), default=None)
        rows.append(
            (
                code(item["path"]),
                item["kind"],
                f"{item['lines']:,}",
                f"{sum(item['counts'].values()):,}",
                str(seen["confirmed"]),
                str(seen["not confirmed"]),
                "" if worst is None else str(worst),
            )
        )
    names = ("file", "kind", "lines", "findings", "confirmed", "not confirmed", "worst complexity")
    return "## Files with findings\n\n" + table(names, rows, right={2, 3, 4, 5, 6})


def _findings(audit: Audit) -> str:
    judged = {
        (check["path"], item["tool"], item["rule"], item["line"], item["column"]): item.get("verdict")
        for check in audit.cross_checks
        for item in check["findings"]
    }
    sections = []
    for inspection in sorted(audit.inspections, key=lambda item: item["path"]):
        if not inspection["counts"]:
            continue
        lines = [f"### {code(inspection['path'])}", ""]
        shown = inspection["findings"][:FINDINGS_PER_FILE]
        for item in shown:
            verdict = judged.get(
                (inspection["path"], item["tool"], item["rule"], item["line"], item["column"])
            )
            lines.append(_one(item, verdict or "no second check"))
        hidden = sum(inspection["counts"].values()) - len(shown)
        if hidden:
            lines.append(f"- and {hidden:,} more")
        sections.append("\n".join(lines))
    return "## Findings\n\n" + "\n\n".join(sections) if sections else ""


def _one(item: Finding, verdict: str) -> str:
    place = f"line {item['line']}" if item["line"] else "whole file"
    kind = f"{code(item['rule'])} ({item['tool']}, {item['severity']})"
    return f"- {place}: {kind} {plain(item['message'])} — {verdict}"


def _second_only(audit: Audit) -> str:
    rows = [
        (code(check["path"]), str(item["line"]), item["tool"], code(item["rule"]), plain(item["message"]))
        for check in sorted(audit.cross_checks, key=lambda check: check["path"])
        for item in check["second_only"]
    ]
    if not rows:
        return ""
    text = "## Seen by the second tool only\n\nNot counted as findings.\n\n"
    return text + table(("file", "line", "tool", "rule", "message"), rows, right={1})


def _complexity(audit: Audit) -> str:
    blocks = [(item["path"], block) for item in audit.inspections for block in item["blocks"]]
    if not blocks:
        return ""
    functions = sum(item["functions"] for item in audit.inspections)
    blocks.sort(key=lambda pair: (-pair[1]["complexity"], pair[0], pair[1]["line"]))
    rows = [
        (code(block["name"]), code(path), str(block["line"]), str(block["complexity"]))
        for path, block in blocks[:WORST_FUNCTIONS]
    ]
    text = f"## Most complex functions\n\n{functions:,} functions were measured.\n\n"
    return text + table(("function", "file", "line", "complexity"), rows, right={2, 3})


def _tools(audit: Audit) -> str:
    rows = [
        (name, plain(version or "not checked: not installed"), TOOLS[name])
        for name, version in audit.tools.items()
    ]
    return "## Tools\n\n" + table(("tool", "version", "work"), rows)
