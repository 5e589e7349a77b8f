"""The parts of an audit, and the numbers that its report, its result and its summary share."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from runstone.audit.records import CrossCheck, FileEntry, Inspection


class Audit(NamedTuple):
    """What a report is made from, in any order; `tools` maps each name to a version, or None if missing."""

    root: str
    commit: str | None
    run_id: str
    files: Sequence[FileEntry]
    left_out: int
    tools: dict[str, str | None]
    inspections: Sequence[Inspection]
    cross_checks: Sequence[CrossCheck]


class Totals(NamedTuple):
    """The numbers that the report, the run's result and its summary share."""

    files: int
    python: int
    text: int
    binary: int
    skipped: int
    lines: int
    findings: int
    files_with_findings: int
    confirmed: int
    not_confirmed: int
    no_second_check: int
    second_only: int

    def sentence(self) -> str:
        """One line for a summary."""
        return (
            f"{self.files} files, {self.findings} findings in {self.files_with_findings} of them: "
            f"{self.confirmed} confirmed by a second tool, {self.not_confirmed} not confirmed, "
            f"{self.no_second_check} without a second check"
        )


def totals(audit: Audit) -> Totals:
    """Counts every finding once, those that a bound left out of the lists included."""
    kinds = Counter(entry["kind"] for entry in audit.files)
    unread = [item for item in audit.inspections if "skip" in item]
    kinds.subtract(item["kind"] for item in unread)
    found = sum(sum(item["counts"].values()) for item in audit.inspections)
    verdicts = Counter(item.get("verdict") for check in audit.cross_checks for item in check["findings"])
    return Totals(
        files=len(audit.files),
        python=kinds["python"],
        text=kinds["text"],
        binary=kinds["binary"],
        skipped=kinds["skipped"] + len(unread),
        lines=sum(item["lines"] for item in audit.inspections),
        findings=found,
        files_with_findings=sum(1 for item in audit.inspections if item["counts"]),
        confirmed=verdicts["confirmed"],
        not_confirmed=verdicts["not confirmed"],
        no_second_check=found - verdicts["confirmed"] - verdicts["not confirmed"],
        second_only=sum(len(check["second_only"]) for check in audit.cross_checks),
    )
