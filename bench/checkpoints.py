"""Saved states: what they take on disk, what a save and a load cost, and what differs between two of them.

The conversation is kept beside LangGraph's SqliteSaver in one run, with its list channel and with its delta channel.
"""

import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec
import psutil

import runstone
from bench.conversation import message, noise, prose
from bench.table import Pace, markdown, workspace
from runstone.domain.state_diff import diff
from runstone.ledger import Ledger
from runstone.store.blobs import compress, decompress

LIST_TURNS, LIST_BYTES = 200, 3_000
TURNS, TURN_BYTES = 1_000, 2_000


def bench(pace: Pace) -> str:
    part = 10 if pace.seconds < 1 else 1
    tables = (_beside_langgraph(part), _size(part), _costs(part), _diffs(part))
    return "\n\n".join(tables)


# --- beside LangGraph ---------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """Our side after a conversation: the text's own bytes, those of all files once closed, and two times in seconds."""

    raw: int
    bytes: int
    load_s: float
    list_s: float


def _keep(texts: Iterator[str]) -> Kept:
    with workspace() as folder:
        raw = 0
        with runstone.open(folder) as ledger, ledger.start_run(run_id="r") as run:
            for turn, text in enumerate(texts):
                raw += len(text.encode())
                run.checkpoint(append={"messages": [message(turn, text)]}).result()
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        with runstone.open(folder, readonly=True) as ledger:
            return Kept(
                raw,
                size,
                _median_s(lambda: ledger.checkpoints.state("r")),
                _median_s(lambda: ledger.checkpoints.list("r")),
            )


def _beside_langgraph(part: int) -> str:
    rows = []
    few, many = LIST_TURNS // part, TURNS // part
    ours, theirs = _keep(prose(few, LIST_BYTES)), _langgraph("list", few, LIST_BYTES)
    what = f"{few} turns of 3 KB, list channel"
    rows.append((f"{what}: bytes", _mb(ours.bytes), _mb(theirs["bytes"]), _aim("3 MB", ours.bytes <= 3e6)))
    listed = _aim("50 ms", ours.list_s <= 0.05)
    rows.append((f"{what}: list of the history", _ms(ours.list_s), _ms(theirs["history_s"]), listed))
    ours, theirs = _keep(prose(many, TURN_BYTES)), _langgraph("delta", many, TURN_BYTES)
    what = f"{many:,} turns of 2 KB, delta channel"
    rows.append(
        (f"{what}: bytes", _mb(ours.bytes), _mb(theirs["bytes"]), _aim("less", ours.bytes < theirs["bytes"]))
    )
    faster = _aim("less", ours.load_s < theirs["load_s"])
    rows.append((f"{what}: load", _ms(ours.load_s), _ms(theirs["load_s"]), faster))
    return markdown(("beside LangGraph's SqliteSaver", "ours", "LangGraph", "aim"), rows)


