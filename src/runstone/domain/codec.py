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

from runstone.errors import NotJournalable, UnknownCodec

MAX_VALUE_BYTES = 64 * 1024 * 1024
"""One value may be 64 MB; more belongs in a file that a value names."""

ROW_TEXT_BYTES = 4096
"""No text in a ledger row is longer; longer text is a message or a blob."""

PLAIN, ZSTD = 0, 1
"""Codecs of stored blobs. A number above these is a later version's: `UnknownCodec`, never a guess."""

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


def encode(value: Any) -> bytes:
    """JSON bytes of `value`. Raises `NotJournalable`, naming the place of what is not JSON."""
    try:
        data = _encoder.encode(value)
        if _decoder.decode(data) == value:
            return data
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass  # the walk below finds the place and says what is wrong with it
    return _encoder.encode(_convert(value, "$", 0))


def decode(data: bytes | str) -> Any:
    """The value of JSON bytes."""
    return _decoder.decode(data)


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys. Equal bytes mean an equal value."""
    return _canonical.encode(decode(encode(value)))


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal: the name of a blob."""
    return hashlib.sha256(data).hexdigest()


def clip(text: str, limit: int = ROW_TEXT_BYTES) -> str:
    """`text`, or its beginning and an ellipsis where it is longer than `limit` bytes; the whole stays in the event."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"


def _convert(value: Any, place: str, depth: int) -> Any:
    """`value` with Structs and dataclasses made plain; raises at the first thing that is not JSON."""
    if depth > 200:
        raise NotJournalable(f"{place[:120]}… is nested more than 200 deep")
    kind = type(value)
    if value is None or kind in (bool, str):
        return _text(value, place) if kind is str else value
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise NotJournalable(f"{place} is an integer of more than 64 bits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise NotJournalable(f"{place} is {value}, which JSON does not have")
        return value
    if kind is list:
        return [_convert(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
    if kind is dict:
        return _convert_dict(value, place, depth)
    if isinstance(value, msgspec.Struct):
        return {
            name: _convert(getattr(value, name), f"{place}.{name}", depth + 1)
            for name in value.__struct_fields__
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _convert(getattr(value, field.name), f"{place}.{field.name}", depth + 1)
            for field in dataclasses.fields(value)
        }
    if isinstance(value, str):  # a str enum or another subclass: its text is its value
        return _text(str.__str__(value), place)
    raise NotJournalable(f"{place} is a {kind.__name__}, which JSON does not have")


def _convert_dict(value: dict[Any, Any], place: str, depth: int) -> dict[str, Any]:
    for name in value:
        if not isinstance(name, str):
            raise NotJournalable(f"{place} has the key {name!r}; keys must be text")
        _text(name, place)
    return {name: _convert(item, f"{place}.{name}", depth + 1) for name, item in value.items()}


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


def check_codec(codec: int) -> int:
    """`codec` if this version can read it, else `UnknownCodec`."""
    if codec not in (PLAIN, ZSTD):
        raise UnknownCodec(f"a stored value has codec {codec}; this version knows {PLAIN} and {ZSTD}")
    return codec
