"""Cursors of lists: opaque, and bound to the filters and the order that they were made for."""

import base64
import binascii
import hashlib
from typing import Any

import msgspec

from runstone.domain import codec
from runstone.errors import InvalidCursor


class Place(msgspec.Struct, frozen=True):
    """Where a page ended: the value that it is sorted by (None behind all that have one), and the run's key.

    `texts` is the newest text that the list's first page looked at.
    """

    value: int | None
    pk: int
    texts: int = 0


def shape(wanted: Any) -> str:
    """A short name of what a list was asked for."""
    return hashlib.blake2b(codec.canonical(wanted), digest_size=6).hexdigest()


def write(form: str, place: Place) -> str:
    """The cursor of a place in a list of that form."""
    value = "" if place.value is None else place.value
    text = f"{form}.{value}.{place.pk}.{place.texts}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(cursor: str, form: str) -> Place:
    """The place that a cursor names. Raises `InvalidCursor`, also for one of another list."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
        given, value, pk, texts = text.split(".")
        numbers = int(value or 0), int(pk), int(texts)
    except (AttributeError, ValueError, binascii.Error) as error:
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a list") from error
    if not all(-(2**63) <= number < 2**63 for number in numbers):
        raise InvalidCursor(f"{cursor!r:.80} is no cursor of a list")
    if given != form:
        raise InvalidCursor("the cursor belongs to a list with other filters or another order")
    return Place(numbers[0] if value else None, numbers[1], numbers[2])
