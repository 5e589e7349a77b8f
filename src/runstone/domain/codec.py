"""Values in and out of the ledger: only JSON goes in, and what comes out equals what went in.

A value is stored as UTF-8 JSON. Its key (see `keys.py`) is taken from the canonical form: sorted object keys, no
spaces. Structs and dataclasses are converted; bytes, tuples, sets, dates, NaN and non-string keys are refused, because
after a restart the caller would get something else back (text, lists, null) than in the first run.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from typing import Any

import msgspec

from runstone.domain.secrets import MARK, Secret
from runstone.errors import InvalidInput, NotJournalable, UnknownCodec

MAX_VALUE_BYTES = 64 * 1024 * 1024
"""One value may be 64 MB; more belongs in a file that a value names."""

ROW_TEXT_BYTES = 4096
"""No text in a ledger row is longer; longer text is a message or a blob."""

MAX_DEPTH = 200
"""Lists and objects within each other; a value is read by code that has less stack left than the one that wrote it."""

PLAIN, ZSTD = 0, 1
"""Codecs of stored blobs. A number above these is a later version's: `UnknownCodec`, never a guess."""

_SHALLOW = 2 * MAX_DEPTH
"""No shorter JSON is nested too deep; nor is any with fewer brackets than `MAX_DEPTH`, which are counted fast."""

_TEXT = {str}

_MAX_BITS = 14_280
"""Python refuses to read integers of more than 4,300 digits."""

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


def encode(value: Any) -> bytes:
    """JSON bytes of `value`. Raises `NotJournalable`, naming the place of what is not JSON."""
    try:
        data = _encoder.encode(value)
        if _decoder.decode(data) == value and not (_may_be_deep(data) and _is_deep(value)):
            return data
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass  # the walk below finds the place and says what is wrong with it
    return _encoder.encode(_convert(value, "$", 0))


def encode_items(items: list[Any]) -> list[bytes]:
    """`encode` of each item of a list, checked together. Whether one is nested too deep is for `require_shallow`."""
    try:
        found = [*map(_encoder.encode, items)]
        deep = [index for index, item in enumerate(items) if not _is_flat(item)]
        if [_decoder.decode(found[index]) for index in deep] == [items[index] for index in deep]:
            return found
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass  # the item that is no JSON is found below
    return [encode(item) for item in items]


def _is_flat(item: Any) -> bool:
    """Whether it is text, or an object of texts: JSON for sure, and seen in half the time of reading it back."""
    if type(item) is dict:
        return {*map(type, item), *map(type, item.values())} <= _TEXT
    return type(item) is str


def require_shallow(value: Any, data: bytes) -> None:
    """Raises `NotJournalable` for a value, and its JSON, that is nested too deep."""
    if _may_be_deep(data) and _is_deep(value):
        _convert(value, "$", 0)


def utf8(text: str, what: str) -> bytes:
    """UTF-8 of a text. Raises `InvalidInput` for what is no text and `NotJournalable` for lone surrogates."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what} must be text, not {type(text).__name__}")
    return _text(text, what).encode()


def shown(value: Any, limit: int = 80) -> str:
    """A refused value in a message. Some have no `repr`, such as an integer of more than 4,300 digits."""
    try:
        return f"{value!r:.{limit}}"
    except Exception:
        return f"a value of type {type(value).__name__}"


def decode(data: bytes | str) -> Any:
    """The value of JSON bytes."""
    return _decoder.decode(data)


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys. Equal bytes mean an equal value."""
    return _canonical.encode(decode(encode(value)))


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal: the name of a blob."""
    return hashlib.sha256(data).hexdigest()


def row_text(text: str) -> str:
    """A row's text: NUL, which texts of some databases cannot hold, becomes the sign for what cannot be shown."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def fits_a_row(raw: bytes) -> bool:
    """Whether a text may stand in a row: a long one does not, and NUL not in a row of every database."""
    return len(raw) <= ROW_TEXT_BYTES and b"\0" not in raw


def clip(text: str, limit: int = ROW_TEXT_BYTES) -> str:
    """`text`, or its beginning and an ellipsis where it is longer than `limit` bytes; the whole stays in the event."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"


def _convert(value: Any, place: str, depth: int) -> Any:
    """`value` with Structs and dataclasses made plain; raises at the first thing that is not JSON."""
    fields = None if isinstance(value, list) else _fields(value, place)
    if fields is None and not isinstance(value, list):
        return _scalar(value, place)
    if depth >= MAX_DEPTH:
        raise NotJournalable(f"{place[:120]}… is nested more than {MAX_DEPTH} deep")
    if fields is not None:
        return {name: _convert(item, f"{place}.{name}", depth + 1) for name, item in fields.items()}
    return [_convert(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]


def _fields(value: Any, place: str) -> dict[str, Any] | None:
    """What an object holds; None for what is no object."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise NotJournalable(f"{place} has the key {name!r:.80}; keys must be text")
        return {_text(str.__str__(name), place): item for name, item in value.items()}
    if isinstance(value, Secret):
        return {MARK: value.name}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _scalar(value: Any, place: str) -> Any:
    """A plain value. A subclass (an IntEnum, a str enum, NumPy's float64) counts as the number or text that it is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise NotJournalable(f"{place} is an integer of more than 4,300 digits")
        return int.__int__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJournalable(f"{place} is {float.__float__(value)}, which JSON does not have")
        return float.__float__(value)
    if isinstance(value, str):
        return _text(str.__str__(value), place)
    raise NotJournalable(f"{place} is a {type(value).__name__}, which JSON does not have")


def _may_be_deep(data: bytes) -> bool:
    return len(data) > _SHALLOW and data.count(b"[") + data.count(b"{") > MAX_DEPTH


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than `MAX_DEPTH` deep; level by level, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        nested = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        ]
        if not nested:
            return False
        level = [item for items in nested for item in items]
    return True


def _text(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotJournalable(f"{place} has a lone surrogate, which is not well-formed Unicode") from None
    return value


# --- versions of stored payloads ------------------------------------------------------------------------------------

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
_upcasters: dict[tuple[str, int], Upcaster] = {}


def upcaster(event_type: str, version: int) -> Callable[[Upcaster], Upcaster]:
    """Registers the step from `version` of a payload to the next one. Stored rows are never rewritten."""

    def register(function: Upcaster) -> Upcaster:
        _upcasters[event_type, version] = function
        return function

    return register


def upcast(event_type: str, version: int, payload: Any) -> Any:
    """The payload as the current version has it; a newer one is given as it is, with the fields we do not know."""
    while (step := _upcasters.get((event_type, version))) is not None:
        payload, version = step(payload), version + 1
    return payload


def upcast_json(event_type: str, version: int, payload: bytes) -> bytes:
    """As `upcast`, of a payload's JSON; most are of the current version, and stay the bytes that they are."""
    if (event_type, version) not in _upcasters:
        return payload
    return encode(upcast(event_type, version, decode(payload)))


def check_codec(codec: int) -> int:
    """`codec` if this version can read it, else `UnknownCodec`."""
    if codec not in (PLAIN, ZSTD):
        raise UnknownCodec(f"a stored value has codec {codec}; this version knows {PLAIN} and {ZSTD}")
    return codec
