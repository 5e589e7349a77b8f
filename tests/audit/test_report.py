"""Every number of the report is the sum of its parts, and everything that was not checked is named."""

import re

from runstone.audit.records import CrossCheck, FileEntry, Finding, Inspection
from runstone.audit.report import render
from runstone.audit.totals import Audit, totals


def entry(path: str, kind: str = "python", **more: str) -> FileEntry:
    return {"path": path, "mode": "100644", "kind": kind, "size": 1, "sha256": "0", **more}  # type: ignore[typeddict-item]


def finding(rule: str, line: int, tool: str = "ruff") -> Finding:
    return {
        "tool": tool,
        "rule": rule,
        "line": line,
        "column": 1,
        "severity": "warning",
        "message": f"{rule} here",
    }


def inspection(path: str, *findings: Finding, kind: str = "python", **more: object) -> Inspection:
    counts: dict[str, int] = {}
    for item in findings:
        label = f"{item['tool']} {item['rule']}"
        counts[label] = counts.get(label, 0) + 1
    return {  # type: ignore[typeddict-item, return-value]
        "path": path, "kind": kind, "size": 1, "lines": 10, "checks": [], "findings": list(findings),
        "counts": counts, "omitted": 0, "blocks": [], "functions": 0, **more,
    }  # fmt: skip


def audit(**more: object) -> Audit:
    inspections = [
        inspection("a.py", finding("F401", 1), finding("F401", 2), finding("B006", 3)),
        inspection("b.txt", finding("trailing-whitespace", 1, "text"), kind="text"),
        inspection("c.py"),
    ]
    judged: list[Finding] = [
        finding("F401", 1) | {"verdict": "confirmed"},
        finding("F401", 2) | {"verdict": "not confirmed"},
    ]
    cross: list[CrossCheck] = [
        {"path": "a.py", "checks": [], "findings": judged, "second_only": [finding("F841", 9, "pyflakes")]}
    ]
    files = [entry("a.py"), entry("b.txt", "text"), entry("c.py"), entry("d.png", "binary")]
    base = Audit("/repo", "c0ffee", "audit-1", files, 0, {"ruff": "1", "radon": "2"}, inspections, cross)
    return base._replace(**more)  # type: ignore[arg-type]


def test_the_totals_add_up() -> None:
    sums = totals(audit())
    assert (sums.files, sums.python, sums.text, sums.binary, sums.skipped) == (4, 2, 1, 1, 0)
    assert (sums.findings, sums.files_with_findings, sums.lines) == (4, 2, 30)
    assert (sums.confirmed, sums.not_confirmed, sums.no_second_check, sums.second_only) == (1, 1, 2, 1)
    assert sums.confirmed + sums.not_confirmed + sums.no_second_check == sums.findings


def test_the_report_shows_each_finding_with_its_verdict() -> None:
    text = render(audit())
    assert "- line 1: `F401` (ruff, warning) F401 here — confirmed" in text
    assert "- line 2: `F401` (ruff, warning) F401 here — not confirmed" in text
    assert "- line 3: `B006` (ruff, warning) B006 here — no second check" in text
    assert "| `a.py` | 9 | pyflakes | `F841` | F841 here |" in text
    assert "| ruff | `F401` | 2 | F401 here |" in text


def test_equal_results_give_equal_bytes_in_any_order() -> None:
    base = audit()
    assert render(base) == render(
        base._replace(inspections=base.inspections[::-1], cross_checks=base.cross_checks[::-1])
    )


def test_what_was_not_checked_is_named() -> None:
    failed = inspection("e.py", checks=[{"tool": "ruff", "status": "failed", "reason": "no end within 60 s"}])
    unread = inspection("f.py", skip="changed while the audit was running")
    base = audit()
    text = render(
        base._replace(
            files=[*base.files, entry("e.py"), entry("f.py"), entry("g", "skipped", skip="symbolic link")],
            inspections=[*base.inspections, failed, unread],
            tools={"ruff": "1", "radon": None},
            left_out=7,
        )
    )
    for line in (
        (
            "- not checked: radon, because it is not installed or does not start "
            "(measures the complexity of Python functions)"
        ),
        "- not checked: `g`, symbolic link",
        "- not checked: `f.py`, changed while the audit was running",
        "- not checked: `e.py` by ruff, no end within 60 s",
        "- not checked: `d.png`, binary",
        "- not checked: 7 more files, left out by the run's limit",
    ):
        assert line in text.split("\n")


def test_findings_above_the_bound_are_counted() -> None:
    many = inspection("a.py", *[finding("F401", number) for number in range(1, 61)])
    many["counts"] = {"ruff F401": 300}
    text = render(audit(inspections=[many], cross_checks=[]))
    assert totals(audit(inspections=[many], cross_checks=[])).findings == 300
    assert "- and 250 more" in text


def test_every_row_of_every_table_has_its_table_s_width() -> None:
    hostile = inspection("a|b`c\n.py", finding("F401", 1))
    text = render(audit(inspections=[hostile], cross_checks=[]))
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}
        assert len(widths) == 1, block
