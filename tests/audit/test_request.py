"""The input is checked before any work, and the report never goes into the audited repository."""

from pathlib import Path
from typing import Any

import pytest

from runstone.audit import NotAuditable
from runstone.audit.request import DEFAULT_CONCURRENCY, Request, read_request, report_place
from runstone.audit.writing import write_report


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Request(".", None, None, DEFAULT_CONCURRENCY)),
        ({"path": "x", "limit": "5", "concurrency": 2}, Request("x", None, 5, 2)),
        ({"report": "r.md"}, Request(".", "r.md", None, DEFAULT_CONCURRENCY)),
    ],
)
def test_what_is_left_out_has_a_default(given: Any, expected: Request) -> None:
    assert read_request(given) == expected


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "object"),
        ({"paht": "."}, "paht"),
        ({"path": ""}, "path"),
        ({"path": 3}, "path"),
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": True}, "limit"),
        ({"concurrency": 1000}, "concurrency"),
    ],
)
def test_what_is_not_understood_is_named(given: Any, named: str) -> None:
    with pytest.raises(NotAuditable, match=named):
        read_request(given)


def test_the_report_stays_out_of_the_audited_folder(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()

    def place(report: str | None, workspace: Path = root, run_id: str = "audit-1") -> str:
        return report_place(report, root=str(root), workspace=str(workspace), run_id=run_id)

    assert place(None) == str(root / ".runstone" / "reports" / "audit-1.md")
    assert place(None, tmp_path) == str(tmp_path / ".runstone" / "reports" / "audit-1.md")
    assert place(str(tmp_path / "r.md")) == str(tmp_path / "r.md")
    assert place(str(root / ".runstone" / "r.md")) == str(root / ".runstone" / "r.md")
    (tmp_path / "link").symlink_to(root)
    for inside in (root / "r.md", tmp_path / "link" / "r.md", root / "new" / "r.md"):
        with pytest.raises(NotAuditable, match="never written to"):
            place(str(inside))
    with pytest.raises(NotAuditable, match="is a folder"):
        place(str(tmp_path))


@pytest.mark.parametrize("run_id", ["../../evil", "/etc/x", "..", ".hidden", "a/b", "x" * 500])
def test_a_run_id_can_not_lead_the_report_elsewhere(tmp_path: Path, run_id: str) -> None:
    place = Path(report_place(None, root=str(tmp_path / "r"), workspace=str(tmp_path), run_id=run_id))
    assert place.parent == tmp_path / ".runstone" / "reports"
    assert not place.name.startswith(".")


def test_a_report_is_replaced_in_one_move(tmp_path: Path) -> None:
    place = tmp_path / "reports" / "a.md"
    write_report("one\n", str(place), "")
    write_report("two\n", str(place), "")
    assert place.read_bytes() == b"two\n"
    assert [file.name for file in place.parent.iterdir()] == ["a.md"]
