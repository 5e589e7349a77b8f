"""The codes of findings are documented as they are."""

from pathlib import Path

from runstone.care.findings import CODES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "verify-and-repair.md"


def test_each_code_is_documented_as_it_is() -> None:
    told = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert told == [f"| `{name}` | {code.meaning} | {code.remedy or '—'} |" for name, code in CODES.items()]
