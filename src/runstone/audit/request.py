"""What a person asks for, and where the report goes: checked before any work starts."""

import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from runstone.audit.listing import NotAuditable

DEFAULT_CONCURRENCY = 4
MAX_CONCURRENCY = 64  # processes at once; more than any machine's cores, and far below its process limit
_KNOWN = {"path", "report", "limit", "concurrency"}


class Request(NamedTuple):
    """The workflow's input: at most `limit` files, `concurrency` children at once."""

    path: str
    report: str | None
    limit: int | None
    concurrency: int


def read_request(given: Any) -> Request:
    """Raises NotAuditable, naming the field, for anything that is not understood."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise NotAuditable(f"the input of repo-audit is an object with `path`, not {type(given).__name__}")
    unknown = sorted(set(given) - _KNOWN)
    if unknown:
        raise NotAuditable(f"repo-audit has no input {unknown[0]!r}; it takes {', '.join(sorted(_KNOWN))}")
    path, report = given.get("path", "."), given.get("report")
    if not isinstance(path, str) or not path or not isinstance(report, str | None):
        raise NotAuditable("`path` and `report` are names of a folder and a file")
    concurrency = _number(given, "concurrency", MAX_CONCURRENCY) or DEFAULT_CONCURRENCY
    return Request(path, report, _number(given, "limit", None), concurrency)


def report_place(report: str | None, *, root: str, workspace: str, run_id: str) -> str:
    """The absolute path of the report. Raises NotAuditable for a place inside the audited folder.

    The workspace's own folder is the exception: it may lie there, and it ignores itself in git.
    """
    own = Path(os.path.realpath(workspace), ".runstone")
    if report is None:
        return str(own / "reports" / f"{_file_name(run_id)}.md")
    place = Path(os.path.realpath(report))
    if place.is_dir():
        raise NotAuditable(f"report={report} is a folder; name a file")
    if place.is_relative_to(root) and not place.is_relative_to(own):
        raise NotAuditable(
            f"report={report} lies in the audited repository, which is never written to",
            hint="leave `report` out, or name a file elsewhere",
        )
    return str(place)


def _file_name(run_id: str) -> str:
    name = quote(run_id, safe=" @+=,")
    return f"run{name}" if name.startswith(".") else name[:200]


def _number(given: dict[str, Any], name: str, most: int | None) -> int | None:
    value = given.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < 1
        or (most is not None and value > most)
    ):
        raise NotAuditable(f"`{name}` is a whole number from 1{f' to {most}' if most else ''}, not {value!r}")
    return value
