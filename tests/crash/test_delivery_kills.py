"""An end is told to each listener until it is acknowledged and never after, whoever is killed between two writes."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.store.writes.deliveries import Meant, free_ends
from tests.crash.world import Server, Victim, pause

CHILDREN = 3
WRITES = 60
"""More than the parent needs; the loop ends with the first kill that comes too late."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def heard(ledger: runstone.Ledger) -> list[str]:
    """All that the parent took in: into its state, and into its thread."""
    state = ledger.checkpoints.state("p") or {"heard": []}
    thread = ledger.get_run("p").worker_thread_id
    messages = [] if thread is None else ledger.threads.messages(thread).items
    return sorted([json.dumps(one) for one in state["heard"]] + [message.text for message in messages])


@pytest.mark.parametrize("place", ["writer.before_commit", "writer.after_commit"])
def test_a_parent_that_is_killed_at_any_write_takes_each_end_in_once(
    tmp_path: Path, server: Server, place: str, record_property: Any
) -> None:
    wanted = sorted(json.dumps([f"c{number}", {"n": number}]) for number in range(CHILDREN))
    for count in range(1, WRITES):
        folder = tmp_path / str(count)
        folder.mkdir()
        with runstone.open(folder):
            pass
        victim = server.start(folder, "hear_children", str(folder), str(CHILDREN), crash=(place, count))
        assert victim.wait_gone(60)
        through = any("done" in line for line in victim.said())
        if not through:
            again = server.start(folder, "hear_children", str(folder), str(CHILDREN))
            assert again.wait_gone(60)
            assert any("done" in line for line in again.said()), again.said()
        with runstone.open(folder) as ledger:
            assert heard(ledger) == wanted, count
            assert ledger.get_run("p").status == "completed"
            assert ledger.care.verify() == []
        if through:
            break
    else:
        raise AssertionError(f"it needs more than {WRITES} writes")
    record_property("told", f"killed at {count - 1} writes")
    assert count > 3 * CHILDREN


def end_children(folder: Path, count: int) -> None:
    with runstone.open(folder) as ledger:
        parent = ledger.start_run(run_id="p", parent=None)
        for number in range(count):
            with ledger.start_run(run_id=f"c{number:02}", parent=parent) as child:
                child.complete(result={"n": number})


def told_by(*victims: Victim) -> Counter[str]:
    lines = [line for victim in victims for line in victim.said()]
    return Counter(line["told"][0] for line in lines if "told" in line)


def wait_quiet(folder: Path, listener: str, *victims: Victim) -> None:
    """Until the listener has acknowledged all ends; then it is told to stop."""
    with runstone.open(folder, readonly=True) as ledger:
        children = Meant(parent=ledger.reader.runs.pk("p"))
        for _ in range(2_000):  # those in hand are left, too, by a clock far ahead
            if not ledger.reader.rows("pending_ends", **free_ends(listener, children, 2**62, ())):
                break
            pause(0.02)
        else:
            raise AssertionError("ends are left that nobody acknowledged")
    (folder / "stop").touch()
    assert all(victim.wait_gone(60) for victim in victims)
    (folder / "stop").unlink()


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("write", ["TakeEnds", "Acknowledge"])
def test_what_a_killed_listener_had_in_hand_is_told_to_the_next_one(
    tmp_path: Path, server: Server, write: str, side: str
) -> None:
    end_children(tmp_path, 4)
    victim = server.start(tmp_path, "listen", str(tmp_path), "l", "2", crash=(f"{write}.{side}_commit", 2))
    assert victim.wait_gone(60)
    next_one = server.start(tmp_path, "listen", str(tmp_path), "l", "2")
    wait_quiet(tmp_path, "l", next_one)
    begun = [line for one in (victim, next_one) for line in one.said() if "begin" in line]
    assert {line["begin"][0] for line in begun} == {f"c{number:02}" for number in range(4)}, "each was told"
    assert all(line["result"] == {"n": int(line["begin"][0][1:])} for line in begun), "with its result"
    acknowledged = set(told_by(victim))
    assert not acknowledged & {line["begin"][0] for line in next_one.said() if "begin" in line}
    assert max((told_by(victim, next_one)).values()) == 1


def test_of_two_processes_of_a_listener_one_gets_each_end_and_another_listener_gets_all(
    tmp_path: Path, server: Server, record_property: Any
) -> None:
    count = 60
    end_children(tmp_path, count)
    racing = [server.start(tmp_path, "listen", str(tmp_path), "l", "3") for _ in range(2)]
    other = server.start(tmp_path, "listen", str(tmp_path), "other", "100")
    assert other.wait_said("told")
    wait_quiet(tmp_path, "l", *racing, other)
    assert told_by(*racing) == Counter({f"c{number:02}": 1 for number in range(count)})
    assert told_by(other) == told_by(*racing)
    begun = Counter(line["begin"][0] for one in racing for line in one.said() if "begin" in line)
    assert set(begun.values()) == {1}, "nobody begins what another has in hand"
    shares = [sum(told_by(one).values()) for one in racing]
    record_property("told", f"{count} ends, {shares} to each process")
    with runstone.open(tmp_path) as ledger:
        assert ledger.care.verify() == []
