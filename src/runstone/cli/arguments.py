"""What a person types, as values: run ids, inputs, budgets, policies."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from runstone.domain.secrets import Secret
from runstone.errors import InvalidInput
from runstone.ledger import Ledger

FROM_VARIABLE: Final = "@env:"
"""Marks the name of a variable whose value is secret."""
WORKSPACE: Final = "runstone.global.workspace"
"""Where a command line's --workspace is kept, also while a shell asks for completions."""


_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(
    r"(?P<bare>\d+(\.\d+)?)|" + "".join(rf"((?P<{unit}>\d+(\.\d+)?){unit})?" for unit in _UNITS)
)


class RunId(click.ParamType[str]):
    """Any unique part of a run's id; shells complete it from the ledger."""

    name = "RUN"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The newest runs whose id holds what was typed."""
        import runstone
        from runstone.errors import RunstoneError

        try:
            with runstone.open(ctx.meta.get(WORKSPACE), readonly=True, create=False) as ledger:
                found = ledger.list_runs(limit=200).items
        except RunstoneError:
            return []  # no ledger, no proposals; the command itself will say why
        fitting = [run for run in found if incomplete in run.id]
        return [
            CompletionItem(run.id, help=f"{run.status} {run.title or run.agent_id or ''}") for run in fitting
        ]


class Duration(click.ParamType[float]):
    """`90s`, `30m`, `1h30m`, `2d`, or a number of seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        if isinstance(value, int | float):
            return float(value)
        seconds = seconds_of(value)
        if seconds is None:
            self.fail(f"{value!r} is no time such as 90s, 30m, 1h30m or 2d", param, ctx)
        return seconds


class Moment(click.ParamType[datetime]):
    """A time, or how long ago it was."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime; one that names no offset is local."""
        if isinstance(value, datetime):
            return value
        ago = seconds_of(value)
        try:
            return datetime.now(UTC) - timedelta(seconds=ago) if ago is not None else _moment(value)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is no time such as 10m (ago) or 2025-11-23T10:00", param, ctx)


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone()


def seconds_of(text: str) -> float | None:
    """The seconds of a duration as people type it; None for what is none."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not text.strip():
        return None
    if found["bare"]:
        return float(found["bare"])
    return sum(float(found[unit] or 0) * size for unit, size in _UNITS.items())


def ids(ledger: Ledger, typed: tuple[str, ...]) -> list[str]:
    """The run ids that were typed; `-` stands for those on stdin, one per line."""
    words: list[str] = []
    for word in typed:
        words += [line.strip() for line in sys.stdin if line.strip()] if word == "-" else [word]
    return list(dict.fromkeys(ledger.resolve(word) for word in words))


def read_input(pairs: tuple[str, ...], given: str | None) -> Any:
    """The input of a run: `--input` JSON (also from a file or stdin), with `key=value` pairs put into it."""
    value = None if given is None else _json(_text_of(given), "--input")
    if not pairs:
        return value
    if value is not None and not isinstance(value, dict):
        raise click.UsageError("key=value needs an input that is an object; --input is none")
    named: dict[str, Any] = {}
    for pair in pairs:
        key, item = _pair(pair)
        if key in named:
            raise click.UsageError(f"{key}= is given twice")
        named[key] = item
    return {**(value or {}), **named}


def _pair(pair: str) -> tuple[str, Any]:
    key, sign, item = pair.partition("=")
    if not sign or not key.rstrip(":"):
        error = click.UsageError(f"{pair!r} is no key=value")
        error.hint = 'write path=. or limit=3, or give the whole input: --input \'{"path": "."}\''  # type: ignore[attr-defined]
        raise error
    if key.endswith(":"):
        return key[:-1], _json(item, f"{key}=")
    if item.startswith(FROM_VARIABLE):
        return key, _secret(item.removeprefix(FROM_VARIABLE))
    try:
        return key, _strict(item)
    except ValueError:
        return key, item


def _secret(name: str) -> Secret:
    """A reference to a secret; its value is the variable's when it is needed, and is not stored."""
    try:
        return Secret(name)
    except InvalidInput as error:
        raise click.UsageError(f"{FROM_VARIABLE}{name}: {error}") from error


def _text_of(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"--input {given}: {error}") from error
    return given


def _json(given: str, place: str) -> Any:
    try:
        return _strict(given)
    except ValueError as error:
        raise click.UsageError(f"{place} is no JSON: {error}") from error


def _strict(given: str) -> Any:
    """JSON without the extensions that Python's reader would let pass."""
    return json.loads(given, parse_constant=_refuse, parse_float=_finite)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not in JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits} is too large")
    return number


def labels_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """`--label name=value`, as often as it is given."""
    return named_values("--label", pairs)


def named_values(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    """The values of an option that takes name=value, as often as it is given."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {pair!r}")
        found[name] = value
    return found
