"""Where the values of secrets come from while runs execute. They are in memory only, and redacted once known."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from runstone.domain import codec
from runstone.domain.redaction import Redactor
from runstone.domain.secrets import MARK_BYTES, Find, Source, names_in
from runstone.errors import InvalidInput, SecretMissing

_NO_VALUES: Final[Mapping[str, str]] = {}


class Vault:
    """The values for one tree of runs in this process.

    Asked in this order: what was given in a declared field of the run, the caller's sources, then the environment. The
    environment only for names that a person or the code gave: an input that a model wrote must not read variables.
    """

    def __init__(self, redactor: Redactor | None = None, *sources: Source | None) -> None:
        self._redactor = redactor or Redactor()
        self._sources = [_checked(source) for source in sources if source is not None]
        self._given: dict[str, dict[str, str]] = {}
        self._allowed: set[str] = set()

    def give(self, run_id: str, values: Mapping[str, str]) -> None:
        """Takes the values of a run's declared fields."""
        for name, value in values.items():
            self._redactor.know(name, value)
            self._allowed.add(name)
        if values:
            self._given[run_id] = {**self._given.get(run_id, _NO_VALUES), **values}

    def allow(self, names: Iterable[str]) -> None:
        """Names that a person put into the root's input, or that code put into a child's."""
        self._allowed.update(names)

    def refuse_unknown(self, names: Iterable[str]) -> None:
        """Raises `SecretMissing` for a reference that nobody but data brought in."""
        unknown = sorted({name for name in names if name not in self._allowed})
        if unknown:
            raise SecretMissing(
                f"an input refers to the secret {unknown[0]}, which this run was not given",
                hint="put runstone.Secret(NAME) into the input: a reference that comes from data is not heeded",
                names=unknown,
            )

    def require(self, run_id: str, names: Iterable[str]) -> None:
        """Raises `SecretMissing`, naming all that have no value."""
        missing = sorted({name for name in names if self.find(run_id, name) is None})
        if missing:
            told = "secret" if len(missing) == 1 else "secrets"
            raise SecretMissing(f"the {told} {', '.join(missing)} has no value here", names=missing)

    def finder(self, run_id: str) -> Find:
        """Gives values as the run may have them."""
        return lambda name: self.find(run_id, name)

    def find(self, run_id: str, name: str) -> str | None:
        """The value; None if there is none."""
        value = self._given.get(run_id, _NO_VALUES).get(name)
        for source in self._sources:
            if value is not None:
                break
            value = source.get(name) if isinstance(source, Mapping) else source(name)
        if value is None and name in self._allowed:
            value = os.environ.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidInput(f"the value of the secret {name} is {type(value).__name__}, not text")
        self._redactor.know(name, value)
        return value


def secret_names(data: bytes) -> frozenset[str]:
    """The names of the secrets that an encoded input refers to."""
    return frozenset(names_in(codec.decode(data))) if MARK_BYTES in data else frozenset()


def _checked(source: Any) -> Source:
    if isinstance(source, Mapping) or callable(source):
        return source  # type: ignore[no-any-return]
    raise InvalidInput(f"secrets= is an object of texts or a function of a name, not {codec.shown(source)}")
