"""A diff names every difference and no other, whatever the states are, in bounded time."""

import json
import random
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain.state_diff import MAX_CHANGES, MAX_DEPTH, Change, diff
from runstone.domain.text_diff import MAX_LINES, MAX_WIDTH, align, ends, unified

SCALARS = (
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0, "", "a", "b\nc", "/", "~"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b/c", "~"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def at(state: Any, path: str) -> Any:
    for part in path.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        state = state[int(name)] if isinstance(state, list) else state[name]
    return state


@given(VALUES, VALUES)
def test_a_diff_is_empty_only_for_equal_states_and_names_what_is_there(before: Any, after: Any) -> None:
    found = diff(before, after)
    assert (found.changes == ()) == same(before, after)
    for change in found.changes:
        if change.action in ("removed", "moved"):
            value = change.before if change.action == "removed" else change.after
            assert same(at(before, change.path), value)
        else:
            assert same(at(after, change.path), change.after)
        if change.moved_to is not None:
            assert same(at(after, change.moved_to), change.after)
    assert not diff(after, after).changes


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=12))
def test_what_stayed_came_and_went_of_a_list_makes_the_other_one(before: list[int], after: list[int]) -> None:
    found = diff(before, after).changes
    gone = [c.before for c in found if c.action in ("removed", "changed")]
    come = [c.after for c in found if c.action in ("added", "changed")]
    assert sorted([*before, *come]) == sorted([*after, *gone])


@given(
    st.lists(st.sampled_from("abc"), max_size=15).map("\n".join),
    st.lists(st.sampled_from("abc"), max_size=15).map("\n".join),
)
def test_a_text_diff_makes_the_other_text(before: str, after: str) -> None:
    lines, result, at_ = before.split("\n"), list[str](), 0
    for line in unified(before, after):
        if line.startswith("@@"):
            start, count = line.split()[1].removeprefix("-").split(",")
            begin = int(start) - 1 if int(count) else int(start)
            result += lines[at_:begin]
            at_ = begin
        elif line.startswith("+"):
            result.append(line[1:])
        else:
            assert lines[at_] == line[1:]
            at_ += 1
            result += [] if line.startswith("-") else [line[1:]]
    assert "\n".join([*result, *lines[at_:]]) == after


def shown(before: Any, after: Any) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(change) for change in diff(before, after).changes]


def test_fields_and_items_are_named_by_their_paths() -> None:
    before = {"goal": "a", "old": 1, "m": [{"id": 1}, {"id": 2}, {"id": 3, "n": 1}]}
    after = {"m": [{"id": 0}, {"id": 1}, {"id": 3, "n": 2}], "goal": "b", "new/": None}
    assert shown(before, after) == [
        {"action": "removed", "path": "/old", "before": 1},
        {"action": "added", "path": "/m/0", "after": {"id": 0}},
        {"action": "changed", "path": "/m/2/id", "before": 2, "after": 3},
        {"action": "added", "path": "/m/2/n", "after": 2},
        {"action": "removed", "path": "/m/2", "before": {"id": 3, "n": 1}},
        {"action": "changed", "path": "/goal", "before": "a", "after": "b"},
        {"action": "added", "path": "/new~1", "after": None},
    ]


def test_an_item_that_changed_its_place_is_moved() -> None:
    assert shown(["a", "b", "c", "d"], ["d", "a", "b", "c"]) == [
        {"action": "moved", "path": "/3", "moved_to": "/0", "after": "d"}
    ]


@pytest.mark.parametrize(
    ("before", "after"), [(1, True), (0, False), (1, 1.0), (None, "null"), ([], {}), ("", None)]
)
def test_another_type_is_a_change(before: Any, after: Any) -> None:
    for wrap in (lambda value: value, lambda value: [value], lambda value: {"a": value}):
        (change,) = diff(wrap(before), wrap(after)).changes
        assert change.action == "changed"


def test_objects_in_another_order_are_equal() -> None:
    assert diff({"a": 1, "b": [{"c": 1, "d": 2}]}, {"b": [{"d": 2, "c": 1}], "a": 1}).changes == ()


def test_a_long_text_is_compared_by_lines() -> None:
    lines = [f"line {n}" for n in range(30)]
    other = [*lines[:10], "new", *lines[11:]]
    (change,) = diff({"text": "\n".join(lines)}, {"text": "\n".join(other)}).changes
    assert change.text[0] == "@@ -8,7 +8,7 @@"
    assert [line for line in change.text if line[0] in "-+"] == ["-line 10", "+new"]


def test_of_a_long_line_the_part_that_differs_is_shown() -> None:
    (change,) = diff({"t": "x" * 5_000}, {"t": "x" * 3_000 + "y" + "x" * 1_999}).changes
    gone, come = change.text[1:]
    assert len(gone) <= MAX_WIDTH + 3
    assert "y" in come
    assert "y" not in gone


RANDOM = random.Random(7)
UNIQUE = [f"{n:020d}" for n in range(40_000)]
HOSTILE: dict[str, tuple[Any, Any]] = {
    "reversed": (list(range(150_000)), list(range(150_000))[::-1]),
    "reversed, few": (list(range(19_000)), list(range(19_000))[::-1]),
    "shuffled": (UNIQUE[:15_000], RANDOM.sample(UNIQUE[:15_000], 15_000)),
    "two values": ([n % 2 for n in range(19_000)], [n % 3 % 2 for n in range(19_000)]),
    "booleans": ([True, False] * 70_000, [False, True] * 70_000),
    "two lines": ("a\nb\n" * 250_000, "b\na\n" * 250_000),
    "shuffled lines": ("\n".join(UNIQUE[:19_000]), "\n".join(RANDOM.sample(UNIQUE[:19_000], 19_000))),
    "one line": ("x" * 1_000_000, "y" + "x" * 1_000_000),
    "empty lines": ("\n" * 1_000_000, "\nx" * 500_000),
    "keys": ({f"k{n}": n for n in range(60_000)}, {f"k{n}": n + 1 for n in range(60_000)}),
    "objects": ([{"id": n, "v": 1} for n in range(19_000)], [{"id": n, "v": 2} for n in range(19_000)]),
    "texts": ([f"{n}\n" * 300 for n in range(900)], [f"{n}\n\n" * 300 for n in range(900)]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_state_makes_a_diff_long(name: str) -> None:
    before, after = HOSTILE[name]
    started = time.process_time()
    found = diff({"state": before}, {"state": after})
    took = time.process_time() - started
    assert found.changes
    assert len(found.changes) <= MAX_CHANGES
    assert all(len(change.text) <= MAX_LINES + 1 for change in found.changes)
    assert took < 2.0, "a tenth of it is usual; what is quadratic takes minutes"


def test_what_is_nested_very_deep_is_one_change() -> None:
    deep: Any = 1
    other: Any = 2
    for _ in range(190):
        deep, other = [deep], [other]
    (change,) = diff(deep, other).changes
    assert change == Change(action="changed", path="/0" * MAX_DEPTH, before=change.before, after=change.after)


def test_the_longest_part_in_order_stays() -> None:
    before, after = "abcdef", "bdxfa"
    aligned = align(before, after, *ends(before, after))
    assert aligned.moved == [(0, 4)]
    assert [("".join(before[i] for i in g.gone), "".join(after[i] for i in g.new)) for g in aligned.gaps] == [
        ("a", ""), ("c", ""), ("e", "x"), ("", "a"),
    ]  # fmt: skip
