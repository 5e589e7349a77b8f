"""Events as stored, given to a `History`: payloads decoded where they matter, and looked at where they do not."""

from collections.abc import Callable, Iterable

import msgspec

from runstone.domain import codec
from runstone.domain.history import NEEDED, History
from runstone.errors import RunstoneError
from runstone.store.base import Row

PAGE = 5_000
"""Events that are read at a time."""

TextOf = Callable[[str | None, str | None], str]

_valid = msgspec.json.Decoder(msgspec.Raw)


def extend(history: History, rows: Iterable[Row], text_of: TextOf) -> None:
    """Adds rows (run, seq, type, version, payload, payload_ref, at, attempt), which are in the order of `seq`."""
    for _, seq, kind, version, text, ref, at, attempt in rows:
        try:
            if kind in NEEDED:
                payload = codec.upcast(kind, version, codec.decode(text_of(text, ref)))
            else:
                payload = _valid.decode(text) if text is not None else None
        except (ValueError, RunstoneError) as error:  # msgspec's and Unicode's errors are ValueErrors
            history.unreadable(seq, kind, error)
            continue
        history.add(seq, kind, payload, at, attempt)
