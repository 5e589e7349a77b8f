"""Nothing is kept that nobody uses: each named statement is asked for, and each kind of write is made."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runstone.store import migrations, statements

SRC = Path(__file__).resolve().parents[2] / "src" / "runstone"


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in SRC.rglob("*.py")}


def nodes() -> Iterator[ast.AST]:
    for tree in trees().values():
        yield from ast.walk(tree)


def test_each_named_statement_is_used() -> None:
    """By its name, as a part `{name}`, or by one that is put together: `f"{kind}_rows"` uses all that end so."""
    texts = {node.value for node in nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    queries = [path.read_text(encoding="utf-8") for path in SRC.rglob("queries/*.sql")]
    plain = texts | {name for text in (*texts, *queries) for name in re.findall(r"\{(\w+)\}", text)}
    made = [re.compile(pattern(node)) for node in nodes() if isinstance(node, ast.JoinedStr)]
    names = set(statements.load("runstone.store.sqlite"))
    unused = {name for name in names - plain if not any(one.fullmatch(name) for one in made)}
    assert unused == set()


def pattern(text: ast.JoinedStr) -> str:
    """What an f-string may be; one without a part of a name of its own may be anything, and uses nothing."""
    fixed = [part.value for part in text.values if isinstance(part, ast.Constant)]
    if not re.search(r"[a-z]_|_[a-z]", "".join(map(str, fixed))):
        return r"(?!)"
    return "".join(re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\w+" for p in text.values)


OF_A_FILE = {
    "merge_search", "total_changes", "free_pages", "copy_log", "empty_log", "give_back_pages", "empty_search",
    "rebuild_indexes",
}  # fmt: skip
"""What only a ledger in a file has: its pages, its log, and the parts of its full-text index (`queries/file.sql`)."""


def test_each_statement_is_there_for_both_stores() -> None:
    ours, shared = (set(statements.load(f"runstone.store.{name}")) for name in ("sqlite", "postgres"))
    assert ours - shared == OF_A_FILE
    assert shared <= ours


def test_what_both_stores_say_alike_stands_once() -> None:
    ours, theirs = (
        {
            file.stem: file.read_text(encoding="utf-8")
            for file in (SRC / "store" / name / "queries").glob("*.sql")
        }
        for name in ("sqlite", "postgres")
    )
    own = {name for text in ours.values() for name in re.findall(r"-- name: (\w+)", text)}
    own &= {name for text in theirs.values() for name in re.findall(r"-- name: (\w+)", text)}
    assert len(own) > 100
    sqlite, postgres = (statements.load(f"runstone.store.{name}") for name in ("sqlite", "postgres"))
    assert [name for name in sorted(own) if sqlite[name] == postgres[name]] == []


@pytest.mark.parametrize("package", ["runstone.store.sqlite", "runstone.store.postgres"])
def test_each_migration_has_a_number_of_its_own(package: str) -> None:
    """Of two with one number the second would never be applied."""
    assert [step.number for step in migrations.of(package)] == [*range(1, len(migrations.of(package)) + 1)]


def test_shared_code_has_no_words_of_one_backend() -> None:
    """What backends say in different words stands in their `queries/`, and in shared code as a part `{name}`."""
    own = {SRC / "store" / "sqlite", SRC / "store" / "postgres"}
    words = re.compile(r"json_each|INDEXED BY|sqlite_sequence|PRAGMA|::(?:bigint|text|json)\b|unnest\(")
    found = [
        f"{path}: {node.value}"
        for path, tree in trees().items()
        if not own & set(path.parents)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and words.search(node.value)
    ]
    assert found == []


def test_each_kind_of_write_is_made_somewhere() -> None:
    """Also as the base of another one."""
    kinds = {
        node.name
        for path, tree in trees().items()
        if path.parent == SRC / "store" / "writes"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "Write" for base in node.bases)
    }
    assert len(kinds) > 40
    used = {node.id for node in nodes() if isinstance(node, ast.Name)}
    used |= {node.attr for node in nodes() if isinstance(node, ast.Attribute)}
    assert kinds - used == set()
