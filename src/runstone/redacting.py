"""Reads the table `[redaction]` of runstone.toml: what every writer of the workspace takes out of texts.

It is read without trust, as nothing of it is executed: a file that nobody trusts may add to what is taken out. Only a
trusted one may take away from it (`enabled = false`, `allow`); what is not heeded is said.
"""

import re
from pathlib import Path
from typing import Any, Final, final

import msgspec

from runstone.domain import codec
from runstone.domain.redaction import Hook, Pattern, Redactor
from runstone.errors import InvalidDefinition, InvalidInput
from runstone.trust import is_trusted, read_owned

FILE: Final = "runstone.toml"
TABLE: Final = "redaction"
MAX_RULES: Final = 100
MAX_REGEX: Final = 500
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_UNBOUNDED: Final = re.compile(r"(?:[*+]|\{[0-9]*,(?:[0-9]{2,})?\})(\+?)")


@final
class OwnPattern(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `patterns`."""

    name: str
    regex: str


@final
class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[redaction]`."""

    enabled: bool = True
    patterns: list[OwnPattern] = []
    allow: list[str] = []
    names: list[str] = []


def redactor_of(root: Path, redact: bool | Hook) -> Redactor:
    """The redactor of a workspace's writers. `redact` is True, False (off), or a function of a text as a hook.

    Raises `InvalidInput`, or `InvalidDefinition` naming the file and the place in it.
    """
    if redact is False:
        return Redactor(enabled=False)
    if redact is not True and not callable(redact):
        raise InvalidInput(f"redact is True, False or a function of a text, not {codec.shown(redact)}")
    hook = None if redact is True else redact
    file = root / FILE
    table = _read(file)
    if table is None:
        return Redactor(hook=hook)
    place = f"{file}: {TABLE}"
    patterns = [_pattern(one, f"{place}.patterns[{i}]") for i, one in enumerate(_few(table.patterns, place))]
    names = [_name(one, f"{place}.names[{i}]") for i, one in enumerate(_few(table.names, place))]
    allow = [_regex(one, f"{place}.allow[{i}]") for i, one in enumerate(_few(table.allow, place))]
    notes = _unheeded(root, table)
    if notes:
        table, allow = Table(), []
    enabled = table.enabled or hook is not None
    return Redactor(patterns=patterns, names=names, allow=allow, hook=hook, enabled=enabled, notes=notes)


def _read(file: Path) -> Table | None:
    """The table; None where the file has none. The rest of the file is not this module's business."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidDefinition(f"{file} cannot be read: {error.strerror}") from error
    if TABLE.encode() not in data:
        return None  # parsing a file costs more than opening a ledger
    import tomllib  # only where there is such a table: who imports Runstone does not pay for it

    try:
        found = tomllib.loads(data.decode()).get(TABLE)
        return None if found is None else convert(found)
    except UnicodeDecodeError as error:
        raise InvalidDefinition(f"{file} is not UTF-8 text: byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidDefinition(f"{file} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise InvalidDefinition(f"{file}: {TABLE}{path.rstrip('`')}: {text}") from error


def convert(found: Any) -> Table:
    """The table of its TOML value. Raises `msgspec.ValidationError`."""
    return msgspec.convert(found, Table)


def _unheeded(root: Path, table: Table) -> tuple[str, ...]:
    """What of the table is not heeded, a sentence each: who may write the file must not turn redaction off for you."""
    weak = [name for name, given in (("enabled", not table.enabled), ("allow", bool(table.allow))) if given]
    if not weak:
        return ()
    if is_trusted(root):
        read_owned(root / FILE)
        return ()
    told = " and ".join(weak)
    return (f"{root / FILE}: {told} of [{TABLE}] is not heeded, as the folder is not trusted",)


def _few(given: list[Any], place: str) -> list[Any]:
    if len(given) > MAX_RULES:
        raise InvalidDefinition(f"{place} has a list of {len(given)}; {MAX_RULES} is the most")
    return given


def _name(name: str, place: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise InvalidDefinition(f"{place}: {name!r:.120} is not 1 to 100 letters, digits and any of _ . -")
    return name


def _pattern(own: OwnPattern, place: str) -> Pattern:
    return Pattern(_name(own.name, f"{place}.name"), _regex(own.regex, f"{place}.regex"))


def _regex(text: str, place: str) -> re.Pattern[str]:
    if len(text) > MAX_REGEX:
        raise InvalidDefinition(f"{place} has {len(text)} characters; {MAX_REGEX} is the most")
    try:
        regex = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidDefinition(f"{place}: {text!r:.120} is no regular expression: {error}") from error
    if regex.match("") is not None:
        raise InvalidDefinition(f"{place}: {text!r:.120} matches a text that is empty")
    if _explodes(text):
        hint = "repeat one class of characters, or make the inner repetition possessive: (?:[a-z]++-)+"
        raise InvalidDefinition(
            f"{place}: {text!r:.120} repeats what repeats or branches; some texts would take it for ever",
            hint=hint,
        )
    return regex


def _explodes(text: str) -> bool:
    """Whether a group that repeats without bound holds a repetition or a branch: the time may double per character."""
    groups, at = [False], 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == "[":
            at = _class_end(text, at)
        elif char == "(":
            groups.append(False)
        elif char == "|":
            groups[-1] = True
        repeat = None if char in "(|" else _UNBOUNDED.match(text, at + 1)
        inner = char == ")" and len(groups) > 1 and groups.pop()
        if repeat is not None and not repeat[1]:
            if inner:
                return True
            inner = True
        groups[-1] = groups[-1] or bool(inner)
        at = at + 1 if repeat is None else repeat.end()
    return False


def _class_end(text: str, at: int) -> int:
    """The index of the bracket that closes the class of characters that begins at `at`."""
    end = at + 2 if text[at + 1 : at + 2] == "^" else at + 1
    end += 1  # a bracket that comes first is a character
    while end < len(text) and text[end] != "]":
        end += 2 if text[end] == "\\" else 1
    return end
