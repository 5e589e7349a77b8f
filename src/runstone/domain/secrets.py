"""Secrets that an input names and the ledger does not keep: references, and what stands for them while code runs.

In an input a secret is `{"$secret": "NAME"}`. A function gets a `Secret`, which gives its value only when asked; the
key of a call is taken of the reference, so another value under the same name reuses finished work.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, final

import msgspec

from runstone.errors import InvalidInput, SecretMissing

MARK: Final = "$secret"
MAX_DEPTH: Final = 200
"""No JSON value is nested deeper; see codec.py."""
MARK_BYTES: Final = b'"$secret"'
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")

Find = Callable[[str], str | None]
"""Gives the value of a name; None where there is none."""

Source = Mapping[str, str] | Callable[[str], str | None]
"""Where a caller's values come from."""


@final
class Secret:
    """A secret by its name: put it anywhere in an input. The ledger keeps the name, never the value.

    An agent, step or workflow gets it back as a `Secret`, and `reveal()` gives the value there. It is no text, so that
    it cannot get into an event, a message or another input by accident.
    """

    __slots__ = ("_find", "_name")

    def __init__(self, name: str) -> None:
        """`name` is 1 to 200 letters, digits and any of _ . -, as that of a variable. Raises `InvalidInput`."""
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise InvalidInput(
                f"a secret's name is 1 to 200 letters, digits and any of _ . -, not {name!r:.120}",
                hint="give the name, not the value: runstone.Secret('GITHUB_TOKEN')",
            )
        self._name = name
        self._find: Find | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def reveal(self) -> str:
        """The value. Raises `SecretMissing` where nobody gave one."""
        if self._find is None:
            raise SecretMissing(
                f"the secret {self._name} has a value only in the code that it was given to",
                hint="put it into the input of an agent, a step or a workflow, and reveal it there",
            )
        return required(self._name, self._find)

    def __repr__(self) -> str:
        return f"Secret({self._name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._name == self._name

    def __hash__(self) -> int:
        return hash((MARK, self._name))

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self  # it cannot be changed, and a copy would lose where its value comes from

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return Secret, (self._name,)


def required(name: str, find: Find) -> str:
    """The value of a name. Raises `SecretMissing`."""
    value = find(name)
    if value is None:
        raise SecretMissing(f"the secret {name} has no value here", names=[name])
    return value


def reference(value: Any) -> str | None:
    """The name that a value refers to; None for what is no reference."""
    if isinstance(value, Secret):
        return value.name
    if isinstance(value, dict) and len(value) == 1:
        name = value.get(MARK)
        if isinstance(name, str) and _NAME.fullmatch(name) is not None:
            return name
    return None


def names_in(value: Any, *, objects_only: bool = False, depth: int = 0) -> Iterator[str]:
    """The names of the secrets in a value; with `objects_only` only of those that code put there itself."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, msgspec.Struct):
        value = {field: getattr(value, field) for field in value.__struct_fields__}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    name = reference(value)
    if name is not None:
        if isinstance(value, Secret) or not objects_only:
            yield name
    elif isinstance(value, dict):
        for item in value.values():
            yield from names_in(item, objects_only=objects_only, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from names_in(item, objects_only=objects_only, depth=depth + 1)


def bound(value: Any, find: Find, *, objects_only: bool = False) -> Any:
    """The value with a `Secret` for each reference that can be revealed by `find`; the same object without any."""
    name = reference(value)
    if name is not None and (isinstance(value, Secret) or not objects_only):
        secret = Secret(name)
        secret._find = find
        return secret
    if isinstance(value, dict):
        fields = {key: bound(item, find, objects_only=objects_only) for key, item in value.items()}
        return fields if any(fields[key] is not value[key] for key in fields) else value
    if isinstance(value, list | tuple):
        items = [bound(item, find, objects_only=objects_only) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    return value


def revealed(value: Any) -> Any:
    """The value with the text of each secret in its place: for a command. Raises `SecretMissing`."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, list) else value


def hidden(value: Any, fields: tuple[str, ...], prefix: str) -> tuple[Any, dict[str, str]]:
    """The input with a reference for each text in a declared field, and the texts by their names."""
    if not isinstance(value, dict):
        return value, {}
    given = {name_of(prefix, field): value[field] for field in fields if isinstance(value.get(field), str)}
    if not given:
        return value, {}
    shown = {field: Secret(name_of(prefix, field)) for field in fields if isinstance(value.get(field), str)}
    return {**value, **shown}, given


def name_of(prefix: str, field: str) -> str:
    """The name of a declared field's secret, fit for a variable: `X_TOKEN` for the field `token` of agent `x`."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", f"{prefix}_{field}").upper()[:200]
    return f"_{name[:199]}" if name[0].isdigit() else name
