"""Whether a declarative definition makes sense, as far as that can be known without its agents and its input.

Every mistake is an InvalidDefinition that names its place: `workflows.audit.phases[2].depends_on: no phase 'lst'`.
"""

import math
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final

from runstone.domain import codec
from runstone.domain.placeholders import Placeholder, placeholders, whole
from runstone.errors import InvalidDefinition, NotJournalable

if TYPE_CHECKING:
    from runstone.domain.workflows import PhaseDefinition, RetryPolicy, WorkflowDefinition

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


def check(definition: "WorkflowDefinition", place: str) -> None:
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


def _check_input_types(definition: "WorkflowDefinition", place: str) -> None:
    for name, kind in (definition.input or {}).items():
        if kind.removesuffix("?") not in JSON_TYPES:
            raise InvalidDefinition(
                f"{place}.input.{name}: no type {kind!r}",
                hint=f"the types are {', '.join(JSON_TYPES)}; add ? for a field that may be absent",
            )


def _check_numbers(phase: "PhaseDefinition", where: str) -> None:
    if not phase.agent:
        raise InvalidDefinition(f"{where}.agent is empty")
    if phase.concurrency is not None and not 1 <= phase.concurrency <= _MAX_CONCURRENCY:
        raise InvalidDefinition(
            f"{where}.concurrency is {phase.concurrency}; it must be 1 to {_MAX_CONCURRENCY}"
        )
    if phase.retry is not None:
        check_retry(phase.retry, f"{where}.retry")


def check_retry(retry: "RetryPolicy", where: str) -> None:
    """Raises `InvalidDefinition` for a number that makes no sense."""
    _at_least(retry.max_attempts, 1, f"{where}.max_attempts")
    _at_least(retry.backoff_s, 0, f"{where}.backoff_s")
    _at_least(retry.backoff_factor, 1, f"{where}.backoff_factor")
    _at_least(retry.max_backoff_s, 0, f"{where}.max_backoff_s")


def _check_json(phase: "PhaseDefinition", where: str) -> None:
    """TOML also has dates and infinite numbers, which could not be stored and given back equal."""
    for field, value in (("input", phase.template), ("for_each", phase.for_each)):
        try:
            codec.encode(value)
        except NotJournalable as error:
            raise InvalidDefinition(str(error).replace("$", f"{where}.{field}", 1)) from error


def _at_least(value: float | None, least: float, place: str) -> None:
    if value is not None and not (math.isfinite(value) and value >= least):
        raise InvalidDefinition(f"{place} is {value}; it must be {least} or more")


def _check_dependencies(definition: "WorkflowDefinition", place: str) -> None:
    names = {phase.name for phase in definition.phases}
    for index, phase in enumerate(definition.phases):
        where = f"{place}.phases[{index}].depends_on"
        for above in phase.depends_on:
            if above not in names:
                raise InvalidDefinition(f"{where}: no phase {above!r}", hint=there_are(definition))
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


def _check_placeholders(definition: "WorkflowDefinition", place: str) -> None:
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
    definition: "WorkflowDefinition", found: Placeholder, where: str, above: set[str], *, has_item: bool
) -> None:
    problem = "".join(_problem(definition, found.path, above, has_item))
    if problem:
        hint = f"write {{{{{found.name}}}}} for that very text" if problem.startswith("there is") else None
        raise InvalidDefinition(f"{where}: {{{found.name}}}: {problem}", hint=hint)


def _problem(
    definition: "WorkflowDefinition", path: list[str], above: set[str], has_item: bool
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


def there_are(definition: "WorkflowDefinition") -> str:
    """A hint that names the phases."""
    return f"the phases are: {', '.join(phase.name for phase in definition.phases)}"
