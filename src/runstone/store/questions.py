"""Reading input requests: one, a page of them, and what an attempt that goes on is given."""

from typing import Any

import msgspec

from runstone.domain import codec
from runstone.domain.bounds import asked_id
from runstone.domain.inputs import BUDGET_KEY, STATUSES, InputRequest
from runstone.domain.records import at, maybe_at
from runstone.errors import AmbiguousId, InvalidInput, NotFound
from runstone.store.base import Row
from runstone.store.reads import Reader

_HINT = "list them: runstone inputs list"


def get(reader: Reader, input_id: str) -> InputRequest:
    """The input request. Raises `NotFound`."""
    found = select(
        reader, "i.input_id = :input_id", input_id=asked_id("an input request's id", input_id), limit=1
    )
    if not found:
        raise NotFound(f"there is no input request {input_id}", hint=_HINT)
    return found[0][0]


def resolve(reader: Reader, text: str) -> str:
    """The id that a person means: the whole of it, or any part that only one has. Raises as `Reader.resolve`."""
    asked_id("an input request's id", text)
    found = [row[0] for row in reader.rows("input_ids_with", part=text)] if text else []
    if text in found:
        return text
    if not found:
        raise NotFound(f"there is no input request {text}", hint=_HINT)
    if len(found) > 1:
        raise AmbiguousId(f"{text} fits the input requests {found[0]}, {found[1]} and perhaps more")
    return str(found[0])


def page(
    reader: Reader, *, status: str | None, run_id: str | None, after: int, limit: int
) -> list[tuple[InputRequest, int]]:
    """Input requests from the oldest, with their integer keys."""
    where = ["i.id > :after"]
    params: dict[str, Any] = {"after": after, "limit": limit}
    if status is not None:
        if status not in STATUSES:
            raise InvalidInput(f"status {codec.shown(status)} is none of {', '.join(STATUSES)}")
        where.append(_SHOWN[status])
        params["status"] = status
    if run_id is not None:
        where.append("i.run = :run")
        params["run"] = reader.runs.pk(run_id)
    return select(reader, " AND ".join(where), **params)


_DUE = "(i.expires_at IS NOT NULL AND i.expires_at <= :now)"
_HERE = "r.status <> 'moved'"
_SHOWN = {
    "open": f"i.status = 'open' AND NOT {_DUE} AND {_HERE}",
    "expired": f"(i.status = 'expired' OR (i.status = 'open' AND {_DUE} AND {_HERE}))",
    "answered": "i.status = 'answered'",
    "withdrawn": "i.status = 'withdrawn'",  # those of a run that was moved are found by the run
}


def below(reader: Reader, run_id: str) -> list[InputRequest]:
    """Open questions in the tree that the run is part of, from the oldest."""
    root = reader.runs.pk(reader.runs.get(run_id).root_run_id)
    ids = [row[0] for row in reader.rows("open_inputs_below", root=root, now=reader.now())]
    return [get(reader, one) for one in ids]


def given(reader: Reader, run_id: str) -> tuple[InputRequest, ...]:
    """The closed questions of a run that it has saved no checkpoint since: what its next attempt is to be told."""
    where = (
        "i.run = :run AND i.status IN ('answered', 'expired') AND coalesce(i.key, '') NOT LIKE :budget AND NOT EXISTS "
        "(SELECT 1 FROM checkpoints c WHERE c.run = i.run AND c.attempt > i.attempt)"
    )
    return tuple(
        one
        for one, _ in select(reader, where, run=reader.runs.pk(run_id), budget=f"{BUDGET_KEY}%", limit=10_000)
    )


def select(reader: Reader, where: str, **params: Any) -> list[tuple[InputRequest, int]]:
    """Input requests that fit, with their integer keys, from the oldest."""
    found = reader.db.select(
        "input_columns",
        "input_tables",
        where,
        "ORDER BY i.id LIMIT :limit",
        {"now": reader.now(), **params},
    )
    return [(_record(reader, row), row[0]) for row in found]


def _record(reader: Reader, row: Row) -> InputRequest:
    (
        _pk, input_id, run_id, attempt, key, reason, message, message_ref, schema, schema_ref, choices, default,
        expires_at, status, response, response_ref, answered_by, asked_at, closed_at,
    ) = row  # fmt: skip
    if status == "expired" and closed_at is None:
        response = default  # its time is over, though nobody has written that down yet
    return InputRequest(
        id=input_id, run_id=run_id, attempt=attempt, key=key, reason=reason,
        message=reader.values.text(message, message_ref), response_schema=_json(reader, schema, schema_ref),
        choices=None if choices is None else tuple(codec.decode(choices)),
        default=msgspec.UNSET if default is None else codec.decode(default),
        expires_at=maybe_at(expires_at), status=status, response=_json(reader, response, response_ref),
        answered_by=answered_by, answered_at=maybe_at(closed_at) if status == "answered" else None,
        asked_at=at(asked_at), closed_at=maybe_at(closed_at),
    )  # fmt: skip


def _json(reader: Reader, text: str | None, ref: str | None) -> Any:
    return reader.values.json(ref) if text is None else codec.decode(text)
