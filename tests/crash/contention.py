"""Processes that append to one file at the same time: no lock error, nothing lost, nobody starves."""

from pathlib import Path

import runstone
from tests.crash.world import Server, require_whole


def contend(folder: Path, *, processes: int, seconds: float) -> str:
    """Lets them append, checks what must hold, and says how long they waited."""
    with Server() as server:
        victims = [
            server.start(folder, "contend", str(folder), f"p{number}", str(seconds))
            for number in range(processes)
        ]
        assert all(victim.wait_gone(seconds * 3 + 60) for victim in victims)
    said = [victim.said()[-1] for victim in victims]
    assert all(line.get("done") for line in said), said
    with runstone.open(folder) as ledger:
        for line in said:
            events = [
                event
                for event in ledger.events(line["run"], limit=10_000).items
                if event.type == "note.written"
            ]
            assert [event.payload["n"] for event in events] == list(range(min(line["appends"], len(events))))
            last = ledger.reader.events.before(line["run"], limit=1)[0]
            assert last.seq == line["seq"] + 1, "the end comes right after the last acknowledged append"
        require_whole(ledger, [])
    longest = max(line["longest_s"] for line in said)
    appends = [line["appends"] for line in said]
    told = (
        f"{processes} processes, {seconds:g} s: {sum(appends)} appends ({min(appends)} to {max(appends)} each), "
        f"longest wait {longest:.3f} s, slowest hundredth {max(line['p99_s'] for line in said):.3f} s"
    )
    assert longest < 10, told
    assert min(appends) > sum(appends) / processes / 10, f"one process starved: {told}"
    return told
