"""How many checkpoints a run keeps while it works: `retention` among its options, or a table of runstone.toml."""

from typing import Any, Final

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidInput

OPTION: Final = "retention"

EVERY: Final = 50
"""After so many saves old checkpoints go; until then there are that many more than are to be kept."""


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last `checkpoints` stay, and those with a label unless they are not to be kept."""

    checkpoints: int | None = None
    keep_labelled: bool = True

    def __post_init__(self) -> None:
        if self.checkpoints is not None and self.checkpoints < 1:
            raise ValueError(
                f"checkpoints is {self.checkpoints}; the newest one stays, so it must be 1 or more"
            )


def retention_of(options: dict[str, Any]) -> Retention | None:
    """What the options of a run say; None where they say nothing. Raises `InvalidInput`."""
    if OPTION not in options:
        return None
    try:
        return msgspec.convert(options[OPTION], Retention)
    except (ValueError, TypeError) as error:
        shown = codec.shown(options[OPTION])
        raise InvalidInput(f'the option retention is {{"checkpoints": 20}}, not {shown}: {error}') from None
