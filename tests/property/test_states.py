"""Whatever becomes of a run's states, each one that is kept equals the plain copy of what was saved."""

import copy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstone
from runstone.domain import groups
from runstone.domain.state_diff import diff
from runstone.errors import InvalidInput

LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from([0.5, "", "text", "long " * 300])
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)
    ),
    max_leaves=5,
)
LISTS = st.lists(NESTED, max_size=5)
KEYS = st.sampled_from(["a", "b", "c"])

OPS = st.one_of(
    st.tuples(st.just("set"), KEYS, LISTS | NESTED),
    st.tuples(st.just("drop"), KEYS),
    st.tuples(st.just("insert"), KEYS, st.integers(0, 5), NESTED),
    st.tuples(st.just("replace"), KEYS, st.integers(0, 5), NESTED),
    st.tuples(st.just("cut"), KEYS, st.integers(0, 5)),
    st.tuples(st.just("append"), KEYS, st.lists(NESTED, min_size=1, max_size=2)),
    st.tuples(st.just("continue")),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("thin"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("fork")),
)


def changed(state: dict[str, Any], op: tuple[Any, ...]) -> dict[str, Any]:
    """The state with a change of it; lists change in place, at either end and between."""
    kind, key, *rest = op
    new = copy.deepcopy(state)
    if kind == "set":
        new[key] = rest[0]
    elif kind == "drop":
        new.pop(key, None)
    elif isinstance(items := new.get(key), list):
        at = rest[0]
        if kind == "insert":
            items.insert(at, rest[1])
        elif kind == "cut":
            del items[at:]
        elif at < len(items):
            items[at] = rest[1]
    return new


class Run:
    """A run beside plain copies of what it saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = runstone.open(folder)
        self.handle = self.ledger.start_run(run_id="r")
        self.state: dict[str, Any] = {}
        self.plain: dict[int, dict[str, Any]] = {}
        self.labels: dict[int, str | None] = {}
        self.forks = 0

    def save(self, state: dict[str, Any], label: str | None = None) -> None:
        number = self.handle.checkpoint(state, label=label).result()
        self._keep(number, state, label)

    def append(self, key: str, items: list[Any]) -> None:
        before = self.state.get(key, [])
        if not isinstance(before, list):
            with pytest.raises(InvalidInput):
                self.handle.checkpoint(append={key: items})
            return
        number = self.handle.checkpoint(append={key: items}).result()
        self._keep(number, {**self.state, key: [*before, *items]}, None)

    def _keep(self, number: int, state: dict[str, Any], label: str | None) -> None:
        self.state = self.plain[number] = copy.deepcopy(state)
        self.labels[number] = label

    def go_on(self, *, reopened: bool) -> None:
        self.handle.interrupt("as it happens")
        if reopened:
            self.ledger.close()
            self.ledger = runstone.open(self.folder)
        self.handle = self.ledger.continue_run("r")
        assert self.handle.state == (self.state if self.plain else None)

    def thin(self, keep: int, keep_labelled: bool) -> None:
        done = self.ledger.checkpoints.thin("r", keep=keep, keep_labelled=keep_labelled)
        last = sorted(self.plain)[-keep:]
        stays = {n for n in self.plain if n in last or (keep_labelled and self.labels[n])}
        assert set(done.removed) == set(self.plain) - stays
        self.plain = {number: state for number, state in self.plain.items() if number in stays}

    def fork(self) -> None:
        self.forks += 1
        runstone.fork("r", ledger=self.ledger, new_id=f"fork-{self.forks}")

    def check(self) -> None:
        numbers = [one.number for one in self.ledger.checkpoints.list("r")]
        assert numbers == sorted(self.plain)
        for number in numbers:
            assert diff(self.ledger.checkpoints.state("r", number), self.plain[number]).changes == ()


@pytest.mark.parametrize(("size", "longest"), [(64, 8 * 1024), (3, 100)])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(st.tuples(OPS, st.sampled_from([None, None, "label"])), min_size=1, max_size=14))
def test_every_kept_state_equals_a_plain_copy(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    longest: int,
    steps: list[tuple[tuple[Any, ...], str | None]],
) -> None:
    """Also where every third item completes a group, and long ones are left out of it."""
    with patch.object(groups, "SIZE", size), patch.object(groups, "MAX_ITEM", longest):
        follow(Run(tmp_path_factory.mktemp("states")), steps)


def follow(run: Run, steps: list[tuple[tuple[Any, ...], str | None]]) -> None:
    try:
        for op, label in steps:
            kind, *rest = op
            if kind in ("continue", "reopen"):
                run.go_on(reopened=kind == "reopen")
            elif kind == "thin":
                run.thin(*rest)
            elif kind == "append":
                run.append(*rest)
            elif kind == "fork":
                run.fork()
            else:
                run.save(changed(run.state, op), label)
            run.check()
        assert run.ledger.care.verify() == []
        run.handle.complete().result()
        run.ledger.close()
        run.ledger = runstone.open(run.folder)
        run.check()
    finally:
        run.ledger.close()
