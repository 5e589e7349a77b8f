"""Values that may be large: how many bytes they have comes first, and they themselves only up to what is asked for."""

from typing import Annotated, Any, Final

import msgspec
from litestar.params import QueryParameter

from runstone.domain.state_diff import Change, StateDiff
from runstone.server.bodies import encode

MaxBytes = Annotated[
    int | None,
    QueryParameter(ge=0, le=2**53, description="A value with more bytes is left out; `bytes` says how many."),
]


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value that belongs to a run; null if it has none, and where it is left out."""

    value: Any
    bytes: int | None = None
    """With `max_bytes`: how many it has as it is stored."""
    ref: str | None = None
    """With `max_bytes`: its digest, by which /blobs gives the raw bytes."""
    cut: bool = False
    """It is left out, as it has more than `max_bytes`."""


class ShownChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference of two states. Paths are JSON Pointers; `text` is a unified diff by lines."""

    action: str
    """added, removed, changed or moved."""
    path: str
    moved_to: str | None = None
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    before_bytes: int | None = None
    """What was is left out: it has so many bytes of JSON."""
    after_bytes: int | None = None
    """What is is left out: it has so many bytes of JSON."""
    text: list[str] = []


class ShownDiff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The differences of two states, in the order of the second one."""

    changes: list[ShownChange]
    more: bool = False
    """There are more than 2,000."""


_NEVER: Final = 2**53


def diff_of(found: StateDiff, max_bytes: int | None) -> ShownDiff:
    """The differences as the API shows them; values with more bytes than that are left out."""
    limit = _NEVER if max_bytes is None else max_bytes
    return ShownDiff(changes=[_change_of(change, limit) for change in found.changes], more=found.more)


def _change_of(change: Change, limit: int) -> ShownChange:
    before, before_bytes = _shown(change.before, limit)
    after, after_bytes = _shown(change.after, limit)
    return ShownChange(
        action=change.action, path=change.path, moved_to=change.moved_to, before=before, after=after,
        before_bytes=before_bytes, after_bytes=after_bytes, text=list(change.text),
    )  # fmt: skip


def _shown(value: Any, limit: int) -> tuple[Any, int | None]:
    if value is msgspec.UNSET or limit == _NEVER:
        return value, None
    size = len(encode(value))
    return (value, None) if size <= limit else (msgspec.UNSET, size)