def _langgraph(kind: str, turns: int, size: int) -> dict[str, Any]:
    with workspace() as folder:
        words = [str(folder / "langgraph.db"), kind, str(turns), str(size)]
        done = subprocess.run(
            [sys.executable, "-m", "bench.langgraph_turns", *words],
            capture_output=True, text=True, timeout=1_200, check=False,
            env={**os.environ, "LANGSMITH_TRACING": "false"},
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the side of LangGraph failed; `make bench` installs it: {done.stderr[-500:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


# --- size ----------------------------------------------------------------------------------------------------------


def _size(part: int) -> str:
    count = TURNS // part
    with workspace() as folder:
        runstone.open(folder).close()
        empty = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    rows = [("an empty workspace", "", _mb(empty), "", "")]
    for name, texts, aim in (("ordinary text", prose, 1.3), ("text that hardly compresses", noise, None)):
        kept = _keep(texts(count, TURN_BYTES))
        ratio = kept.bytes / kept.raw
        told = "" if aim is None else _aim(str(aim), ratio <= aim)
        rows.append(
            (f"{count:,} turns of 2 KB, {name}", _mb(kept.raw), _mb(kept.bytes), f"{ratio:.2f}", told)
        )
    return markdown(("a closed workspace, all its files", "text", "files", "ratio", "aim"), rows)


# --- what a save and a load cost -------------------------------------------------------------------------------------


def _costs(part: int) -> str:
    count = TURNS // part
    messages = [message(turn, text) for turn, text in enumerate(prose(count, TURN_BYTES))]
    with workspace() as folder, runstone.open(folder) as ledger, ledger.start_run(run_id="r") as run:
        spent: list[tuple[float, int]] = []
        for one in messages:
            before, started = _written(), time.perf_counter()
            run.checkpoint(append={"messages": [one]}).result()
            spent.append((time.perf_counter() - started, _written() - before))
        tenth = max(1, count // 10)
        first, last = spent[tenth : 2 * tenth], spent[-tenth:]
        rows = [_flat("append=, time of a save", [s for s, _ in first], [s for s, _ in last], _ms)]
        rows.append(
            _flat("append=, bytes written by a save", [b for _, b in first], [b for _, b in last], _kb)
        )
        rows.append(_found(ledger, run, messages))
        rows.append(_loaded(ledger, messages))
    return markdown(("what", "cost", "against", "ratio", "aim"), rows)


def _flat(
    name: str, first: list[Any], last: list[Any], shown: Callable[[float], str]
) -> tuple[str, str, str, str, str]:
    early, late = statistics.median(first), statistics.median(last)
    told = _aim("1, within noise", late / early < 1.25)
    return (
        name + ", the last tenth",
        shown(late),
        f"{shown(early)} (the second tenth)",
        f"{late / early:.2f}",
        told,
    )


def _found(ledger: Ledger, run: Any, messages: list[Any]) -> tuple[str, str, str, str, str]:
    """A save that finds the one message that changed, against encoding and hashing the state, and a commit."""
    turn = iter(range(1_000_000))

    def save() -> None:
        messages[len(messages) // 2] = message(0, f"changed {next(turn)}")
        run.checkpoint({"messages": messages}).result()

    def encode_and_hash() -> None:
        hashlib.sha256(msgspec.json.encode({"messages": messages})).hexdigest()

    save()
    took, once = _median_s(save), _median_s(encode_and_hash)
    commit = _median_s(lambda: run.emit("note.written", {"n": 1}).result())
    most = 2 * once + commit
    against = f"2 x {_ms(once)} + {_ms(commit)} (twice encode and hash, and a commit)"
    return (
        "a save that finds the change itself",
        _ms(took),
        against,
        f"{took / most:.2f}",
        _aim("1", took <= most),
    )


def _loaded(ledger: Ledger, messages: list[Any]) -> tuple[str, str, str, str, str]:
    """A load, against reading and decoding the same state from one file in which it is compressed as a whole."""
    with workspace() as folder:
        file = folder / "state"
        number, packed = compress(msgspec.json.encode({"messages": messages}))
        file.write_bytes(packed)
        took = _median_s(lambda: ledger.checkpoints.state("r"))
        once = _median_s(lambda: msgspec.json.decode(decompress(number, file.read_bytes())))
    against = f"2 x {_ms(once)} (twice read and decode, of one file)"
    return "a load", _ms(took), against, f"{took / (2 * once):.2f}", _aim("1", took <= 2 * once)


def _written() -> int:
    return int(psutil.Process().io_counters().write_chars)


# --- diffs -----------------------------------------------------------------------------------------------------------


def _diffs(part: int) -> str:
    rows = []
    for name, (before, after) in _pairs(part).items():
        took, once = (
            _median_s(partial(diff, before, after)),
            _median_s(partial(msgspec.json.encode, [before, after])),
        )
        size = len(msgspec.json.encode(before))
        rows.append((name, _mb(size), _ms(took), f"{took / once:.0f}", _aim("200 ms", took <= 0.2)))
    return markdown(("diff of two states", "size of each", "time", "times encoding both", "aim"), rows)


def _pairs(part: int) -> dict[str, tuple[Any, Any]]:
    pick = random.Random(1)
    turns = [message(turn, text) for turn, text in enumerate(prose(500 // part, TURN_BYTES))]
    edited = [
        *turns[:10],
        message(0, "new"),
        *turns[11:40],
        message(0, turns[40]["content"] + "\nmore"),
        *turns[41:],
    ]
    ids = [f"{n:060d}" for n in range(15_000 // part)]
    numbers = list(range(150_000 // part))
    lines = [f"line {n} of a text" for n in range(50_000 // part)]
    return {
        "a conversation with three changes": (turns, edited),
        "every message differs": (turns, [message(0, one["content"][::-1]) for one in turns]),
        "15,000 items shuffled": (ids, pick.sample(ids, len(ids))),
        "150,000 numbers reversed": (numbers, numbers[::-1]),
        "items of two values": (
            [n % 2 for n in range(19_000 // part)],
            [n % 3 % 2 for n in range(19_000 // part)],
        ),
        "60,000 fields, all changed": (
            {f"k{n}": n for n in numbers[:60_000]},
            {f"k{n}": -n for n in numbers[:60_000]},
        ),
        "a text of 50,000 lines shuffled": ("\n".join(lines), "\n".join(pick.sample(lines, len(lines)))),
        "a text of two lines, 500,000 times": ("a\nb\n" * (250_000 // part), "b\na\n" * (250_000 // part)),
    }


# --- figures ---------------------------------------------------------------------------------------------------------


def _median_s(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(9):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _aim(aim: str, reached: bool) -> str:
    return aim if reached else f"{aim} (missed)"


def _mb(size: float) -> str:
    return f"{size / 1e6:.2f} MB"


def _kb(size: float) -> str:
    return f"{size / 1e3:.1f} KB"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
