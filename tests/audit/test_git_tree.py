"""Hostile names survive the way from git through JSON and back, and reading never leaves the repository."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from runstone.audit.git_tree import Tracked, bytes_of, listing_arguments, name_of, parse_listing
from runstone.audit.reading import MAX_BYTES, Unreadable, describe, read_tracked
from runstone.audit.records import FileEntry

HOSTILE = [
    b"a b",
    b"line\nbreak",
    b"-rf",
    b"tab\there",
    b"quote'\"",
    b"caf\xe9",
    b"\xff\xfe",
    "ünï".encode(),
    b"a|b`c",
]


def git(folder: Path, *arguments: str | bytes) -> bytes:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.invalid"}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.invalid"}
    ran = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | who, capture_output=True, check=True, timeout=30
    )
    return ran.stdout


def listed(folder: Path) -> list[Tracked]:
    return parse_listing(git(folder, *listing_arguments(str(folder))))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def test_hostile_names_come_back_byte_for_byte(repository: Path) -> None:
    for name in HOSTILE:
        Path(os.fsdecode(os.path.join(os.fsencode(repository), name))).write_bytes(name)
    git(repository, "add", "--all")
    found = listed(repository)
    assert [tracked.path for tracked in found] == sorted(HOSTILE)
    entries = [describe(os.fsencode(repository), tracked) for tracked in found]
    assert json.loads(json.dumps(entries)) == entries
    assert [bytes_of(entry) for entry in entries] == sorted(HOSTILE)
    assert not any("skip" in entry for entry in entries)
    json.dumps(entries, ensure_ascii=False).encode(
        "utf-8"
    )  # well-formed text only: the ledger takes no other


def test_a_name_is_marked_only_when_it_is_not_text() -> None:
    assert name_of("ünï".encode()) == ("ünï", None)
    assert name_of(b"caf\xe9") == ("caf\\xe9", "caf%E9")


def test_a_path_in_a_merge_is_listed_once() -> None:
    record = b"100644 " + b"a" * 40
    output = record + b" 1\tx\0" + record + b" 2\tx\0" + record + b" 3\tx\0"
    assert [tracked.path for tracked in parse_listing(output)] == [b"x"]


@pytest.mark.parametrize("output", [b"no tab\0", b"100644 aa\tx\0", b"100644 aa 0\t\0"])
def test_a_listing_of_another_form_is_an_error(output: bytes) -> None:
    with pytest.raises(ValueError, match="unknown form"):
        parse_listing(output)


def test_what_is_no_regular_file_is_named_with_its_reason(repository: Path) -> None:
    outside = repository.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret\n")
    for name in ("gone", "fifo", "huge", "swapped", "folder", "kept"):
        (repository / name).write_text("x\n")
    (repository / "sub").mkdir()
    (repository / "sub" / "secret").write_text("x\n")
    (repository / "link").symlink_to(outside / "secret")
    git(repository, "add", "--all")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    for name in ("gone", "fifo", "swapped", "folder"):
        (repository / name).unlink()
    os.mkfifo(repository / "fifo")
    (repository / "huge").write_bytes(b"x" * (MAX_BYTES + 1))
    (repository / "swapped").symlink_to(outside / "secret")
    (repository / "folder").mkdir()
    (repository / "sub" / "secret").unlink()
    (repository / "sub").rmdir()
    (repository / "sub").symlink_to(outside)
    entries = {
        one["path"]: one for one in (describe(os.fsencode(repository), one) for one in listed(repository))
    }
    reasons = {path: entry.get("skip") for path, entry in entries.items()}
    assert reasons == {
        "gone": "deleted in the working tree",
        "fifo": "not a regular file in the working tree",
        "folder": "not a regular file in the working tree",
        "huge": f"larger than {MAX_BYTES:,} bytes ({MAX_BYTES + 1:,})",
        "kept": None,
        "link": "symbolic link",
        "module": "submodule: its files belong to another repository",
        "sub/secret": "behind a symbolic link",
        "swapped": "symbolic link in the working tree",
    }
    assert {entry["kind"] for entry in entries.values() if "skip" in entry} == {"skipped"}


def test_a_changed_file_is_a_changed_entry(repository: Path) -> None:
    (repository / "a").write_text("one\n")
    git(repository, "add", "a")

    def entry() -> FileEntry:
        return describe(os.fsencode(repository), listed(repository)[0])

    first, again = entry(), entry()
    (repository / "a").write_text("two\n")
    assert first == again
    assert entry() != first


def test_reading_below_a_linked_root_works(repository: Path) -> None:
    (repository / "d").mkdir()
    (repository / "d" / "a").write_text("x\n")
    link = repository.parent / "link"
    link.symlink_to(repository)
    assert read_tracked(os.fsencode(link), b"d/a", "100644") == b"x\n"
    with pytest.raises(Unreadable, match="deleted"):
        read_tracked(os.fsencode(link), b"e/a", "100644")
