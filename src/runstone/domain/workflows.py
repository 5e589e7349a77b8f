"""Declarative workflows: what a definition may say, and whether it makes sense before anything runs.

A definition is phases of children: each phase names an agent, the input of its children, and the phases that it
depends on. `domain/phases.py` says what starts when; `engine/phases.py` runs it.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal, final

import msgspec

from runstone.domain import keys
from runstone.domain.definition_checks import JSON_TYPES, check, there_are
from runstone.domain.secrets import reference
from runstone.errors import InputRefused, InvalidDefinition

OnFailure = Literal["stop", "skip_dependents", "continue"]


@final
class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a failed child is tried again, and after how long. Times in seconds."""

    max_attempts: int = 3
    """All tries, the first one included."""
    backoff_s: float = 1.0
    backoff_factor: float = 2.0
    max_backoff_s: float = 300.0

    def delay_s(self, failures: int) -> float:
        """The wait before the next try, after that many failed ones."""
        try:
            wait = self.backoff_s * self.backoff_factor ** (failures - 1)
        except OverflowError:
            wait = math.inf
        return min(wait, self.max_backoff_s)


@final
class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run and all below it may use; at a cap nothing new starts, and the run pauses."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_children: int | None = None


@final
class PhaseDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phase: one child, or with `for_each` one for each item of a list."""

    name: str
    agent: str
    input: Any = msgspec.UNSET
    """JSON with placeholders; without it a child gets its item or, with no `for_each`, the workflow's input."""
    depends_on: list[str] = []
    for_each: str | list[Any] | None = None
    concurrency: int | None = None
    """At most so many of its children run at a time; without it only the engine's slots limit them."""
    retry: RetryPolicy | None = None
    on_failure: OnFailure = "stop"
    """When children failed for good: `stop` starts no phase any more and fails the workflow; `skip_dependents` skips
    what depends on this phase, finishes the rest, and then fails the workflow; `continue` goes on with null in place
    of the missing results, and the workflow can complete. What runs already is always finished."""

    @property
    def template(self) -> Any:
        """The input as written, or its default."""
        if self.input is not msgspec.UNSET:
            return self.input
        return "{input}" if self.for_each is None else "{item}"


@final
class WorkflowDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declarative workflow. `parse` reads and checks one."""

    name: str
    version: str = "1"
    phases: list[PhaseDefinition]
    input: dict[str, str] | None = None
    """The fields of the input and their types (`JSON_TYPES`); without it any JSON value is taken."""
    budget: Budget | None = None
    summary: str | None = None
    """Text with placeholders, filled when all phases have ended."""

    @property
    def hash(self) -> str:
        """Hash of the content, whatever the order of keys and whether defaults were spelled out."""
        return keys.definition_hash(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The definition as JSON, all defaults spelled out; `parse` reads it back equal."""
        value = msgspec.to_builtins(self)
        for phase, table in zip(self.phases, value["phases"], strict=True):
            table["input"] = phase.template
        return {name: part for name, part in value.items() if part is not None}

    def phase(self, name: str) -> PhaseDefinition:
        """The phase of that name. Raises InvalidDefinition."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise InvalidDefinition(f"workflows.{self.name} has no phase {name!r}", hint=there_are(self))

    def ancestors(self, name: str) -> set[str]:
        """The phases that end before this one starts."""
        needs = {phase.name: phase.depends_on for phase in self.phases}
        found: set[str] = set()
        waiting = list(needs.get(name, ()))
        while waiting:
            above = waiting.pop()
            if above not in found:
                found.add(above)
                waiting.extend(needs.get(above, ()))
        return found

    def descendants(self, name: str) -> set[str]:
        """The phases that start after this one has ended."""
        return {phase.name for phase in self.phases if name in self.ancestors(phase.name)}


def parse(name: str, settings: Mapping[str, Any], *, place: str | None = None) -> WorkflowDefinition:
    """Reads a definition's table and checks it. Raises InvalidDefinition, naming the place in it."""
    where = place or f"workflows.{name}"
    if "name" in settings and settings["name"] != name:
        raise InvalidDefinition(
            f"{where}.name is {settings['name']!r}; leave it out, the table is called {name!r}"
        )
    try:
        definition = msgspec.convert({**settings, "name": name}, WorkflowDefinition)
    except msgspec.ValidationError as error:
        raise InvalidDefinition(_at_place(str(error), where)) from error
    check(definition, where)
    return definition


def check_agents(
    definition: WorkflowDefinition, agents: Collection[str], *, place: str | None = None
) -> None:
    """Raises InvalidDefinition for a phase whose agent is not among those that are registered."""
    where = place or f"workflows.{definition.name}"
    for index, phase in enumerate(definition.phases):
        if phase.agent not in agents:
            known = ", ".join(sorted(agents)[:20]) or "none"
            raise InvalidDefinition(
                f"{where}.phases[{index}].agent: no agent {phase.agent!r}",
                hint=f"the registered agents are: {known}; name the module that registers it in modules = [...]",
            )


def check_input(definition: WorkflowDefinition, value: Any) -> Any:
    """The input that phases see: as given, absent optional fields null. Raises InputRefused for another shape."""
    if definition.input is None:
        return value
    place = f"the input of {definition.name}"
    if not isinstance(value, dict):
        raise InputRefused(f"{place} must be an object with {', '.join(definition.input) or 'no fields'}")
    unknown = sorted(set(value) - set(definition.input))
    if unknown:
        known = ", ".join(definition.input) or "none"
        raise InputRefused(f"{place} has the unknown field {unknown[0]!r}", hint=f"its fields are: {known}")
    return {name: _checked(value, name, kind, place) for name, kind in definition.input.items()}


def _checked(value: dict[str, Any], name: str, kind: str, place: str) -> Any:
    optional, kind = kind.endswith("?"), kind.removesuffix("?")
    part = value.get(name)
    if optional and part is None:
        return None
    if name not in value:
        raise InputRefused(f"{place} lacks {name!r} ({kind})", hint=f"give it: {name}=VALUE")
    bool_for_number = isinstance(part, bool) and kind in {"integer", "number"}
    secret = kind == "string" and reference(part) is not None
    if not secret and (bool_for_number or not isinstance(part, JSON_TYPES[kind])):
        raise InputRefused(f"{place} has {name} = {part!r:.80}, which is not of type {kind}")
    return part


def _at_place(message: str, place: str) -> str:
    """msgspec's `... - at `$.phases[0].retry`` with the place put first, as everywhere."""
    text, _, path = message.partition(" - at `$")
    return f"{place}{path.rstrip('`')}: {text}"
