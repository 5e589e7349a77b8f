"""Placeholders in the JSON values of a definition: `{input.path}`, `{item}`, `{phases.list.results.0.files}`.

A text that is one placeholder becomes the value itself, of whatever JSON type; inside a longer text a value is written
as text (text as it is, anything else as JSON). `{{word}}` stands for the text `{word}`; other braces mean nothing.
Keys of objects are never filled.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, final

import msgspec

from runstone.domain import codec
from runstone.domain.secrets import reference
from runstone.errors import InputRefused

_PLACEHOLDER: Final = re.compile(r"\{\{([\w.-]+)\}\}|\{([A-Za-z_][\w.-]*)\}", re.ASCII)


@final
class Placeholder(msgspec.Struct, frozen=True):
    """One placeholder: the place of its text inside the template (`.path[0]`), and its dotted name."""

    place: str
    name: str

    @property
    def path(self) -> list[str]:
        """The name's parts: `["phases", "list", "results"]`."""
        return self.name.split(".")


def placeholders(template: Any, place: str = "") -> Iterator[Placeholder]:
    """Every placeholder of a JSON value, in order."""
    if isinstance(template, str):
        for match in _PLACEHOLDER.finditer(template):
            if match[2]:
                yield Placeholder(place, match[2])
    elif isinstance(template, list):
        for index, item in enumerate(template):
            yield from placeholders(item, f"{place}[{index}]")
    elif isinstance(template, dict):
        for key, item in template.items():
            yield from placeholders(item, f"{place}.{key}")


def whole(template: Any) -> str | None:
    """The name of the placeholder that is all of the text, or None."""
    match = _PLACEHOLDER.fullmatch(template) if isinstance(template, str) else None
    return match[2] if match else None


def fill(template: Any, scope: Mapping[str, Any], place: str) -> Any:
    """The JSON value with every placeholder replaced from `scope`. Raises `InputRefused`, naming the place."""
    if isinstance(template, str):
        name = whole(template)
        if name is not None:
            return look_up(scope, name, place)
        return _PLACEHOLDER.sub(
            lambda m: f"{{{m[1]}}}" if m[1] else as_text(look_up(scope, m[2], place)), template
        )
    if isinstance(template, list):
        return [fill(item, scope, f"{place}[{index}]") for index, item in enumerate(template)]
    if isinstance(template, dict):
        return {key: fill(item, scope, f"{place}.{key}") for key, item in template.items()}
    return template


def fill_known(template: str, scope: Mapping[str, Any]) -> str:
    """The text with every placeholder that `scope` can fill; others stay as they are written."""

    def part(match: re.Match[str]) -> str:
        if match[1]:
            return f"{{{match[1]}}}"
        try:
            return as_text(look_up(scope, match[2], "text"))
        except InputRefused:
            return match[0]

    return _PLACEHOLDER.sub(part, template)


def look_up(scope: Mapping[str, Any], name: str, place: str) -> Any:
    """The part of `scope` that a dotted name means: object fields by name, list items by number."""
    value: Any = scope
    parts = name.split(".")
    for depth, part in enumerate(parts):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            above = ".".join(parts[:depth]) or "the definition's scope"
            raise InputRefused(f"{place} needs {{{name}}}, but {above} {_lacks(value, part)}")
    return value


def as_text(value: Any) -> str:
    """Text as it is, any other JSON value as JSON. Raises `InputRefused` for a secret, which is not known here."""
    if (name := reference(value)) is not None:
        raise InputRefused(
            f"the secret {name} cannot be put into a longer text",
            hint="hand it on whole ({input.FIELD}), and put the text together in the agent or its command",
        )
    return value if isinstance(value, str) else codec.encode(value).decode()


def _lacks(value: Any, part: str) -> str:
    if isinstance(value, Mapping):
        return f"has no {part!r}"
    if isinstance(value, list):
        return (
            f"has {len(value)} items, and no {part}"
            if part.isdecimal()
            else f"is a list, and {part!r} no number"
        )
    return "is null" if value is None else f"is {codec.encode(value).decode():.60}, which has no parts"
