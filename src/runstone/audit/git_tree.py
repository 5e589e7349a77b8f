"""Which files a git work tree tracks: the listing command, its parser, and names that fit into JSON."""

import os
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from runstone.audit.records import FileEntry

# An audited repository's own .git/config can name programs (fsmonitor, hooks). None of them may start.
SAFE_GIT = [
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "--no-optional-locks",
    "--literal-pathspecs",
]

SYMLINK, SUBMODULE = "120000", "160000"


class Tracked(NamedTuple):
    mode: str
    object_id: str
    path: bytes


def listing_arguments(folder: str) -> list[str]:
    """Arguments after `git` that list the tracked files below `folder` with mode and object id."""
    return [*SAFE_GIT, "-C", folder, "ls-files", "--stage", "-z"]


def parse_listing(output: bytes) -> list[Tracked]:
    """`mode object stage TAB path NUL` records; a path in a merge has up to three and is kept once.

    Raises ValueError for a record that is not of that form. Source: git-ls-files(1), OUTPUT.
    """
    found: dict[bytes, Tracked] = {}
    for record in output.split(b"\0"):
        if not record:
            continue
        head, tab, path = record.partition(b"\t")
        fields = head.split(b" ")
        if not tab or len(fields) != 3 or not path:
            raise ValueError(f"git ls-files printed a record of an unknown form: {record[:80]!r}")
        found.setdefault(path, Tracked(fields[0].decode("ascii"), fields[1].decode("ascii"), path))
    return sorted(found.values(), key=lambda tracked: tracked.path)


def name_of(path: bytes) -> tuple[str, str | None]:
    """(name for people, percent-encoded bytes or None): the second if the first can't give them back."""
    try:
        return path.decode("utf-8"), None
    except UnicodeDecodeError:
        return path.decode("utf-8", "backslashreplace"), quote_from_bytes(path)


def bytes_of(entry: FileEntry) -> bytes:
    """The path's bytes as git knows them."""
    raw = entry.get("raw")
    return unquote_to_bytes(raw) if raw is not None else entry["path"].encode("utf-8")
