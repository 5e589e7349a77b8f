"""The depth of JSON is measured before it is read, whatever is in its texts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.errors import RequestTooDeep
from runstone.server.security.limits import check_depth

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[]{}"\\a\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('[{"\\'), inner, max_size=4),
)


def depth_of(value: Any) -> int:
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth_of, inner), default=0)
    return 0


@given(VALUES, st.integers(0, 6))
def test_json_is_refused_exactly_when_it_is_deeper(value: Any, depth: int) -> None:
    data = json.dumps(value).encode()
    if depth_of(value) > depth:
        with pytest.raises(RequestTooDeep):
            check_depth(data, depth)
    else:
        check_depth(data, depth)


@given(st.binary(max_size=200))
def test_what_is_no_json_is_left_to_its_parser_or_refused(data: bytes) -> None:
    try:
        check_depth(data, 3)
    except RequestTooDeep:
        assert data.count(b"[") + data.count(b"{") > 3


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 100_000, b"[]" + b"[" * 100_000, b"[" * 100_000 + b"]"]
)
def test_a_nest_that_is_never_closed_is_refused_before_its_parser_loses_itself(data: bytes) -> None:
    with pytest.raises(RequestTooDeep):
        check_depth(data, 64)


def test_a_long_nest_takes_little_time() -> None:
    with pytest.raises(RequestTooDeep):
        check_depth(b"[" * 5_000_000 + b"]" * 5_000_000, 64)
    check_depth(b'{"a":[' + b'{"b":"]]]]"},' * 300_000 + b"1]}", 64)
