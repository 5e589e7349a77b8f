"""Saved views of lists, changed by comparing revisions, and how far each viewer has seen."""

from typing import Final

import msgspec

from runstone.errors import InvalidInput, NotFound, RevisionConflict
from runstone.store.base import Row, Write
from runstone.store.batch import Batch

VIEWS_MAX: Final = 200
VIEWERS_MAX: Final = 10_000
PAUSE_US: Final = 10 * 60 * 1_000_000
"""Who says nothing for so long has gone: what comes then is another visit."""


class NewView(msgspec.Struct, frozen=True, kw_only=True):
    """A view on its way in, checked."""

    view_id: str
    name: str
    filters_json: str
    sort: str
    order: str
    grouping: str | None
    default: bool


class SaveView(Write):
    """Creates a view (`revision` None), or changes it at that revision. The value is the new revision.

    Raises `RevisionConflict`, `NotFound`, and `InvalidInput` for a name that another one has.
    """

    __slots__ = ("revision", "view")

    def __init__(self, view: NewView, revision: int | None) -> None:
        self.view = view
        self.revision = revision

    def decide(self, batch: Batch) -> int:
        view = self.view
        standing = batch.read("view_standing", view_id=view.view_id, name=view.name)[0]
        pk, revision, created_at, namesake, default, count = standing
        _compare(view.view_id, revision, self.revision)
        if namesake not in (None, view.view_id):
            raise InvalidInput(
                f"there is a view {view.name} already", hint="give it another name, or change that one"
            )
        if pk is None and count >= VIEWS_MAX:
            raise InvalidInput(f"there are {VIEWS_MAX} views", hint="delete one that nobody needs")
        if view.default and default not in (None, pk):
            batch.stage("no_default_view", default)
            batch.flush()  # one default at a time, at every statement
        number = batch.number("views") if pk is None else pk
        batch.stage(
            "save_view", number, view.view_id, view.name, view.filters_json, view.sort, view.order, view.grouping,
            int(view.default), (revision or 0) + 1, created_at or batch.now, batch.now,
        )  # fmt: skip
        return (revision or 0) + 1


def _compare(view_id: str, revision: int | None, asked: int | None) -> None:
    if revision is None and asked is not None:
        raise NotFound(f"there is no view {view_id}")
    if revision is not None and revision != asked:
        told = "" if asked is None else f", not {asked}"
        raise RevisionConflict(f"view {view_id} is at revision {revision}{told}", revision=revision)


class DeleteView(Write):
    """Deletes a view; at that revision, where one is given. Raises `NotFound`, `RevisionConflict`."""

    __slots__ = ("revision", "view_id")

    def __init__(self, view_id: str, revision: int | None) -> None:
        self.view_id = view_id
        self.revision = revision

    def decide(self, batch: Batch) -> None:
        pk, revision, *_ = batch.read("view_standing", view_id=self.view_id, name="")[0]
        if pk is None:
            raise NotFound(f"there is no view {self.view_id}")
        _compare(self.view_id, revision, revision if self.revision is None else self.revision)
        batch.stage("delete_view", pk)


class MarkSeen(Write):
    """Notes up to where a viewer has seen; it never goes back, but for the cursor of another epoch. The value is it.

    After a pause it begins another visit, and keeps when the one before ended.
    """

    __slots__ = ("epoch", "position", "viewer")

    def __init__(self, viewer: str, epoch: str, position: int) -> None:
        self.viewer = viewer
        self.epoch = epoch
        self.position = position

    def decide(self, batch: Batch) -> str:
        known = batch.read("seen_by", viewer=self.viewer)
        if not known and batch.read("viewers")[0][0] >= VIEWERS_MAX:
            raise InvalidInput(f"there are {VIEWERS_MAX} viewers")
        _, cursor, at, before_at = known[0] if known else ("", "-0", batch.now, None)
        epoch, _, position = cursor.rpartition("-")
        returns = batch.now - at > PAUSE_US
        if epoch != self.epoch or int(position) < self.position:
            cursor = f"{self.epoch}-{self.position}"
        elif known and not returns:
            return str(cursor)
        batch.stage("save_seen", self.viewer, cursor, batch.now, at if returns else before_at)
        return str(cursor)


class ImportViews(Write):
    """Writes views that are not here, as far as there is room, their names are free, and no other is the default."""

    __slots__ = ("views",)

    def __init__(self, views: list[Row]) -> None:
        self.views = views

    def decide(self, batch: Batch) -> int:
        taken = 0
        for view_id, name, *rest, default, _revision, created_at, updated_at in self.views:
            pk, _, _, namesake, present, count = batch.read("view_standing", view_id=view_id, name=name)[0]
            if pk is None and namesake is None and count < VIEWS_MAX:
                first = int(bool(default) and present is None)
                number = batch.number("views")
                batch.stage("save_view", number, view_id, name, *rest, first, 1, created_at, updated_at)
                taken += 1
        return taken
