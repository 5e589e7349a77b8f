"""A state is put together again from what each save changed, whatever became of its lists between them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone.domain.state import Change, Place, Saved, assemble
from runstone.errors import InvalidInput, NotJournalable

VALUES = st.integers(0, 3) | st.none() | st.lists(st.integers(0, 2), max_size=3) | st.just({"k": 1})
LISTS = st.lists(VALUES, max_size=5)
STATES = (
    st.dictionaries(st.sampled_from("abc"), LISTS | VALUES, max_size=3) | LISTS | st.integers() | st.none()
)
APPENDS = st.dictionaries(st.sampled_from("abc"), st.lists(VALUES, max_size=3), min_size=1, max_size=2)


class Store:
    """What the ledger keeps of a run's checkpoints: the rows of every save."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int, bytes | None]] = []

    def save(self, number: int, places: list[Place]) -> None:
        self.rows += [(place.path, place.item, number, place.value) for place in places]

    def at(self, number: int) -> tuple[Any, Saved]:
        newest: dict[tuple[str, int], tuple[int, bytes | None]] = {}
        for path, item, since, value in self.rows:
            if since <= number and since >= newest.get((path, item), (0, None))[0]:
                newest[path, item] = (since, value)
        value, saved = assemble([(path, item, data) for (path, item), (_, data) in newest.items()])
        saved.number = number
        return value, saved


def plain_append(state: Any, added: dict[str, list[Any]]) -> Any:
    """What `append=` means, or None where it must be refused."""
    if not isinstance(state, dict) or any(not isinstance(state.get(path, []), list) for path in added):
        return None
    return {**state, **{path: [*state.get(path, []), *items] for path, items in added.items()}}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["save", "append", "refused save", "refused append", "reopen"]), STATES, APPENDS
        ),
        max_size=8,
    )
)
def test_every_checkpoint_is_the_state_that_was_saved(
    steps: list[tuple[str, Any, dict[str, list[Any]]]],
) -> None:
    store, saved, history = Store(), Saved(), [None]
    for kind, given_state, added in steps:
        state = given_state
        if kind == "reopen":
            saved = store.at(len(history) - 1)[1]
            continue
        if "append" in kind:
            state = plain_append(history[-1] if len(history) > 1 else {}, added)
            if state is None:
                with pytest.raises(InvalidInput):
                    saved.appended(added)
                continue
            places, after = saved.appended(added)
        else:
            places, after = saved.changes(state)
        if "refused" in kind:
            continue  # the ledger said no: what was saved before is what the next save compares with
        history.append(state)
        saved = after
        store.save(saved.number, places)
    for number, state in enumerate(history):
        if number:
            assert store.at(number)[0] == state


def test_a_save_stores_only_what_changed() -> None:
    first, saved = Saved().changes({"messages": [{"n": n} for n in range(100)], "goal": "x"})
    assert sorted(place.item for place in first) == [-3, -2, -1, *range(64, 100)], "the first 64 are a group"
    changed = [{"n": n} for n in range(100)]
    changed[50] = {"n": "other"}
    places, _ = saved.changes({"messages": [*changed, {"n": 100}], "goal": "x"})
    assert sorted(place.item for place in places) == [-2, 50, 100]
    places, _ = saved.appended({"messages": [1]})
    assert sorted(place.item for place in places) == [-2, 100]


def test_two_saves_from_one_state_do_not_disturb_each_other() -> None:
    _, saved = Saved().changes({"m": [1]})
    given_up, _ = saved.appended({"m": [2, 3]})
    places, after = saved.appended({"m": [4]})
    assert [place.item for place in given_up] == [1, 2, -2]
    assert [place.item for place in places] == [1, -2]
    assert [place.item for place in after.changes({"m": [1, 4]})[0]] == []


@pytest.mark.parametrize("state", [{1: 2}, {None: 1}, {"": 1}, {"k" * 501: 1}])
def test_a_key_that_is_no_short_text_is_refused(state: Any) -> None:
    with pytest.raises(InvalidInput):
        Saved().changes(state)


@pytest.mark.parametrize("state", [{"a": [1, b""]}, {"a": {"b": (1,)}}, [float("nan")]])
def test_a_state_that_is_not_json_is_refused(state: Any) -> None:
    with pytest.raises(NotJournalable):
        Saved().changes(state)


VALUES = st.one_of(st.integers(), st.none(), st.lists(st.integers(0, 3), max_size=150))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=6))
def test_a_change_leads_to_the_state_that_it_was_made_of(states: list[dict[str, Any]]) -> None:
    there, here, plain = Saved(), Saved(), Saved()
    for state in states:
        change, here = here.change_to(state)
        sent = msgspec.json.decode(msgspec.json.encode(change), type=Change)
        places, there = there.merged(sent)
        expected, plain = plain.changes(state)
        assert sorted(map(repr, places)) == sorted(map(repr, expected))
        assert (there.values, there.number) == (plain.values, plain.number)
