"""What lists and counts of runs are asked for: one set of parameters; a repeated one means any of its values."""

from typing import Annotated, Any, Final

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from runstone.errors import InvalidInput
from runstone.server.guards import PREFIXES

LABEL: Final = "label."
LABELLED: Final = {PREFIXES: [LABEL]}
"""Options of handlers that take `label.NAME=VALUE`."""

Several = Annotated[list[str] | None, QueryParameter(description="One value or several.")]
Time = Annotated[str | None, QueryParameter(description="A time as in RFC 3339.")]
Mark = Annotated[str | None, QueryParameter(description="true, false or any.")]

FiltersPart = NamedDependency[SkipValidation[dict[str, Any]]]


async def filters(
    *,
    request: Request[Any, Any, Any],
    status: Several = None,
    bucket: Several = None,
    kind: Several = None,
    agent_id: Several = None,
    definition_id: Several = None,
    parent_id: Several = None,
    root_id: Several = None,
    thread_id: Several = None,
    worker_thread_id: Several = None,
    board_id: Several = None,
    card_id: Several = None,
    forked_from: Several = None,
    phase: Several = None,
    depth: Several = None,
    created_from: Time = None,
    created_to: Time = None,
    updated_from: Time = None,
    updated_to: Time = None,
    ended_from: Time = None,
    ended_to: Time = None,
    q: Annotated[
        str | None, QueryParameter(max_length=1000, description="Words that all are in a text.")
    ] = None,
    pinned: Mark = None,
    archived: Mark = None,
) -> dict[str, Any]:
    """The filters as the ledger takes them; `label.NAME=VALUE` for labels. The archive is left out by default."""
    found: dict[str, Any] = {
        "status": status, "bucket": bucket, "kind": kind, "agent_id": agent_id, "definition_id": definition_id,
        "parent_id": parent_id, "root_id": root_id, "thread_id": thread_id, "worker_thread_id": worker_thread_id,
        "board_id": board_id, "card_id": card_id, "forked_from": forked_from, "phase": phase, "depth": depth,
        "created_from": created_from, "created_to": created_to, "updated_from": updated_from,
        "updated_to": updated_to, "ended_from": ended_from, "ended_to": ended_to, "q": q,
    }  # fmt: skip
    found = {name: value for name, value in found.items() if value is not None}
    if labels := labels_of(request):
        found["labels"] = labels
    return found | {"pinned": _mark("pinned", pinned), "archived": _mark("archived", archived or "false")}


def labels_of(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    """The values of each `label.NAME` of the query."""
    labels: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name.startswith(LABEL):
            labels.setdefault(name.removeprefix(LABEL), []).append(value)
    return labels


def _mark(name: str, given: str | None) -> bool | None:
    if given in (None, "any"):
        return None
    if given not in ("true", "false"):
        raise InvalidInput(f"{name} is true, false or any, not {given[:80]!r}")
    return given == "true"


FILTERS: Final = {"filters": Provide(filters)}
"""For handlers that ask for `filters`."""
