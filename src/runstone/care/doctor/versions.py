"""The programs that the ledger rests on."""

import platform
from collections.abc import Iterable, Iterator
from importlib import metadata, util
from typing import Final

from runstone.care.doctor.check import Check, note, ok, problem
from runstone.store.sqlite.inspect import library

UPGRADE: Final = "pip install --upgrade runstone apsw"
_EXTRAS: Final = {"prices": "genai_prices"}


def check_versions() -> Iterator[Check]:
    """Python, Runstone, SQLite and the extras."""
    linked = library()
    yield ok(
        "versions.python", f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    )
    yield ok("versions.runstone", f"Runstone {metadata.version('runstone')}, apsw {linked.driver}")
    yield check_sqlite(linked.version)
    yield check_options(linked.options)
    yield check_zstd()
    for extra, module in _EXTRAS.items():
        yield check_extra(extra, installed=util.find_spec(module) is not None)


def check_sqlite(version: str) -> Check:
    """SQLite from 3.7.0 to 3.51.2 can damage a ledger: two connections that reset its log at once lose commits."""
    number = tuple(int(part) for part in version.split("."))
    mended = number >= (3, 51, 3) or (3, 44, 6) <= number < (3, 45) or (3, 50, 7) <= number < (3, 51)
    if mended or number < (3, 7):
        return ok("versions.sqlite", f"SQLite {version}")
    return problem(
        "versions.sqlite", f"SQLite {version} has the fault that can damage a log of several writers", UPGRADE
    )


def check_options(options: Iterable[str]) -> Check:
    """The full-text index and threads need an SQLite that was built for them."""
    options = set(options)
    missing = {"ENABLE_FTS5"} - options
    if "THREADSAFE=0" in options:
        missing.add("THREADSAFE")
    if missing:
        return problem(
            "versions.options", f"this SQLite was built without {', '.join(sorted(missing))}", UPGRADE
        )
    return ok("versions.options", "SQLite is built with FTS5 and for threads")


def check_zstd() -> Check:
    """Blobs are compressed."""
    from runstone.store import blobs

    data = b"runstone" * 100
    _, number, _, packed = blobs.pack(data)
    if blobs.decompress(number, packed) != data:
        return problem("versions.zstd", "values do not come back from zstd as they were", UPGRADE)
    return ok("versions.zstd", "zstd works")


def check_extra(extra: str, *, installed: bool) -> Check:
    """An extra is needed only by what uses it."""
    if installed:
        return ok(f"versions.{extra}", f"the extra {extra} is installed")
    return note(
        f"versions.{extra}", f"the extra {extra} is not installed", f"pip install 'runstone[{extra}]'"
    )
