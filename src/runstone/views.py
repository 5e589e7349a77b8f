"""Saved views of lists, and what each viewer has seen: for user interfaces, kept in the ledger."""

import builtins
from typing import TYPE_CHECKING, Any, Final

from runstone.domain import codec, keys
from runstone.domain.bounds import bounded, checked_mark, row_json
from runstone.domain.records import Seen, View
from runstone.errors import InvalidCursor, InvalidInput
from runstone.store import lists
from runstone.store.writes.views import DeleteView, MarkSeen, NewView, SaveView

if TYPE_CHECKING:
    from runstone.ledger import Ledger

GROUPINGS: Final = (
    "bucket", "status", "kind", "agent_id", "definition_id", "thread_id", "root_id", "phase", "day",
)  # fmt: skip
LABEL: Final = "label:"
NAME_BYTES: Final = 200


class Views:
    """`ledger.views`: saved views of lists, and how far each viewer has seen."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger

    def list(self) -> builtins.list[View]:
        """The views, at most 200, from the first that was made."""
        return self._ledger.reader.views.all()

    def get(self, view_id: str) -> View:
        """The view. Raises `NotFound`."""
        return self._ledger.reader.views.get(keys.check_id(view_id, "view_id"))

    def put(
        self,
        name: str,
        filters: dict[str, Any],
        *,
        sort: str = "updated",
        order: str = "desc",
        grouping: str | None = None,
        default: bool = False,
        view_id: str | None = None,
        revision: int | None = None,
    ) -> View:
        """Creates a view, or changes the one of `view_id` at that revision.

        `filters` are those of `list_runs`, with times as datetimes or RFC 3339 text; `ledger.list_runs(**view.filters)`
        takes them. `grouping` is bucket, status, kind, agent_id, definition_id, thread_id, root_id, phase, day or
        label:NAME. One view may be the default. Raises `RevisionConflict`, `NotFound`, `InvalidInput`.
        """
        core = self._ledger.core
        if sort not in lists.SORTS or order not in ("asc", "desc"):
            told = f"{codec.shown(sort)} {codec.shown(order)}"
            raise InvalidInput(f"sort is one of {', '.join(lists.SORTS)} and order asc or desc, not {told}")
        if revision is not None and (type(revision) is not int or view_id is None):
            raise InvalidInput(f"a revision is a number, with view_id, not {codec.shown(revision)}")
        view = NewView(
            view_id=core.new_id() if view_id is None else keys.check_id(view_id, "view_id"), name=_name(name),
            filters_json=row_json("filters", lists.plain_filters(filters)), sort=sort, order=order,
            grouping=_grouping(grouping), default=checked_mark("default", default),
        )  # fmt: skip
        core.submit(SaveView(view, revision), []).result()
        return self.get(view.view_id)

    def delete(self, view_id: str, *, revision: int | None = None) -> None:
        """Deletes a view; at that revision, where one is given. Raises `NotFound`, `RevisionConflict`."""
        self._ledger.core.submit(DeleteView(keys.check_id(view_id, "view_id"), revision), []).result()

    def seen(self, viewer: str) -> Seen | None:
        """How far a viewer has seen; None for one that never said so.

        What happened since is `ledger.tail(seen.cursor)`; after a restore that begins with `ledger.reset`.
        """
        return self._ledger.reader.views.seen(_viewer(viewer))

    def mark_seen(self, viewer: str, cursor: str | None = None) -> Seen:
        """Notes that a viewer has seen all up to a cursor, or to now; an older one leaves it where it is.

        Raises `InvalidCursor` for the cursor of another ledger, or of what has not happened.
        """
        events = self._ledger.reader.events
        now = events.cursor()
        epoch, _, position = (now if cursor is None else _cursor(cursor)).rpartition("-")
        if epoch != events.epoch() or int(position) > events.last_position():
            raise InvalidCursor(f"{codec.shown(cursor)} is no cursor of this ledger")
        self._ledger.core.submit(MarkSeen(_viewer(viewer), epoch, int(position)), []).result()
        seen = self.seen(viewer)
        assert seen is not None
        return seen


def _cursor(cursor: str) -> str:
    position = cursor.rpartition("-")[2] if isinstance(cursor, str) else ""
    if not (position.isascii() and position.isdecimal()) or len(position) > 18:
        raise InvalidCursor(f"{codec.shown(cursor)} is no cursor of a ledger")
    return cursor


def _viewer(viewer: str) -> str:
    return bounded("viewer", keys.check_id(viewer, "viewer"), NAME_BYTES)


def _name(name: str) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InvalidInput(f"a view's name is a printable text, not {codec.shown(name)}")
    return bounded("name", name.strip(), NAME_BYTES)


def _grouping(grouping: str | None) -> str | None:
    if grouping is None or grouping in GROUPINGS:
        return grouping
    if not isinstance(grouping, str) or not grouping.startswith(LABEL) or not 6 < len(grouping) <= 200:
        raise InvalidInput(
            f"a list is grouped by {', '.join(GROUPINGS)} or label:NAME, not {codec.shown(grouping)}"
        )
    codec.utf8(grouping, "grouping")
    return grouping
