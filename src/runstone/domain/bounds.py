"""What callers' texts may be: no text in a ledger row is longer than 4 KB, so what could be is checked at the door."""

from typing import Any

from runstone.domain import codec
from runstone.errors import InvalidInput, ValueTooLarge


def bounded(name: str, text: str, limit: int = codec.ROW_TEXT_BYTES) -> str:
    """A row's text. Raises `ValueTooLarge` above `limit` bytes, `InvalidInput` for what is no text."""
    if len(codec.utf8(text, name)) > limit:
        raise ValueTooLarge(f"{name} has more than {limit:,} bytes")
    return text


def labels_of(labels: dict[str, str]) -> dict[str, str]:
    """Checked labels: texts by name, 4 KB in all."""
    if not isinstance(labels, dict):
        raise InvalidInput("labels are an object of texts")
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidInput(f"label {name!r:.80} must be a text")
    row_json("labels", labels)
    return labels


def role_of(role: str) -> str:
    """A message's role: a short text."""
    if not isinstance(role, str) or not 0 < len(role) <= 100:
        raise InvalidInput(f"role must be a short text such as user or assistant, not {role!r:.80}")
    return role


def row_json(name: str, value: Any) -> str:
    """JSON text that a row holds itself. Raises `ValueTooLarge` above 4 KB."""
    data = codec.encode(value)
    if len(data) > codec.ROW_TEXT_BYTES:
        raise ValueTooLarge(
            f"{name} has more than {codec.ROW_TEXT_BYTES:,} bytes as JSON",
            hint="give large values as the run's input, or as a message",
        )
    return data.decode()
