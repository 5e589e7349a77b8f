"""Keys: by which a child or a step is found again, and the ids of new records.

A key is the hash of what the work *is* (kind, name, version, input, options), not of when it was asked for. So an edit
of the workflow, another order or a race between siblings changes no key. Two equal calls under one parent share a key;
`domain/resume.py` tells them apart.
"""

import hashlib
from typing import Any

from runstone.domain import codec
from runstone.errors import InvalidInput

_KEY_BYTES = 16


def child_key(kind: str, name: str, version: str, input: Any, options: Any = None) -> str:
    """Key of a child run or step, 32 hexadecimal characters. Raises `NotJournalable` for an input that is not JSON."""
    return _hash(codec.canonical([kind, name, version, input, options or {}]))


def explicit_key(kind: str, name: str, key: str) -> str:
    """Key of a call with `key=`: the caller's text replaces version, input and options."""
    if not isinstance(key, str) or not key:
        raise InvalidInput(f"key= must be text that is not empty, not {codec.shown(key)}")
    return _hash(codec.canonical(["key", kind, name, key]))


def definition_hash(definition: Any) -> str:
    """Hash of a definition's content, for showing and comparing."""
    return _hash(codec.canonical(definition))


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_KEY_BYTES).hexdigest()


def time_ordered_id(at_us: int, random: bytes) -> str:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, then version, variant and 74 of the 80 random bits."""
    value = (at_us // 1000 & (1 << 48) - 1) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_id(value: str, what: str = "id") -> str:
    """A caller's own id: 1 to 200 printable characters without spaces or slashes."""
    ok = isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
    if not ok or any(c.isspace() or c in "/\\" for c in value):
        raise InvalidInput(
            f"{what} {codec.shown(value, 250)} must be 1 to 200 printable characters without spaces or slashes"
        )
    return value
