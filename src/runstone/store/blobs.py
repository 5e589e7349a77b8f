"""Blobs: content-addressed, compressed values. The digest is of the raw bytes, so damage is found when one is read."""

import sys
from typing import Any

from runstone.domain import codec
from runstone.errors import StoreCorrupt, ValueTooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MIN_COMPRESSED = 256
"""Shorter values do not shrink enough to pay for the frame."""


def compress(data: bytes) -> tuple[int, bytes]:
    """(codec, stored bytes): compressed where that is smaller."""
    if len(data) >= _MIN_COMPRESSED:
        packed = zstd.compress(data)
        if len(packed) < len(data):
            return codec.ZSTD, packed
    return codec.PLAIN, data


def decompress(number: int, data: bytes) -> bytes:
    """The raw bytes. Raises `UnknownCodec` or `StoreCorrupt`."""
    if codec.check_codec(number) == codec.PLAIN:
        return bytes(data)
    try:
        return zstd.decompress(data)
    except zstd.ZstdError as error:
        raise StoreCorrupt(f"a compressed value is damaged: {error}") from error


def pack(data: bytes) -> tuple[str, int, int, bytes]:
    """(digest, codec, size, stored bytes) of raw bytes. Raises `ValueTooLarge` above 64 MB."""
    if len(data) > codec.MAX_VALUE_BYTES:
        raise ValueTooLarge(
            f"the value has {len(data):,} bytes; at most {codec.MAX_VALUE_BYTES:,} can be stored",
            hint="write it to a file and store the file's name and hash",
        )
    return (codec.digest(data), *_sized(data))


def _sized(data: bytes) -> tuple[int, int, bytes]:
    number, stored = compress(data)
    return number, len(data), stored


def unpack(digest: str, number: int, data: bytes) -> bytes:
    """The raw bytes of a stored blob, checked against its digest. Raises `StoreCorrupt`."""
    raw = decompress(number, data)
    if codec.digest(raw) != digest:
        raise StoreCorrupt(f"blob {digest[:12]}… does not have the content that its name says")
    return raw


def pack_value(value: Any) -> tuple[str, int, int, bytes]:
    """`pack` of a JSON value."""
    return pack(codec.encode(value))
