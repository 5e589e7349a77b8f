"""Declarative workflows: what a definition may say, and whether it makes sense before anything runs.

A definition is phases of children: each phase names an agent, the input of its children, and the phases that it
depends on. `domain/phases.py` says what starts when; `engine/phases.py` runs it.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Literal, final

import msgspec

from runstone.domain import codec, keys
from runstone.domain.placeholders import Placeholder, placeholders, whole
from runstone.errors import InputRefused, InvalidDefinition, NotJournalable

OnFailure = Literal["stop", "skip_dependents", "continue"]
JSON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "any": (object,),
}
"""Types of input fields by their JSON Schema names; a trailing `?` makes the field optional (null if absent)."""

# No dot: it parts the names in `{phases.NAME.results}`.
_PHASE_NAME: Final = re.compile(r"[A-Za-z0-9_][\w-]{0,99}", re.ASCII)
_MAX_CONCURRENCY: Final = 10_000


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
        raise InvalidDefinition(f"workflows.{self.name} has no phase {name!r}", hint=_there_are(self.phases))

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


def check(definition: WorkflowDefinition, place: str) -> None:
    """Everything that can be known without the agents. Raises InvalidDefinition."""
    if not definition.version:
        raise InvalidDefinition(f"{place}.version is empty")
    if not definition.phases:
        raise InvalidDefinition(f"{place}.phases is empty; a workflow needs at least one phase")
    _check_input_types(definition, place)
    if definition.budget is not None:
        for field in definition.budget.__struct_fields__:
            _at_least(getattr(definition.budget, field), 0, f"{place}.budget.{field}")
    names: dict[str, int] = {}
    for index, phase in enumerate(definition.phases):
        where = f"{place}.phases[{index}]"
        if not _PHASE_NAME.fullmatch(phase.name):
            raise InvalidDefinition(f"{where}.name {phase.name!r} is not 1 to 100 letters, digits, _ and -")
        if phase.name in names:
            raise InvalidDefinition(f"{where}.name: {phase.name!r} is also phases[{names[phase.name]}]")
        names[phase.name] = index
        _check_numbers(phase, where)
        _check_json(phase, where)
    _check_dependencies(definition, place)
    _check_placeholders(definition, place)


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
    if bool_for_number or not isinstance(part, JSON_TYPES[kind]):
        raise InputRefused(f"{place} has {name} = {part!r:.80}, which is not of type {kind}")
    return part


def _check_input_types(definition: WorkflowDefinition, place: str) -> None:
    for name, kind in (definition.input or {}).items():
        if kind.removesuffix("?") not in JSON_TYPES:
            raise InvalidDefinition(
                f"{place}.input.{name}: no type {kind!r}",
                hint=f"the types are {', '.join(JSON_TYPES)}; add ? for a field that may be absent",
            )


def _check_numbers(phase: PhaseDefinition, where: str) -> None:
    if not phase.agent:
        raise InvalidDefinition(f"{where}.agent is empty")
    if phase.concurrency is not None and not 1 <= phase.concurrency <= _MAX_CONCURRENCY:
        raise InvalidDefinition(
            f"{where}.concurrency is {phase.concurrency}; it must be 1 to {_MAX_CONCURRENCY}"
        )
    if phase.retry is not None:
        _at_least(phase.retry.max_attempts, 1, f"{where}.retry.max_attempts")
        _at_least(phase.retry.backoff_s, 0, f"{where}.retry.backoff_s")
        _at_least(phase.retry.backoff_factor, 1, f"{where}.retry.backoff_factor")
        _at_least(phase.retry.max_backoff_s, 0, f"{where}.retry.max_backoff_s")


def _check_json(phase: PhaseDefinition, where: str) -> None:
    """TOML also has dates and infinite numbers, which could not be stored and given back equal."""
    for field, value in (("input", phase.template), ("for_each", phase.for_each)):
        try:
            codec.encode(value)
        except NotJournalable as error:
            raise InvalidDefinition(str(error).replace("$", f"{where}.{field}", 1)) from error


def _at_least(value: float | None, least: float, place: str) -> None:
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InvalidDefinition(f"{place} is {value}; it must be {least} or more")


def _check_dependencies(definition: WorkflowDefinition, place: str) -> None:
    names = {phase.name for phase in definition.phases}
    for index, phase in enumerate(definition.phases):
        where = f"{place}.phases[{index}].depends_on"
        for above in phase.depends_on:
            if above not in names:
                raise InvalidDefinition(f"{where}: no phase {above!r}", hint=_there_are(definition.phases))
        if len(set(phase.depends_on)) < len(phase.depends_on):
            raise InvalidDefinition(f"{where} names a phase twice: {', '.join(phase.depends_on)}")
    try:
        TopologicalSorter({phase.name: phase.depends_on for phase in definition.phases}).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))[:-1]
        index, first = next(
            (i, phase.name) for i, phase in enumerate(definition.phases) if phase.name in circle
        )
        at = circle.index(first)
        circle = [*circle[at:], *circle[:at], first]
        raise InvalidDefinition(
            f"{place}.phases[{index}].depends_on: the phases wait for each other: {' -> '.join(circle)}",
            hint="take one of these dependencies out",
        ) from None


def _check_placeholders(definition: WorkflowDefinition, place: str) -> None:
    for index, phase in enumerate(definition.phases):
        where = f"{place}.phases[{index}]"
        if isinstance(phase.for_each, str) and whole(phase.for_each) is None:
            raise InvalidDefinition(
                f"{where}.for_each is {phase.for_each!r}, which is neither a list nor one placeholder",
                hint='write for_each = "{input.files}" or for_each = "{phases.NAME.result.files}"',
            )
        above = definition.ancestors(phase.name)
        for found in placeholders(phase.for_each):
            _check_one(definition, found, f"{where}.for_each{found.place}", above, has_item=False)
        for found in placeholders(phase.template):
            has_item = phase.for_each is not None
            _check_one(definition, found, f"{where}.input{found.place}", above, has_item=has_item)
    everything = {phase.name for phase in definition.phases}
    for found in placeholders(definition.summary):
        _check_one(definition, found, f"{place}.summary", everything, has_item=False)


def _check_one(
    definition: WorkflowDefinition, found: Placeholder, where: str, above: set[str], *, has_item: bool
) -> None:
    problem = "".join(_problem(definition, found.path, above, has_item))
    if problem:
        hint = f"write {{{{{found.name}}}}} for that very text" if problem.startswith("there is") else None
        raise InvalidDefinition(f"{where}: {{{found.name}}}: {problem}", hint=hint)


def _problem(
    definition: WorkflowDefinition, path: list[str], above: set[str], has_item: bool
) -> Iterator[str]:
    """What is wrong with a placeholder; nothing if it can be filled once its phases have ended."""
    root, rest = path[0], path[1:]
    if not all(path):
        yield "a part of the name is empty"
    elif root == "input":
        if rest and definition.input is not None and rest[0] not in definition.input:
            yield f"the input has no field {rest[0]!r} ({', '.join(definition.input) or 'none'})"
    elif root == "item":
        if not has_item:
            yield "only the input of a phase with for_each has an item"
    elif root != "phases":
        yield f"there is no {root!r}; placeholders begin with input, item or phases"
    elif len(rest) < 2 or rest[1] not in {"result", "results"}:
        yield "say which part of a phase: {phases.NAME.results} or {phases.NAME.result}"
    elif rest[0] not in (known := {phase.name: phase for phase in definition.phases}):
        yield f"no phase {rest[0]!r} ({', '.join(known)})"
    elif rest[0] not in above:
        yield f"add {rest[0]!r} to depends_on, so that it has ended"
    elif rest[1] == "result" and known[rest[0]].for_each is not None:
        yield f"phase {rest[0]!r} has for_each, so it has results, not one result"


def _there_are(phases: list[PhaseDefinition]) -> str:
    return f"the phases are: {', '.join(phase.name for phase in phases)}"


def _at_place(message: str, place: str) -> str:
    """msgspec's `... - at `$.phases[0].retry`` with the place put first, as everywhere."""
    text, _, path = message.partition(" - at `$")
    return f"{place}{path.rstrip('`')}: {text}"
