"""The part of JSON Schema that an answer's schema may use: checked when it is given, so that nothing of it is ignored.

Keywords: type, enum, const, properties, required, additionalProperties (true or false), items, minItems, maxItems,
minLength, maxLength, pattern, minimum, maximum. `title`, `description`, `default`, `examples` and `$schema` say
something to people and bind nobody. Any other keyword is refused: docs/adr/0013-input-requests.md says why.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from runstone.domain import codec
from runstone.errors import InvalidAnswer, InvalidInput

MAX_BYTES: Final = 64 * 1024
_MAX_DEPTH: Final = 20
_PATTERN_CHARACTERS: Final = 200
_PATTERN_REPEATS: Final = 3
"""A pattern with k unbounded repeats may take n to the power of k steps on n characters."""
_PATTERN_TEXT: Final = 256
"""A longer text never fits a schema with a pattern."""
_NOTES: Final = frozenset({"title", "description", "default", "examples", "$schema", "$comment"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == int(value),
}


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 is neither true nor 1.0."""
    return codec.canonical(one) == codec.canonical(other)


# --- is it a schema -------------------------------------------------------------------------------------------------


def check(schema: Any) -> dict[str, Any]:
    """The schema. Raises `InvalidInput`, naming the place, for what is no schema of this part."""
    if not isinstance(schema, dict):
        raise InvalidInput(f"schema must be an object, not {codec.shown(schema)}")
    if len(codec.encode(schema)) > MAX_BYTES:
        raise InvalidInput(f"schema has more than {MAX_BYTES:,} bytes")
    _check(schema, "schema", 0)
    return schema


def _check(schema: Any, place: str, depth: int) -> None:
    if not isinstance(schema, dict):
        raise InvalidInput(f"{place} must be an object, not {codec.shown(schema)}")
    if depth >= _MAX_DEPTH:
        raise InvalidInput(f"{place[:120]}… is nested more than {_MAX_DEPTH} deep")
    for word, value in schema.items():
        if word in _NOTES:
            continue
        if word not in _KEYWORDS:
            raise InvalidInput(
                f"{place} has {word!r}, which is not supported; there are {', '.join(sorted(_KEYWORDS))}"
            )
        if not _KEYWORDS[word](value):
            raise InvalidInput(f"{place}.{word} cannot be {codec.shown(value)}")
    for name, inner in schema.get("properties", {}).items():
        _check(inner, f"{place}.properties.{name}", depth + 1)
    if "items" in schema:
        _check(schema["items"], f"{place}.items", depth + 1)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) and name in _TYPES for name in names)


def _is_safe_pattern(pattern: Any) -> bool:
    """Whether a pattern is one that no text can keep busy: a wrong one would hold up whoever answers.

    Groups that repeat hold no repeat or choice themselves, and there are no references or look-arounds.
    """
    if not isinstance(pattern, str) or len(pattern) > _PATTERN_CHARACTERS:
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    bare = re.sub(r"\\[^1-9]", "x", pattern)  # what is escaped stands for itself; \1 is a reference
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", bare)
    if "\\" in bare or re.search(r"\(\?(?!:)", bare):
        return False
    bare = bare.replace("(?:", "(")
    while (inner := re.search(r"\(([^()]*)\)([*+?{]?)", bare)) is not None:
        if inner[2] and re.search(r"[*+{|]", inner[1]):
            return False
        kept = re.sub(r"[^*+{]", "", inner[1])  # so that a group around it knows of its repeats
        bare = f"{bare[: inner.start()]}x{kept}{bare[inner.end(1) + 1 :]}"
    return len(re.findall(r"[*+]|\{\d*,\d*\}", bare)) <= _PATTERN_REPEATS


_KEYWORDS: Final[dict[str, Callable[[Any], bool]]] = {
    "type": _is_type,
    "enum": lambda value: isinstance(value, list) and bool(value),
    "const": lambda value: True,
    "properties": lambda value: isinstance(value, dict),
    "required": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    "additionalProperties": lambda value: isinstance(value, bool),
    "items": lambda value: isinstance(value, dict),
    "minItems": _is_count,
    "maxItems": _is_count,
    "minLength": _is_count,
    "maxLength": _is_count,
    "pattern": _is_safe_pattern,
    "minimum": _is_number,
    "maximum": _is_number,
}


# --- does a value fit -----------------------------------------------------------------------------------------------


def require(schema: dict[str, Any], value: Any, place: str = "the answer") -> None:
    """Raises `InvalidAnswer`, naming the place, unless the JSON value fits the (checked) schema."""
    names = schema.get("type")
    if names is not None:
        names = names if isinstance(names, list) else [names]
        if not any(_TYPES[name](value) for name in names):
            raise InvalidAnswer(f"{place} must be {' or '.join(names)}, not {codec.shown(value)}")
    if "enum" in schema and not any(equal(value, one) for one in schema["enum"]):
        raise InvalidAnswer(f"{place} must be one of {_listed(schema['enum'])}, not {codec.shown(value)}")
    if "const" in schema and not equal(value, schema["const"]):
        raise InvalidAnswer(f"{place} must be {codec.shown(schema['const'])}, not {codec.shown(value)}")
    if isinstance(value, str):
        _require_text(schema, value, place)
    elif isinstance(value, list):
        _require_list(schema, value, place)
    elif isinstance(value, dict):
        _require_object(schema, value, place)
    elif _is_number(value):
        _require_between(schema, value, place, ("minimum", "maximum"))


def _require_text(schema: dict[str, Any], value: str, place: str) -> None:
    _require_between(schema, len(value), f"the length of {place}", ("minLength", "maxLength"))
    if "pattern" in schema:
        if len(value) > _PATTERN_TEXT:
            raise InvalidAnswer(f"{place} has more than {_PATTERN_TEXT} characters, too many for a pattern")
        if re.search(schema["pattern"], value) is None:
            raise InvalidAnswer(
                f"{place} must fit the pattern {schema['pattern']!r}, which {value!r:.80} does not"
            )


def _require_list(schema: dict[str, Any], value: list[Any], place: str) -> None:
    _require_between(schema, len(value), f"the number of items of {place}", ("minItems", "maxItems"))
    if "items" in schema:
        for index, item in enumerate(value):
            require(schema["items"], item, f"{place}[{index}]")


def _require_object(schema: dict[str, Any], value: dict[str, Any], place: str) -> None:
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        raise InvalidAnswer(f"{place} lacks {', '.join(missing)}")
    known = schema.get("properties", {})
    if schema.get("additionalProperties") is False and (more := value.keys() - known.keys()):
        raise InvalidAnswer(f"{place} must not have {', '.join(sorted(more))}")
    for name, inner in known.items():
        if name in value:
            require(inner, value[name], f"{place}.{name}")


def _require_between(
    schema: dict[str, Any], number: int | float, place: str, bounds: tuple[str, str]
) -> None:
    least, most = (schema.get(bound) for bound in bounds)
    if least is not None and number < least:
        raise InvalidAnswer(f"{place} must be at least {least}, not {number}")
    if most is not None and number > most:
        raise InvalidAnswer(f"{place} must be at most {most}, not {number}")


def _listed(values: list[Any]) -> str:
    shown = ", ".join(codec.encode(value).decode()[:40] for value in values[:10])
    return shown if len(values) <= 10 else f"{shown} and {len(values) - 10} more"
