"""Pages of lists."""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class PageOf(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Some items of a list."""

    items: list[T]
    next_cursor: str | None
    """For the items after these; null at the end. It belongs to the filters and the order that it was made with."""
    as_of: str
    """The position in the ledger as of which the page is: the stream after it brings all that changed since."""
