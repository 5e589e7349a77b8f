"""The passes over one file: real tools, or one that misbehaves in a known way."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runstone.audit.inspecting import (
    MAX_FINDINGS,
    Versions,
    cross_check_file,
    inspect_file,
    needs_second_look,
    worth_judging,
)
from runstone.audit.processes import Output, find_tool, run_process
from runstone.audit.records import FileEntry, Inspection

TOOLS: Versions = {"ruff": "1", "compile": "1", "radon": "1", "pyflakes": "1", "git": "1"}


class Calls:
    """Runs tools for real, remembers which, and answers in place of one that is told to misbehave."""

    def __init__(self, **instead: Output) -> None:
        self.asked: list[str] = []
        self.instead = instead

    async def __call__(self, tool: str, arguments: Sequence[str], data: bytes) -> Output:
        self.asked.append(tool)
        if tool in self.instead:
            return self.instead[tool]
        program = sys.executable if tool == "compile" else find_tool(tool)
        assert program is not None
        return await run_process([program, *arguments], data)


def place(folder: Path, name: str, data: bytes, kind: str) -> FileEntry:
    (folder / name).write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return {"path": name, "mode": "100644", "kind": kind, "size": len(data), "sha256": sha256}  # type: ignore[typeddict-item]


def inspect(folder: Path, entry: FileEntry, calls: Calls, versions: Versions | None = None) -> Inspection:
    return asyncio.run(inspect_file(os.fsencode(folder), entry, versions or TOOLS, calls))


def test_a_python_file_is_seen_by_every_tool_once(tmp_path: Path) -> None:
    calls = Calls()
    found = inspect(tmp_path, place(tmp_path, "a.py", b"import os\n", "python"), calls)
    assert calls.asked == ["ruff", "compile", "radon"]
    assert found["counts"] == {"ruff F401": 1}
    assert [check["status"] for check in found["checks"]] == ["ok", "ok", "ok"]
    assert needs_second_look(found)
    second = Calls()
    checked = asyncio.run(
        cross_check_file(
            os.fsencode(tmp_path),
            place(tmp_path, "a.py", b"import os\n", "python"),
            worth_judging(found),
            complete=True,
            versions=TOOLS,
            call=second,
        )
    )
    assert second.asked == ["pyflakes"]
    assert [item["verdict"] for item in checked["findings"]] == ["confirmed"]


def test_a_text_file_needs_no_process(tmp_path: Path) -> None:
    calls = Calls()
    clean = inspect(tmp_path, place(tmp_path, "a.txt", b"fine\n", "text"), calls)
    faulty = inspect(tmp_path, place(tmp_path, "b.txt", b"blank \n", "text"), calls)
    assert calls.asked == []
    assert (needs_second_look(clean), needs_second_look(faulty)) == (False, True)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (Output(None, b"", b"", 60_000, "no end within 60 s"), "no end within 60 s"),
        (Output(2, b"", b"error: unknown option\nmore", 5, None), "exit code 2: error: unknown option; more"),
        (Output(0, b"Segmentation", b"", 5, None), "ruff did not print JSON"),
    ],
)
def test_a_tool_that_fails_is_named_and_the_others_still_count(
    tmp_path: Path, output: Output, reason: str
) -> None:
    entry = place(tmp_path, "a.py", b"def f(:\n", "python")
    found = inspect(tmp_path, entry, Calls(ruff=output))
    assert found["checks"][0] == {"tool": "ruff", "status": "failed", "reason": reason}
    assert found["counts"] == {"compile syntax-error": 1}


def test_a_missing_tool_is_not_called(tmp_path: Path) -> None:
    entry = place(tmp_path, "a.py", b"x = 1\n", "python")
    calls = Calls()
    found = inspect(tmp_path, entry, calls, TOOLS | {"radon": None})
    assert calls.asked == ["ruff", "compile"]
    assert found["checks"][2] == {"tool": "radon", "status": "not checked", "reason": "not installed"}


def test_a_file_that_changed_since_the_listing_has_no_findings_of_its_new_content(tmp_path: Path) -> None:
    entry = place(tmp_path, "a.py", b"import os\n", "python")
    (tmp_path / "a.py").write_bytes(b"import re\n")
    calls = Calls()
    found = inspect(tmp_path, entry, calls)
    assert (found.get("skip"), calls.asked, found["counts"]) == (
        "changed while the audit was running",
        [],
        {},
    )
    assert not needs_second_look(found)


def test_a_flood_of_findings_is_bounded_and_counted(tmp_path: Path) -> None:
    entry = place(tmp_path, "a.txt", b"blank \n" * (MAX_FINDINGS + 50), "text")
    found = inspect(tmp_path, entry, Calls())
    assert (len(found["findings"]), found["omitted"]) == (MAX_FINDINGS, 50)
    assert found["counts"] == {"text trailing-whitespace": MAX_FINDINGS + 50}


def test_a_second_tool_that_fails_denies_nothing(tmp_path: Path) -> None:
    entry = place(tmp_path, "a.py", b"import os\n", "python")
    found = inspect(tmp_path, entry, Calls())
    broken = Calls(pyflakes=Output(-11, b"", b"", 5, "ended by signal 11"))
    root = os.fsencode(tmp_path)
    judged = worth_judging(found)
    checked = asyncio.run(cross_check_file(root, entry, judged, complete=True, versions=TOOLS, call=broken))
    assert (checked["findings"], checked["second_only"]) == ([], [])
    assert checked["checks"] == [{"tool": "pyflakes", "status": "failed", "reason": "ended by signal 11"}]


def test_what_a_bound_cut_off_is_not_told_as_seen_by_the_second_tool_only(tmp_path: Path) -> None:
    entry = place(tmp_path, "a.py", b"import os\nimport re\n", "python")
    found = inspect(tmp_path, entry, Calls())
    cut = worth_judging(found)[:1]
    for complete, expected in ((True, 1), (False, 0)):
        work = cross_check_file(
            os.fsencode(tmp_path), entry, cut, complete=complete, versions=TOOLS, call=Calls()
        )
        assert len(asyncio.run(work)["second_only"]) == expected
