"""Imports point one way, and drivers and frameworks stay below the folder that owns them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
PACKAGE = "runstone"

# cli -> server -> ledger -> engine -> store -> domain -> errors: a part imports its own rank and lower ones.
# `workspace` only finds and makes folders, so that every part above the domain may ask it.
ORDER = (
    ("errors",),
    ("domain",),
    ("workspace",),
    ("store",),
    ("engine",),
    # The facade, and its parts in files of their own.
    (
        "ledger",
        "background",
        "caring",
        "comparing",
        "checkpoints",
        "care",
        "config",
        "feeds",
        "ingesting",
        "inputs",
        "notebooks",
        "overview",
        "commands",
        "continuing",
        "redacting",
        "reports",
        "repricing",
        "retention",
        "trust",
        "views",
    ),
    ("execution", "forking", "queueing", "watching", "worker"),
    ("server", "client"),
    ("cli",),
)
RANKS = {part: rank for rank, row in enumerate(ORDER) for part in row}
# Outside of the row: what each may import of Runstone beside itself; `public` is the package's own face.
BESIDE = {
    "adapters": {"public", "errors"},
    "audit": {"public", "errors"},
    "testing": {"public", "errors", "domain", "store"},
}
PUBLIC = "public"
OWNERS = {
    "apsw": "store/",
    "psycopg": "store/",
    "litestar": "server/",
    "uvicorn": "server/",
    "httpx": "client/",
    "starlette": "server/",
    "dbos": "engine/dbos.py",
    "sqlalchemy": "engine/dbos.py",  # it comes with dbos, and makes the connections that dbos works on
    "genai_prices": "engine/prices.py",
    "click": "cli/",
    "rich": "cli/",
}
# What reads a clock, a disk, a network, chance or another thread: the domain is handed values instead.
IMPURE = {
    *(
        "asyncio",
        "datetime",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "platform",
        "psutil",
        "queue",
    ),
    *(
        "random",
        "secrets",
        "shutil",
        "signal",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
    ),
    "uuid",
}
IMPURE_ALLOWED = {
    ("datetime", "datetime"),
    ("datetime", "UTC"),
    ("datetime", "timezone"),
    ("datetime", "timedelta"),
}
SQL = re.compile(
    r"^\s*(SELECT\b.+\bFROM|INSERT\s+INTO|UPDATE\b.+\bSET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|PRAGMA)\b",
    re.DOTALL,
)


@dataclass(frozen=True)
class Import:
    """One import: the file and line it stands in, the module it names, and the name it takes from it."""

    file: str
    line: int
    module: str
    name: str = ""
    at_top: bool = True

    def __str__(self) -> str:
        return f"src/{PACKAGE}/{self.file}:{self.line} imports {self.module} {self.name}".rstrip()

    @property
    def source(self) -> str:
        return part_of(self.file.removesuffix(".py").split("/"))

    @property
    def target(self) -> str:
        """The part of Runstone that is imported; `public` for its face, empty for anything outside."""
        path = self.module.split(".")
        if path[0] != PACKAGE:
            return ""
        return part_of(path[1:]) if len(path) > 1 else self.name if self.name in parts() else PUBLIC


def part_of(path: list[str]) -> str:
    return PUBLIC if path == ["__init__"] else path[0]


@cache
def sources() -> dict[str, ast.Module]:
    root = SRC / PACKAGE
    return {str(file.relative_to(root)): ast.parse(file.read_text()) for file in sorted(root.rglob("*.py"))}


@cache
def parts() -> frozenset[str]:
    return frozenset(file.removesuffix(".py").split("/")[0] for file in sources()) - {"__init__"}


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for file, tree in sources().items() for found in imports_of(file, tree))


def imports_of(file: str, tree: ast.Module) -> Iterator[Import]:
    package = [PACKAGE, *file.split("/")[:-1]]
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, at_top=node in top)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(file, node.lineno, module, alias.name, at_top=node in top)


def test_every_part_has_a_place_in_the_order() -> None:
    unknown = parts() - set(RANKS) - set(BESIDE) - {"__main__"}
    assert not unknown, f"give these a place in ORDER or a rule in BESIDE: {sorted(unknown)}"


def test_imports_point_one_way() -> None:
    wrong = [str(found) for found in imports() if found.source in RANKS and not points_down(found)]
    assert not wrong, "\n".join(wrong)


def points_down(found: Import) -> bool:
    if not found.target:
        return True
    if found.target == PUBLIC:  # it gathers everything below the surfaces, so only these may use it
        return RANKS[found.source] > RANKS["execution"]
    return found.target in RANKS and RANKS[found.target] <= RANKS[found.source]


def test_adapters_and_bundled_workflows_use_the_public_api_only() -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.source in BESIDE
        and found.target
        and found.target not in BESIDE[found.source] | {found.source}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", sorted(OWNERS))
def test_drivers_and_frameworks_stay_with_their_owner(module: str) -> None:
    owner = OWNERS[module]
    wrong = [
        str(found)
        for found in imports()
        if found.module.split(".")[0] == module and not found.file.startswith(owner)
    ]
    assert not wrong, f"{module} belongs to {owner}:\n" + "\n".join(wrong)


def test_the_domain_is_pure() -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.source == "domain"
        and found.module.split(".")[0] in IMPURE
        and (found.module, found.name) not in IMPURE_ALLOWED
    ]
    wrong += [
        f"src/{PACKAGE}/{file}:{node.lineno} calls {node.func.attr}()"
        for file, tree in sources().items()
        if file.startswith("domain/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (isinstance(node.func, ast.Attribute) and node.func.attr in {"now", "utcnow", "today"})
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
    ]
    assert not wrong, "\n".join(wrong)


def test_sql_is_written_in_the_store_only() -> None:
    wrong = [
        f"src/{PACKAGE}/{file}:{node.lineno} {node.value.strip().splitlines()[0][:60]}"
        for file, tree in sources().items()
        if not file.startswith("store/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module_name(file): set() for file in sources()}
    for found in imports():
        if found.at_top and found.target:
            inner = f"{found.module}.{found.name}"
            target = inner if inner in graph else found.module
            if target != module_name(found.file):
                graph[module_name(found.file)].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def module_name(file: str) -> str:
    return ".".join([PACKAGE, *file.removesuffix(".py").split("/")]).removesuffix(".__init__")


@pytest.mark.parametrize(
    ("file", "text", "source", "target", "down"),
    [
        ("store/x.py", "from ..engine import local", "store", "engine", False),
        ("store/x.py", "def f():\n    import runstone.cli.main", "store", "cli", False),
        ("engine/x.py", "from runstone import Ledger", "engine", PUBLIC, False),
        ("engine/x.py", "from runstone import ledger", "engine", "ledger", False),
        ("cli/x.py", "from runstone import Ledger", "cli", PUBLIC, True),
        ("domain/x.py", "import msgspec", "domain", "", True),
    ],
)
def test_an_import_is_read_whatever_its_form(
    file: str, text: str, source: str, target: str, down: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.parts", lambda: frozenset(RANKS))
    (found,) = imports_of(file, ast.parse(text))
    assert (found.source, found.target, points_down(found)) == (source, target, down)
