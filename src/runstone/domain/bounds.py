"""What callers' texts may be: no text in a ledger row is longer than 4 KB, so what could be is checked at the door."""

from collections.abc import Iterable, Mapping
from typing import Any

from runstone.domain import codec
from runstone.domain.retention import retention_of
from runstone.errors import InvalidInput, NotJournalable, ValueTooLarge


def bounded(name: str, text: str, limit: int = codec.ROW_TEXT_BYTES) -> str:
    """A row's text. Raises `ValueTooLarge` above `limit` bytes, `InvalidInput` for what is no text."""
    raw = codec.utf8(text, name)
    if b"\0" in raw:
        text = codec.row_text(text)
        raw = text.encode()
    if len(raw) > limit:
        raise ValueTooLarge(f"{name} has more than {limit:,} bytes")
    return text


def asked_id(what: str, text: str) -> str:
    """An id that a caller asks for. Raises `InvalidInput` for what no id can be: no text, or no Unicode."""
    try:
        codec.utf8(text, what)
    except NotJournalable as error:
        raise InvalidInput(str(error)) from None
    return text


def pairs(what: str, batch: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The pairs of a batch. Raises `InvalidInput`, naming the first that is none."""
    if isinstance(batch, str | bytes | Mapping) or not isinstance(batch, Iterable):
        raise InvalidInput(f"a batch is a list of pairs ({what}), not {codec.shown(batch)}")
    found = []
    for index, one in enumerate(batch):
        if not isinstance(one, tuple | list) or len(one) != 2:
            raise InvalidInput(f"item {index} of the batch must be a pair ({what}), not {codec.shown(one)}")
        found.append((one[0], one[1]))
    return found


def options_of(options: dict[str, Any]) -> dict[str, Any]:
    """Checked options: an object, 4 KB as JSON, with a retention that can be kept."""
    if not isinstance(options, dict):
        raise InvalidInput(f"options must be an object, not {codec.shown(options)}")
    retention_of(options)
    row_json("options", options)
    return options


def labels_of(labels: dict[str, str]) -> dict[str, str]:
    """Checked labels: texts by name, 4 KB in all."""
    if not isinstance(labels, dict):
        raise InvalidInput(f"labels are an object of texts, not {codec.shown(labels)}")
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidInput(f"label {codec.shown(name)} must be a text")
    if "\\u0000" in row_json("labels", labels):
        labels = {codec.row_text(name): codec.row_text(value) for name, value in labels.items()}
        row_json("labels", labels)
    return labels


def checked_mark(name: str, value: Any) -> bool:
    """A mark: True or False, nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is True or False, not {codec.shown(value)}")
    return value


def role_of(role: str) -> str:
    """A message's role: a short text."""
    if not isinstance(role, str) or not 0 < len(role) <= 100:
        raise InvalidInput(f"role must be a short text such as user or assistant, not {codec.shown(role)}")
    return codec.row_text(role)


def row_json(name: str, value: Any) -> str:
    """JSON text that a row holds itself. Raises `ValueTooLarge` above 4 KB."""
    data = codec.encode(value)
    if len(data) > codec.ROW_TEXT_BYTES:
        raise ValueTooLarge(
            f"{name} has more than {codec.ROW_TEXT_BYTES:,} bytes as JSON",
            hint="give large values as the run's input, or as a message",
        )
    return data.decode()


def checked_message(message: str) -> str:
    """A message to a run: text that is not empty. Raises `InvalidInput`."""
    codec.utf8(message, "message")
    if not message.strip():
        raise InvalidInput("there is nothing in the message")
    return message
