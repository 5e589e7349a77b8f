"""`ledger.views` of a server's ledger: saved views of lists, and how far each viewer has seen."""

import builtins
from typing import Any

import msgspec

from runstone.client import decoding
from runstone.client.addresses import segment
from runstone.client.http import Http
from runstone.client.reading import RemoteReads, new_key
from runstone.domain.records import Seen, View
from runstone.errors import InvalidInput
from runstone.store import lists


class RemoteViews:
    """`ledger.views`: saved views of lists, and how far each viewer has seen."""

    def __init__(self, http: Http, reads: RemoteReads) -> None:
        self._http = http
        self._reads = reads

    def list(self) -> builtins.list[View]:
        """The views, from the first that was made."""
        return decoding.records(self._http.get("/views")["items"], View)

    def get(self, view_id: str) -> View:
        """The view. Raises `NotFound`."""
        return msgspec.convert(self._http.get(f"/views/{segment(view_id)}"), View)

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
        """Creates a view, or changes the one of `view_id` at that revision, as the embedded one does."""
        if revision is not None and view_id is None:
            raise InvalidInput("a revision is a number, with view_id")
        body = {"name": name, "filters": lists.plain_filters(filters), "sort": sort, "order": order,
                "grouping": grouping, "default": default, "revision": revision}  # fmt: skip
        method, path = ("POST", "/views") if view_id is None else ("PUT", f"/views/{segment(view_id)}")
        answer = self._http.request(method, path, body=body, key=new_key())
        return msgspec.json.decode(answer.content, type=View)

    def delete(self, view_id: str, *, revision: int | None = None) -> None:
        """Deletes a view; at that revision, where one is given. Raises `NotFound`, `RevisionConflict`."""
        self._http.request("DELETE", f"/views/{segment(view_id)}", params={"revision": revision}, tries=1)

    def seen(self, viewer: str) -> Seen | None:
        """How far a viewer has seen; None for one that never said so."""
        return msgspec.convert(self._http.get(f"/viewers/{segment(viewer)}/seen")["seen"], Seen | None)

    def mark_seen(self, viewer: str, cursor: str | None = None) -> Seen:
        """Notes that a viewer has seen all up to a cursor, or to now; an older one leaves it where it is."""
        body = {"cursor": self._reads.cursor() if cursor is None else cursor}
        answer = self._http.request("PUT", f"/viewers/{segment(viewer)}/seen", body=body)
        return msgspec.convert(msgspec.json.decode(answer.content)["seen"], Seen)
