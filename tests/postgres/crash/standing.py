"""Which database stands for a folder, told by a file in it; DSNs are looked for as they are."""

from typing import Any

from runstone import workspace as places
from tests.postgres.over.elsewhere import standing
from tests.postgres.over.elsewhere.standing import dsn_of, stands_for

__all__ = ["dsn_of", "locate", "stands_for"]

_locate = places.locate


def locate(path: Any, *, create: bool) -> places.Workspace:
    """As `runstone.workspace.locate`."""
    look = _locate if places.is_dsn(path) else standing.locate
    return look(path, create=create)
