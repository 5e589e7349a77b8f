"""Reading saved views, and how far each viewer has seen."""

from typing import TYPE_CHECKING

from runstone.domain import codec
from runstone.domain.records import Seen, View, at, maybe_at
from runstone.errors import NotFound
from runstone.store.base import Row

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Views:
    """Saved views of lists, and what viewers have seen."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def all(self) -> list[View]:
        """The views, from the first that was made."""
        return [_view(row) for row in self._reader.rows("views_list")]

    def get(self, view_id: str) -> View:
        """The view. Raises `NotFound`."""
        found = self._reader.rows("one_view", view_id=view_id)
        if not found:
            raise NotFound(f"there is no view {view_id}")
        return _view(found[0])

    def seen(self, viewer: str) -> Seen | None:
        """How far the viewer has seen."""
        found = self._reader.rows("seen_by", viewer=viewer)
        if not found:
            return None
        name, cursor, when, before = found[0]
        return Seen(viewer=name, cursor=cursor, at=at(when), before_at=maybe_at(before))


def _view(row: Row) -> View:
    view_id, name, filters, sort, order, grouping, default, revision, created, updated = row
    return View(
        id=view_id, name=name, filters=codec.decode(filters), sort=sort, order=order, grouping=grouping,
        default=bool(default), revision=revision, created_at=at(created), updated_at=at(updated),
    )  # fmt: skip
