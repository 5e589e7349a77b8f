"""A process agent's command, and how an input becomes its arguments, environment and standard input."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, final

import msgspec

from runstone.engine.command_output import ResultKind
from runstone.engine.groups import GRACE_S
from runstone.errors import CommandInputRefused, InvalidDefinition

ENVIRONMENT_INPUT: Final = "RUNSTONE_INPUT"
# `{{word}}` is a literal `{word}`; other braces (`awk '{print $1}'`, JSON) mean nothing here.
_PLACEHOLDER: Final = re.compile(r"\{\{([\w.-]+)\}\}|\{([A-Za-z_][\w.-]*)\}")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@final
class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A command filled in, as the operating system takes it."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    stdin: bytes | None


@final
class CommandSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command as an agent: `[agents.NAME]` of runstone.toml.

    `{input}` and `{input.path.0}` in `command`, `env` and `cwd` stand for the input or a part of it: text as it
    is, other JSON as JSON. Each fills one argument and never goes through a shell. A value from a model can still
    look like an option, so put `--` in front of placeholders where the program knows it.
    """

    command: list[str]
    input: Literal["args", "env", "stdin"] = "args"
    """`env` adds RUNSTONE_INPUT (JSON) and RUNSTONE_INPUT_KEY for plain values; `stdin` writes the JSON."""
    resume: list[str] | None = None
    """Goes on, where the run has a state or a message to go on with (`$RUNSTONE_RESUME`); else `command` does."""
    cwd: str | None = None
    env: dict[str, str] = {}
    timeout_s: float | None = None
    grace_s: float = GRACE_S
    result: ResultKind = "json"
    ok_exit_codes: tuple[int, ...] = (0,)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, place: str) -> "CommandSpec":
        """Read a settings table. Raises InvalidDefinition, naming the place (`agents.lint.timeout_s`)."""
        try:
            spec = msgspec.convert(settings, cls)
        except msgspec.ValidationError as error:
            raise InvalidDefinition(f"{place}: {error}") from error
        spec.check(place)
        return spec

    def check(self, place: str) -> None:
        """Raises InvalidDefinition if the command could not be run with any input."""
        if not self.command or not self.command[0]:
            raise InvalidDefinition(f"{place}.command names no program")
        if _fields(self.command[0], f"{place}.command[0]"):
            raise InvalidDefinition(f"{place}.command[0] is the program and cannot come from the input")
        if self.resume is not None and (not self.resume or not self.resume[0]):
            raise InvalidDefinition(f"{place}.resume names no program")
        for where, template in self._templates():
            _fields(template, f"{place}.{where}")
        for name in self.env:
            if not name or "=" in name or "\0" in name:
                raise InvalidDefinition(f"{place}.env has the name {name!r}, which no environment can hold")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise InvalidDefinition(f"{place}.timeout_s is {self.timeout_s}; it must be more than 0 seconds")
        if not self.grace_s >= 0:
            raise InvalidDefinition(f"{place}.grace_s is {self.grace_s}; it must be 0 seconds or more")

    def fill(self, value: Any, *, environ: Mapping[str, str], root: Path) -> Invocation:
        """The command for one input; `cwd` is relative to `root`. Raises CommandInputRefused."""
        arguments = (_fill(text, value, f"command[{index}]") for index, text in enumerate(self.command))
        extra = {name: _fill(text, value, f"env.{name}") for name, text in self.env.items()}
        if self.input == "env":
            extra |= _input_environment(value)
        return Invocation(
            arguments=tuple(arguments),
            environment={**environ, **extra},
            cwd=str(root / _fill(self.cwd or "", value, "cwd")),
            stdin=msgspec.json.encode(value) + b"\n" if self.input == "stdin" else None,
        )

    def _templates(self) -> list[tuple[str, str]]:
        places = [(f"command[{index}]", text) for index, text in enumerate(self.command)]
        places += [(f"resume[{index}]", text) for index, text in enumerate(self.resume or ())]
        return [*places, *((f"env.{name}", text) for name, text in self.env.items()), ("cwd", self.cwd or "")]


def _fields(template: str, place: str) -> list[str]:
    """The placeholders of a template; raises InvalidDefinition for one that is none of the input."""
    found = [match[2] for match in _PLACEHOLDER.finditer(template) if match[2]]
    for name in found:
        root, *path = name.split(".")
        if root != "input" or not all(path):
            raise InvalidDefinition(
                f"{place} has the unknown placeholder {{{name}}}",
                hint=f"write {{input.FIELD}} for a part of the input, or {{{{{name}}}}} for that very text",
            )
    return found


def _fill(template: str, value: Any, place: str) -> str:
    def part(match: re.Match[str]) -> str:
        return f"{{{match[1]}}}" if match[1] else _text(_find(value, match[2], place))

    text = _PLACEHOLDER.sub(part, template)
    try:
        refused = b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        refused = True
    if refused:
        raise CommandInputRefused(f"{place} would hold what no argument can: NUL or half a surrogate pair")
    return text


def _find(value: Any, name: str, place: str) -> Any:
    for depth, key in enumerate(name.split(".")[1:], start=1):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            missing = ".".join(name.split(".")[: depth + 1])
            raise CommandInputRefused(f"{place} needs {{{name}}}, but the input has no {missing}")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _input_environment(value: Any) -> dict[str, str]:
    """The whole input as JSON and, of an object, its plain values under names of their own."""
    # ASCII, so that neither NUL (escaped in JSON) nor the locale can spoil it.
    names = {ENVIRONMENT_INPUT: json.dumps(value, separators=(",", ":"))}
    for key, item in value.items() if isinstance(value, dict) else ():
        if isinstance(item, dict | list) or not _ENVIRONMENT_NAME.fullmatch(key):
            continue
        name = f"{ENVIRONMENT_INPUT}_{key.upper()}"
        if name in names:
            raise CommandInputRefused(f"two fields of the input would both be the variable {name}")
        names[name] = _fill("{input}", item, name)
    return names
