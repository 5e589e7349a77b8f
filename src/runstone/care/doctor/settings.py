"""The workspace's runstone.toml, and the variables of the environment that matter."""

import os
import shlex
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from runstone import trust
from runstone.care.doctor.check import Check, note, ok, problem, warning
from runstone.errors import ConfigNotTrusted

FILE: Final = "runstone.toml"
_KNOWN: Final = (
    "RUNSTONE_WORKSPACE",
    "RUNSTONE_STATE_DIR",
    "RUNSTONE_RUN_ID",
    "RUNSTONE_INPUT",
    "RUNSTONE_FD",
)
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
            yield note("environment", f"{name} is {variables[name]}")
        elif name.startswith("RUNSTONE_") and name != "RUNSTONE_DEBUG":
            yield note("environment", f"{name} is set, and nothing of Runstone reads it", f"unset {name}")
