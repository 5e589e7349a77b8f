"""What `doctor` finds: one record for each look, with the command that helps."""

from typing import Final, Literal

import msgspec

Severity = Literal["ok", "note", "warning", "problem"]
SEVERITIES: Final[tuple[Severity, ...]] = ("problem", "warning", "note", "ok")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `name` is `noun.what`; `command` is what to type next, None where nothing need be done."""

    name: str
    severity: Severity
    text: str
    command: str | None = None


def ok(name: str, text: str) -> Check:
    """As it should be."""
    return Check(name=name, severity="ok", text=text)


def note(name: str, text: str, command: str | None = None) -> Check:
    """Worth knowing."""
    return Check(name=name, severity="note", text=text, command=command)


def warning(name: str, text: str, command: str) -> Check:
    """It works, and may not go on to."""
    return Check(name=name, severity="warning", text=text, command=command)


def problem(name: str, text: str, command: str) -> Check:
    """It does not work, or must not be relied on."""
    return Check(name=name, severity="problem", text=text, command=command)
