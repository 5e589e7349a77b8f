"""What is committed: nothing of one machine, nothing huge, the shape that the project has chosen."""

import ast
import re
import subprocess
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The brackets keep these patterns from finding themselves.
REGISTRIES = re.compile(r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|deb[.]debian[.]org|proxy[.]golang")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|farm|root|home/\w+|Users/\w+|tmp/\w+)/")
LONG_FUNCTION = 70
LONG_SHARE = 0.026  # the share of functions over 70 lines that the best kept projects of the field stay below


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git work tree")
    return tuple(path for one in listed.stdout.split("\0") if one and (path := ROOT / one).is_file())


@cache
def texts() -> dict[str, str]:
    found = {}
    for path in tracked():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text()
        except UnicodeDecodeError:
            continue  # a binary fixture, such as a database of an older schema
    return found


@pytest.mark.parametrize("pattern", [REGISTRIES, MACHINE_PATHS], ids=["registries", "machine paths"])
def test_no_tracked_file_names_this_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_pins_are_plain_versions_that_cover_every_dependency() -> None:
    lines = [line for line in texts()["constraints.txt"].splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "only NAME==VERSION"
    pinned = {normal(line.split("==")[0]) for line in lines}
    project = tomllib.loads(texts()["pyproject.toml"])["project"]
    extras = project["optional-dependencies"]
    wanted = {requirement(one) for one in [*project["dependencies"], *extras["audit"], *extras["dev"]]}
    assert wanted - {"runstone"} <= pinned


def requirement(text: str) -> str:
    return normal(re.split(r"[\[<>=;]", text)[0])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def test_the_changelog_has_the_version_that_is_built() -> None:
    version = tomllib.loads(texts()["pyproject.toml"])["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", texts()["CHANGELOG.md"], re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert version in headings


def test_no_file_is_large() -> None:
    assert [(path.name, size) for path in tracked() if (size := path.stat().st_size) > 500_000] == []


def test_few_functions_are_long() -> None:
    functions = [
        (node.end_lineno - node.lineno + 1, f"{name}:{node.lineno} {node.name}")
        for name, text in texts().items()
        if name.startswith("src/") and name.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]
    long = sorted((one for one in functions if one[0] > LONG_FUNCTION), reverse=True)
    assert len(long) <= LONG_SHARE * len(functions), long


def test_modules_are_named_for_a_noun() -> None:
    banned = {"utils", "util", "helpers", "common", "misc", "manager", "service"}
    assert [name for name in texts() if Path(name).stem in banned] == []


def test_decisions_are_numbered_in_a_row_and_fit_a_page() -> None:
    pages = sorted(name for name in texts() if name.startswith("docs/adr/"))
    numbers = [int(Path(name).name[:4]) for name in pages]
    assert numbers[:1] == [1]
    assert all(later == earlier + 1 for earlier, later in pairwise(numbers))
    for name in pages:
        headings = re.findall(r"^## (.+)$", texts()[name], re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "What would change our mind"], name
        assert len(texts()[name].split()) <= 600, f"{name} is longer than a page"
