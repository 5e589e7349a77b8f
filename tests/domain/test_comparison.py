"""Parts of two runs are aligned whatever was edited, each once, in linear time; and what differs is told."""

import random
import time
from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain import comparison
from runstone.domain.comparison import MAX_PAIRS, Part, Side, compare
from runstone.domain.records import Totals
from tests.cli.records import run


def part(key: str, *, phase: str | None = None, name: str = "work", **fields: Any) -> Part:
    base: dict[str, Any] = {
        "kind": "child", "child_run_id": None, "title": None, "status": "completed", "tokens": 0, "cost_picousd": 0,
        "elapsed_ms": None, "reused": False, "input_name": key, "result_name": key,
    }  # fmt: skip
    return Part(name=name, key=key, phase=phase, **(base | fields))


def side(*parts: Part, **fields: Any) -> Side:
    base: dict[str, Any] = {
        "run": run(), "input": None, "result": None, "own": Totals(), "subtree": Totals(), "elapsed_ms": 0,
        "phases": (),
    }  # fmt: skip
    return Side(parts=parts, **(base | fields))


def nothing(_: Part) -> tuple[Any, Any]:
    return msgspec.UNSET, msgspec.UNSET


def keys(pairs: Any) -> list[tuple[str | None, str | None]]:
    return [(a and a.key, b and b.key) for a, b in pairs]


def test_keys_come_before_places_and_places_before_names() -> None:
    a = [part("1", phase="x"), part("2", phase="x"), part("3", phase="x"), part("4", phase="y", name="other")]
    b = [
        part("2", phase="y"),
        part("new", phase="x"),
        part("1", phase="x"),
        part("5", phase="z", name="other"),
    ]
    assert keys(comparison.align(a, b)) == [("1", "1"), ("2", "2"), ("3", "new"), ("4", None), (None, "5")]


def test_equal_keys_are_paired_in_their_order_and_each_once() -> None:
    a, b = [part("k"), part("k"), part("k")], [part("k"), part("k")]
    assert keys(comparison.align(a, b)) == [("k", "k"), ("k", "k"), ("k", None)]


PARTS = st.lists(
    st.builds(part, st.sampled_from("abc"), phase=st.sampled_from(["x", "y", None])), max_size=12
)


@given(a=PARTS, b=PARTS)
def test_every_part_is_in_one_pair_and_a_run_is_like_itself(a: list[Part], b: list[Part]) -> None:
    pairs = comparison.align(a, b)
    assert Counter(id(one) for one, _ in pairs if one is not None) == Counter(map(id, a))
    assert Counter(id(one) for _, one in pairs if one is not None) == Counter(map(id, b))
    assert [one for one, _ in pairs if one is not None] == a
    assert compare(side(*a), side(*a), nothing).same
    counts = compare(side(*a), side(*b), nothing).counts
    assert sum(counts.values()) == len(pairs)


def test_what_differs_is_told_and_a_child_that_both_refer_to_is_the_same() -> None:
    a = side(
        part("1", child_run_id="r1", status="failed", error="no"), part("2", child_run_id="r2", tokens=5),
        part("3", result_name="old"), part("4", tokens=1), input={"n": 1}, result=[1, 2],
    )  # fmt: skip
    b = side(
        part("1", child_run_id="r1", status="completed"), part("2", child_run_id="r3", tokens=9),
        part("3", result_name="new"), part("4", tokens=1), input={"n": 2}, result=[1, 2],
    )  # fmt: skip
    found = compare(a, b, lambda one: (one.input_name, one.result_name))
    assert found.counts == {"same": 3, "changed": 1}
    assert [(pair.standing, pair.a and pair.a.key) for pair in found.pairs] == [
        ("same", "2"),
        ("changed", "3"),
    ]
    changed = found.pairs[1].result
    assert changed is not None
    assert (changed.changes[0].before, changed.changes[0].after) == ("old", "new")
    assert [change.path for change in found.input.changes] == ["/n"]
    assert not found.result.changes
    assert not found.same


def test_sums_of_a_phase_leave_out_what_was_reused() -> None:
    a = side(part("1", phase="x", tokens=5, cost_picousd=7), part("2", phase="x", tokens=1))
    b = side(part("1", phase="x", tokens=5, cost_picousd=7, reused=True), part("2", phase="x", tokens=1))
    (phase,) = compare(a, b, nothing).phases
    assert phase.a is not None
    assert phase.b is not None
    assert (phase.a.tokens, phase.a.cost_picousd, phase.a.reused) == (6, 7, 0)
    assert (phase.b.tokens, phase.b.cost_picousd, phase.b.reused) == (1, 0, 1)


def test_ten_thousand_children_that_all_differ_are_bounded_in_time_and_size() -> None:
    chance = random.Random(5)
    a = [part(f"a{n}", phase=f"p{n % 7}", input_name=None) for n in range(10_000)]
    b = [part(f"b{n}", phase=f"p{n % 7}", input_name=None) for n in range(10_000)]
    chance.shuffle(b)
    began = time.perf_counter()
    found = compare(side(*a), side(*b), nothing)
    assert time.perf_counter() - began < 2
    assert (found.counts, len(found.pairs), found.more) == ({"changed": 10_000}, MAX_PAIRS, 8_000)
