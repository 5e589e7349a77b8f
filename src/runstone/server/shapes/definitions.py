"""Agents and workflows that can be started, in what may be shown of them: no command line, no path, no variable."""

from typing import Any

import msgspec

from runstone.engine.registry import Entry


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A registered agent or workflow."""

    name: str
    version: str
    kind: str
    """agent or workflow."""
    form: str
    """python, command or declarative."""
    about: str
    input_schema: dict[str, Any] | None
    """What its input must be; null: any JSON."""
    input_fields: dict[str, str] | None
    """The fields of a declarative workflow's input, with their types."""
    secret_fields: list[str]
    """Fields whose texts are secret: a reference is stored in their place."""
    phases: list[dict[str, Any]] | None


class DefinitionWithRuns(Definition, frozen=True, kw_only=True):
    """A registered agent or workflow, and how its runs stand."""

    runs: dict[str, int]
    """How many are in each bucket."""


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """What can be started here."""

    items: list[Definition]
    trusted: bool
    """Whether the workspace's own code may run: without it nothing is registered."""


def fields_of(entry: Entry) -> dict[str, Any]:
    """What may be shown of an entry."""
    definition = entry.definition
    phases = None if definition is None else [_phase(phase) for phase in definition.to_dict()["phases"]]
    return {
        "name": entry.name,
        "version": entry.version,
        "kind": entry.kind,
        "form": entry.form,
        "about": ((entry.function.__doc__ or "") if entry.function is not None else "").strip(),
        "input_schema": entry.input_schema,
        "input_fields": None if definition is None else definition.input,
        "secret_fields": list(entry.secrets),
        "phases": phases,
    }


def _phase(phase: dict[str, Any]) -> dict[str, Any]:
    shown = ("name", "agent", "depends_on", "for_each", "concurrency", "on_failure")
    return {name: phase[name] for name in shown if phase.get(name) is not None}
