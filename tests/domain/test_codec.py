"""Only JSON goes in, and what comes out equals what went in."""

import collections
import dataclasses
import enum
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain import codec, keys
from runstone.errors import NotJournalable, UnknownCodec

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def shape(value: Any) -> Any:
    """The value with its types, so that 1, 1.0, True and -0.0 are told apart."""
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return (type(value), value, math.copysign(1, value)) if isinstance(value, float) else (type(value), value)


@given(JSON)
def test_what_comes_out_is_what_went_in(value: Any) -> None:
    assert shape(codec.decode(codec.encode(value))) == shape(value)


@given(JSON, JSON)
def test_values_share_a_key_only_if_they_are_the_same(one: Any, other: Any) -> None:
    same_key = keys.child_key("child", "a", "1", one) == keys.child_key("child", "a", "1", other)
    assert same_key == (shape(one) == shape(other))


@pytest.mark.parametrize(
    "family",
    [
        [True, 1, 1.0, "1", "true", [1]],
        [False, 0, 0.0, -0.0, "", [], {}, None, [None]],
        [{}, {"a": None}, {"a": {}}, {"a": []}, {"a": ""}],
        [[1, 2], [2, 1], [[1], 2], "[1,2]", {"0": 1, "1": 2}],
        [10**16, 1e16, 2**53, float(2**53), 2**63, float(2**63)],
    ],
)
def test_look_alikes_have_different_keys(family: list[Any]) -> None:
    found = {keys.child_key("child", "a", "1", value) for value in family}
    assert len(found) == len(family)


def test_the_order_of_names_makes_no_other_key() -> None:
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert keys.child_key("child", "a", "1", one) == keys.child_key("child", "a", "1", other)


def test_a_given_key_and_a_made_one_never_meet() -> None:
    assert keys.explicit_key("child", "a", "k") != keys.child_key("key", "child", "a", "k")


class Colour(enum.IntEnum):
    RED = 1


class Plain(enum.Enum):
    RED = 1


class Name(str):
    __slots__ = ()


@dataclasses.dataclass
class Point:
    x: Any = 1


class Pair(msgspec.Struct):
    left: Any = 1


Named = collections.namedtuple("Named", "a")


def nested(depth: int, inner: Any = None) -> Any:
    value = [] if inner is None else [inner]
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (b"x", "$ is a bytes"),
        ((1, 2), "$ is a tuple"),
        (Named(1), "$ is a Named"),
        ({"a": [1, {"b": {1}}]}, "$.a[1].b is a set"),
        ({"a": frozenset()}, "$.a is a frozenset"),
        ({"t": datetime.now(UTC)}, "$.t is a datetime"),
        ([Decimal(1)], "$[0] is a Decimal"),
        ([Plain.RED], "$[0] is a Plain"),
        ({1: "a"}, "$ has the key 1"),
        ({"a": {None: 1}}, "$.a has the key None"),
        ([float("nan")], "$[0] is nan"),
        ({"a": float("inf")}, "$.a is inf"),
        ([10**4400], "$[0] is an integer of more than"),
        (["\ud800"], "$[0] has a lone surrogate"),
        ({"\udfff": 1}, "$ has a lone surrogate"),
        ([Point(x=b"")], "$[0].x is a bytes"),
        (Pair(left=object()), "$.left is a object"),
        (Point, "$ is a type"),
        (nested(201), "is nested more than 200 deep"),
        (nested(200, inner=[]), "is nested more than 200 deep"),
        (nested(5_000), "is nested more than 200 deep"),
    ],
    ids=lambda case: repr(case)[:30] if isinstance(case, str) else None,
)
def test_what_is_not_json_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(NotJournalable) as refused:
        codec.encode(value)
    assert place in str(refused.value)
    with pytest.raises(NotJournalable):
        keys.child_key("child", "a", "1", value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Point(x=Pair(left=2)), {"x": {"left": 2}}),
        ([Pair(left=[Point()])], [{"left": [{"x": 1}]}]),
        ([Colour.RED, Point()], [1, {"x": 1}]),
        ([Colour.RED], [1]),
        (Name("a"), "a"),
        ({Name("a"): Name("b"), "p": Point()}, {"a": "b", "p": {"x": 1}}),
        (collections.OrderedDict(a=1), {"a": 1}),
        ([collections.defaultdict(list, a=[1]), Point()], [{"a": [1]}, {"x": 1}]),
        (2**80, 2**80),
    ],
    ids=repr,
)
def test_what_is_converted_is_stored_plain(value: Any, stored: Any) -> None:
    assert shape(codec.decode(codec.encode(value))) == shape(stored)


def test_a_value_200_deep_is_taken() -> None:
    assert codec.decode(codec.encode(nested(200, inner=1))) == nested(200, inner=1)


def test_an_unknown_codec_is_an_error_and_no_guess() -> None:
    with pytest.raises(UnknownCodec):
        codec.check_codec(7)


def test_a_newer_payload_keeps_the_fields_that_we_do_not_know() -> None:
    payload = {"call_id": "c", "colour": "red"}
    assert codec.upcast("tool.completed", 99, payload) == payload


@given(st.text(max_size=60), st.integers(4, 100))
def test_a_clipped_text_is_within_its_bytes_and_a_beginning(text: str, limit: int) -> None:
    text = text.encode(errors="ignore").decode()
    clipped = codec.clip(text, limit)
    assert len(clipped.encode()) <= limit
    assert clipped == text or text.startswith(clipped.removesuffix("…"))
