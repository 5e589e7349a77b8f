"""What was spent, and what is said somewhere: sums over all runs, and the search of texts."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get
from litestar.params import QueryParameter

from runstone.domain.records import SearchHit
from runstone.errors import InvalidInput
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.routes.asked import LABELLED, labels_of
from runstone.server.shapes.totals import TotalsShape, totals_of

Several = Annotated[list[str] | None, QueryParameter(description="One value or several.")]
Time = Annotated[str | None, QueryParameter(description="A time as in RFC 3339.")]


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of requests that have this in common."""

    by: dict[str, str | None]
    totals: TotalsShape


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A report: times in their order, else what cost most first."""

    items: list[UsageLine]


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """Texts that hold all words, the newest first."""

    items: list[SearchHit]


@get("/usage", summary="What was spent", opt=LABELLED)
async def get_usage(
    *,
    request: Request[Any, Any, Any],
    ledger: LedgerPart,
    reads: ReadsPart,
    by: Annotated[
        list[str] | None,
        QueryParameter(description="day or hour, model, provider, agent, workflow, thread, run, label:NAME."),
    ] = None,
    since: Time = None,
    until: Time = None,
    run_id: Annotated[str | None, QueryParameter(description="This run and all below it.")] = None,
    provider: Several = None,
    model: Several = None,
    agent: Several = None,
    workflow: Several = None,
    thread: Several = None,
) -> Usage:
    """Tokens and costs by what is asked for, `model` by default; `label.NAME=VALUE` for runs of a label."""
    labels = {name: _one(name, values) for name, values in labels_of(request).items()}
    found = await reads(
        ledger.usage, by or ["model"], since=_time("since", since), until=_time("until", until), run_id=run_id,
        labels=labels or None, provider=provider, model=model, agent=agent, workflow=workflow, thread=thread,
    )  # fmt: skip
    return Usage(items=[UsageLine(by=line.by, totals=totals_of(line.totals)) for line in found])


def _one(name: str, values: list[str]) -> str:
    if len(values) != 1:
        raise InvalidInput(f"label {name[:80]!r} takes one value here")
    return values[0]


def _time(name: str, given: str | None) -> datetime | None:
    try:
        return None if given is None else datetime.fromisoformat(given)
    except ValueError:
        raise InvalidInput(f"{name} is a time as in RFC 3339, not {given!r:.80}") from None


@get("/search", summary="Search texts")
async def search(
    ledger: LedgerPart,
    reads: ReadsPart,
    q: Annotated[str, QueryParameter(max_length=1000, description="Words that all are in a text.")],
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Hits:
    """Titles, prompts, summaries, errors and messages that hold all words."""
    return Hits(items=await reads(ledger.search, q, limit=limit))


router = Router(path="/", route_handlers=[get_usage, search], tags=["reports"])
