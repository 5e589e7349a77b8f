"""The workspace's runstone.toml, and the variables of the environment that matter."""

import os
import shlex
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from runstone import redacting, trust
from runstone.care.doctor.check import Check, note, ok, problem, warning
from runstone.errors import ConfigNotTrusted, RunstoneError
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.store.sqlite.inspect import rows_within
from runstone.workspace import shown_dsn

FILE: Final = "runstone.toml"
_KNOWN: Final = (
    "RUNSTONE_WORKSPACE",
    "RUNSTONE_DSN",
    "RUNSTONE_STATE_DIR",
    "RUNSTONE_RUN_ID",
    "RUNSTONE_INPUT",
    "RUNSTONE_FD",
)
_LOOK_S: Final = 2.0
_COUNTED: Final = 100
_TESTING: Final = ("RUNSTONE_CRASH_AT",)


def check_settings(root: Path) -> Iterator[Check]:
    """Whether the file can be read, is the user's own, and may run code. It is not loaded: that would run it."""
    file = root / FILE
    if not file.exists():
        yield ok("settings.file", f"there is no {FILE}")
        return
    quoted = shlex.quote(str(file))
    try:
        text = trust.read_owned(file)
        tomllib.loads(text.decode())
    except ConfigNotTrusted as error:
        yield problem("settings.owner", f"{error}", f"ls -l {quoted}")
        return
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        yield problem("settings.file", f"{file} is not TOML: {error}", f"less {quoted}")
        return
    yield ok("settings.file", f"{FILE} can be read")
    if trust.is_trusted(root):
        yield ok("settings.trust", f"{FILE} may import modules and start commands")
    else:
        yield note(
            "settings.trust", f"{FILE} was not allowed to run code yet", "runstone workflows list --trust"
        )
    if file.stat().st_mode & stat.S_IROTH:
        yield note("settings.mode", f"everyone may read {FILE}; keep no secrets in it", f"chmod o-r {quoted}")


def check_redaction(root: Path) -> Iterator[Check]:
    """Whether secrets are taken out of what is written here, as far as the file says: a caller may turn it off, too."""
    file = shlex.quote(str(root / FILE))
    try:
        found = redacting.redactor_of(root, True)
    except RunstoneError as error:
        told = f"nobody can write here, as the table [{redacting.TABLE}] is wrong: {error}"
        yield problem("settings.redaction", told, f"less {file}")
        return
    for unheeded in found.notes:
        yield note("settings.redaction", unheeded, f"less {file}")
    if not found.enabled:
        yield warning(
            "settings.redaction", f"secrets are written as they are: {FILE} turns it off", f"less {file}"
        )
    elif found.allowed:
        told = f"{FILE} lets {found.allowed} patterns of what looks like a secret pass"
        yield note("settings.redaction", told, f"less {file}")
    elif not found.notes:
        yield ok("settings.redaction", "secrets are taken out of what people are shown")


def check_hook(db: SQLiteDatabase) -> Iterator[Check]:
    """Texts that were replaced whole, as the function that a caller gave to take secrets out failed on them."""
    rows = rows_within(db, _LOOK_S, "search_texts", query='"redacted hook_failed"', limit=_COUNTED)
    if not rows:
        return
    run_id, thread_id = rows[0][1], rows[0][2]
    place = (
        f"runs show {shlex.quote(run_id)}" if run_id is not None else f"threads show {shlex.quote(thread_id)}"
    )
    told = f"{len(rows)}{'+' * (len(rows) == _COUNTED)} texts hold [redacted:hook_failed]: a redact= function failed"
    yield warning("settings.hook", told, f"runstone {place}")


def check_environment(variables: Mapping[str, str]) -> Iterator[Check]:
    """Variables that change what a command does, and those that nobody reads."""
    for name in sorted(variables):
        if name in _TESTING:
            yield problem(
                "environment", f"{name} is set: processes kill themselves on purpose", f"unset {name}"
            )
        elif name == "RUNSTONE_WORKSPACE" and not os.path.isdir(variables[name]):
            yield warning(
                "environment", f"{name} names {variables[name]}, which is no folder", f"unset {name}"
            )
        elif name in _KNOWN:
            yield note("environment", f"{name} is {shown_dsn(variables[name])}")
        elif name.startswith("RUNSTONE_") and name != "RUNSTONE_DEBUG":
            yield note("environment", f"{name} is set, and nothing of Runstone reads it", f"unset {name}")
