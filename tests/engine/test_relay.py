"""What a relay puts in line has a name that its queues have never had."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import runstone
from runstone.domain.dispatches import QueueSettings, name_of, parse_name
from runstone.engine.queues import Queued
from runstone.engine.relay import Relay


class Line:
    """Queues that keep what they are given, and hand out nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def enqueue(self, dispatches: Sequence[Queued]) -> None:
        self.names += [one.name for one in dispatches]

    def forget(self, names: Sequence[str]) -> None:
        raise AssertionError(f"nothing is over: {names}")

    def in_line(self, names: Sequence[str]) -> set[str]:
        return set(names)

    def serve(
        self, queues: Mapping[str, QueueSettings], slots: int, work: Callable[[str, int], None]
    ) -> None:
        raise AssertionError("nobody asked for it")

    def width(self, queue: str, settings: QueueSettings, slots: int) -> int:
        raise AssertionError("nobody asked for it")

    def close(self) -> None:
        raise AssertionError("nobody asked for it")


def test_a_run_that_is_made_again_under_its_id_has_another_name_in_line(tmp_path: Path) -> None:
    made = runstone.Registry()

    @made.agent("one")
    async def one(ctx: Any, input: Any) -> Any:
        return input

    with runstone.open(tmp_path) as ledger:
        line = Line()
        relay = Relay(ledger.core, ledger.supervisor, line)
        for _ in range(3):
            runstone.enqueue("one", None, ledger=ledger, registry=made, run_id="a:b")
            relay.turn()
            ledger.command("a:b", "stop")
            ledger.care.remove("a:b")
    assert len(line.names) == 3
    assert len(set(line.names)) == 3
    assert {parse_name(name) for name in line.names} == {("a:b", 1)}


def test_a_name_tells_its_run_and_number_also_one_of_an_older_version() -> None:
    assert parse_name(name_of("a:b.c", 7, 12)) == ("a:b.c", 12)
    assert parse_name("a:b.c:12") == ("a:b.c", 12)
