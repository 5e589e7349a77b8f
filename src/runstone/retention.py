"""Reads the table `[retention]` of runstone.toml: how many checkpoints the runs of a workspace keep.

Nothing of it is executed. Yet it takes away, so only a folder that was trusted may say it.
"""

from pathlib import Path
from typing import Final

import msgspec

from runstone.domain.retention import Retention
from runstone.errors import InvalidDefinition
from runstone.trust import is_trusted

FILE: Final = "runstone.toml"
TABLE: Final = "retention"


def default_of(root: Path) -> Retention:
    """What a workspace says. Raises `InvalidDefinition`, naming the file."""
    file = root / FILE
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return Retention()
    except OSError as error:
        raise InvalidDefinition(f"{file} cannot be read: {error.strerror}") from error
    if TABLE.encode() not in data or not is_trusted(root):
        return Retention()  # parsing a file costs more than opening a ledger
    import tomllib  # only where there is such a table: who imports Runstone does not pay for it

    try:
        return msgspec.convert(tomllib.loads(data.decode()).get(TABLE, {}), Retention)
    except ValueError as error:
        raise InvalidDefinition(f"{file}: {TABLE}: {error}") from error
