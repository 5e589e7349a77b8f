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
    one = zstd.ZstdDecompressor()  # a value is one frame; `zstd.decompress` looks for more, and copies
    try:
        raw = one.decompress(data)
    except zstd.ZstdError as error:
        raise StoreCorrupt(f"a compressed value is damaged: {error}") from error
    if not one.eof or one.unused_data:
        raise StoreCorrupt("a compressed value is damaged: it is not one whole frame")
    return raw


def pack(data: bytes, stored: tuple[int, bytes] | None = None) -> tuple[str, int, int, bytes]:
    """(digest, codec, size, stored bytes) of raw bytes, which may be compressed already. Raises `ValueTooLarge`."""
    if len(data) > codec.MAX_VALUE_BYTES:
        raise ValueTooLarge(
            f"the value has {len(data):,} bytes; at most {codec.MAX_VALUE_BYTES:,} can be stored",
            hint="write it to a file and store the file's name and hash",
        )
    number, packed = compress(data) if stored is None else stored
    return codec.digest(data), number, len(data), packed


def unpack(digest: str, number: int, data: bytes) -> bytes:
    """The raw bytes of a stored blob, checked against its digest. Raises `StoreCorrupt`."""
    raw = decompress(number, data)
    if codec.digest(raw) != digest:
        raise StoreCorrupt(f"blob {digest[:12]}… does not have the content that its name says")
    return raw


def pack_value(value: Any) -> tuple[str, int, int, bytes]:
    """`pack` of a JSON value."""
    return pack(codec.encode(value))
