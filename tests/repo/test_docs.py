"""What the documents show is run, and what they point to exists.

In README.md and docs/, the word after three backticks says what a block is:
    python            run; the blocks of a page run in order, in one namespace, in a folder of the page's own
    python NAME       written to the file NAME in that folder (any language: `toml runstone.toml`)
    console           each line after `$ ` is run by sh in that folder and must exit 0; others are output
    sh, text, mermaid shown only; a `make TARGET` in them must exist
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
)
BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
SHOWN_ONLY = {"sh", "text", "mermaid"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is to be written to (or empty) and its text."""

    language: str
    file: str
    text: str

    @property
    def script(self) -> str:
        """What runs, as Python source: the block itself, a file to write, or commands."""
        if self.file:
            return f"__import__('pathlib').Path({self.file!r}).write_text({self.text!r})"
        if self.language == "python":
            return self.text
        lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        return "\n".join(f"__import__('subprocess').run({line!r}, shell=True, check=True)" for line in lines)


def label(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    return [Block(*found.groups()) for found in BLOCK.finditer(page.read_text())]


RUNNABLE = [
    page for page in PAGES if any(b.file or b.language in {"python", "console"} for b in blocks(page))
]


@pytest.mark.parametrize("page", RUNNABLE, ids=label)
def test_the_code_on_a_page_runs(page: Path, tmp_path: Path) -> None:
    script = "\n".join(b.script for b in blocks(page) if b.file or b.language not in SHOWN_ONLY)
    (tmp_path / "page.py").write_text(script)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "RUNSTONE_WORKSPACE": str(folder)}
    env["RUNSTONE_STATE_DIR"] = str(tmp_path / "state")
    command = [sys.executable, "-W", "error", str(tmp_path / "page.py")]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = [b for b in blocks(page) if not b.file and b.language not in SHOWN_ONLY | {"python", "console"}]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [
        target for target in LINK.findall(page.read_text()) if "://" not in target and "@" not in target
    ]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ |^)make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


def test_every_page_is_reachable_from_the_map() -> None:
    start = ROOT / "docs" / "README.md"
    linked = {
        (start.parent / target).resolve() for target in LINK.findall(start.read_text()) if "://" not in target
    }
    adrs = set((ROOT / "docs" / "adr").glob("*.md"))
    assert set((ROOT / "docs").rglob("*.md")) - linked - adrs - {start} == set()


def test_every_page_that_the_code_points_to_exists() -> None:
    sources = [
        file.read_text() for folder in ("src", "scripts", "tests") for file in (ROOT / folder).rglob("*.py")
    ]
    named = {page for text in sources for page in re.findall(r"\bdocs/[\w/.-]+\.md\b", text)}
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []
