"""The stream over a real server: what comes first, what is given again, what is kept back, and how it ends."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import runstone
from runstone.server.stream import follower, response
from tests.server.conftest import Running, serving
from tests.server.following import Following


@pytest.fixture
def follow(running: Running) -> Iterator[Any]:
    opened: list[Following] = []

    def start(path: str = "", last_id: str | None = None) -> Following:
        found = Following(running.url, running.tokens["read"], path=f"/api/v1/stream{path}", last_id=last_id)
        opened.append(found)
        return found

    yield start
    for one in opened:
        one.close()


def record(ledger: runstone.Ledger, run_id: str, *types: str, **more: Any) -> None:
    """A run that completes, with events of these types."""
    with ledger.start_run(run_id=run_id, **more) as run:
        run.emit_many([(kind, {"n": n}) for n, kind in enumerate(types)]).result()


def test_the_first_frame_comes_at_once_with_an_id_to_come_back_with(running: Running, follow: Any) -> None:
    record(running.ledger, "r")
    stream = follow()
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert (stream.headers["cache-control"], stream.headers["x-accel-buffering"]) == ("no-store", "no")
    first = stream.next()
    assert (first.id, first.data) == (running.ledger.cursor(), "")


def test_what_happens_is_told_with_its_cursor_and_what_it_makes_of_the_run(
    running: Running, follow: Any
) -> None:
    stream = follow()
    stream.next()
    record(running.ledger, "r", "note.taken")
    frames = [stream.next() for _ in range(4)]
    found = [frame.value for frame in frames]
    assert [one["type"] for one in found] == ["run.created", "run.started", "note.taken", "run.completed"]
    assert [one.get("status") for one in found] == ["pending", "running", None, "completed"]
    assert [frame.id for frame in frames][-1] == running.ledger.cursor()
    recorded = running.ledger.events("r").items
    same = ("run_id", "seq", "position", "type", "payload", "importance", "attempt", "event_key")
    assert [{name: one[name] for name in same} for one in found] == [
        {name: getattr(event, name) for name in same} for event in recorded
    ]
    assert [datetime.fromisoformat(one["timestamp"]) for one in found] == [
        event.timestamp for event in recorded
    ]


def test_a_cursor_gives_what_came_behind_it_and_the_last_id_wins(running: Running, follow: Any) -> None:
    record(running.ledger, "r", *["note.taken"] * 20)
    epoch = running.ledger.cursor().rpartition("-")[0]
    assert [one["position"] for one in follow(f"?after={epoch}-5").events(18)] == list(range(6, 24))
    both = follow(f"?after={epoch}-5", last_id=f"{epoch}-20")
    assert both.next().id == f"{epoch}-20"
    assert [one["position"] for one in both.events(3)] == [21, 22, 23]


def test_a_cursor_of_another_ledger_is_told_and_everything_follows(running: Running, follow: Any) -> None:
    record(running.ledger, "r")
    stream = follow("?after=0123-7")
    assert stream.next().id.endswith("-0")
    assert stream.next().name == "reset"
    assert [one["position"] for one in stream.events(3)] == [1, 2, 3]


@pytest.mark.parametrize("cursor", ["7", "x-", "x-1a", "-5", "x-" + "9" * 19, "x-²"])
def test_what_is_no_cursor_is_refused(http: httpx.Client, cursor: str) -> None:
    answer = http.get("/api/v1/stream", params={"after": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "wrong", ["topics=run", "topics=card:1", "topics=bucket:none", "types=A B", "importance=3"]
)
def test_a_filter_that_is_none_is_refused(http: httpx.Client, wrong: str) -> None:
    assert http.get(f"/api/v1/stream?{wrong}").status_code == 400


def test_removed_history_is_a_gap_and_then_goes_on(running: Running, follow: Any) -> None:
    record(running.ledger, "old", *["note.taken"] * 5)
    epoch = running.ledger.cursor().rpartition("-")[0]
    running.ledger.care.remove("old")
    stream = follow(f"?after={epoch}-2")
    stream.next()
    gap = stream.next()
    assert (gap.name, gap.value["after"]) == ("gap", 2)
    record(running.ledger, "new")
    assert [one["run_id"] for one in stream.events(3)] == ["new"] * 3


def test_topics_give_a_run_a_subtree_with_what_is_created_later_and_nothing_else(
    running: Running, follow: Any
) -> None:
    ledger = running.ledger
    with ledger.start_run(run_id="top") as top:
        subtree, alone = follow("?topics=subtree:top"), follow("?topics=run:top")
        both = follow("?topics=run:other,subtree:top.kid")
        for stream in (subtree, alone, both):
            stream.next()
        with ledger.start_run(run_id="top.kid", parent=top):
            record(ledger, "top.kid.kid", parent="top.kid")
            record(ledger, "other")
    assert [(one["run_id"], one["type"]) for one in subtree.events(11)] == [
        ("top.kid", "run.created"), ("top", "child.started"), ("top.kid", "run.started"),
        ("top.kid.kid", "run.created"), ("top.kid", "child.started"), ("top.kid.kid", "run.started"),
        ("top.kid.kid", "run.completed"), ("top.kid", "child.completed"), ("top.kid", "run.completed"),
        ("top", "child.completed"), ("top", "run.completed"),
    ]  # fmt: skip
    assert [one["type"] for one in alone.events(3)] == ["child.started", "child.completed", "run.completed"]
    assert {one["run_id"] for one in both.events(10)} == {"other", "top.kid", "top.kid.kid"}


def test_a_run_whose_parent_becomes_known_later_joins_its_subtree(running: Running, follow: Any) -> None:
    stream = follow("?topics=subtree:late")
    stream.next()
    with running.ledger.start_run(run_id="kid", parent="late") as kid:
        kid.emit("note.taken").result()
        record(running.ledger, "late")
        kid.emit("note.taken", {"n": 2}).result()
    told: list[dict[str, Any]] = []
    while (told or [{}])[-1].get("type") != "run.attached":
        told += stream.events(1)
    assert told[-1]["run_id"] == "kid"
    # What it did before may be told, too: whether the reader knew of its parent by then depends on who was faster.
    assert [(one["run_id"], one["type"]) for one in stream.events(4)] == [
        ("late", "run.started"),
        ("late", "run.completed"),
        ("kid", "note.taken"),
        ("kid", "run.completed"),
    ]


def test_types_and_importance_choose(running: Running, follow: Any) -> None:
    tools, loud = follow("?types=tool.*&types=note.taken"), follow("?importance=2")
    for stream in (tools, loud):
        stream.next()
    with running.ledger.start_run(run_id="r") as run:
        run.emit("tool.started", {"call_id": "c", "tool": "t"})
        run.emit("other.thing")
        run.emit("note.taken")
        run.emit("alarm.raised", importance=2)
    assert [one["type"] for one in tools.events(2)] == ["tool.started", "note.taken"]
    assert [one["type"] for one in loud.events(2)] == ["alarm.raised", "run.completed"]


def test_a_bucket_tells_of_all_that_enter_and_leave_it(running: Running, follow: Any) -> None:
    stream = follow("?topics=bucket:needs_input")
    stream.next()
    with running.ledger.start_run(run_id="asks") as run:
        run.emit("note.taken").result()
        asked = run.ask("Which?")
    running.ledger.answer(asked.id, "one")
    told = [one["type"] for one in stream.events(6)]
    assert told[:2] == ["run.created", "run.started"]
    assert {"input.requested", "run.awaited", "input.answered"} <= set(told)


def test_the_id_of_a_filtered_client_moves_though_nothing_is_for_it(running: Running, follow: Any) -> None:
    stream = follow("?topics=run:quiet")
    begin = stream.next().id
    with running.ledger.start_run(run_id="loud") as run:
        for _ in range(5):
            run.emit_many([("note.taken", None)] * 500).result()
        moved = stream.next()
    assert moved.data == ""
    assert int(moved.id.rpartition("-")[2]) >= int(begin.rpartition("-")[2]) + follower.SKIPPED


def test_a_quiet_connection_beats(running: Running, follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "BEAT_S", 0.05)
    stream = follow()
    stream.next()
    text = b""
    while text.count(b": \n\n") < 3:
        text += stream._receive()
    assert b"data" not in text


def test_writes_of_another_process_arrive(running: Running, follow: Any) -> None:
    import subprocess
    import sys

    stream = follow()
    stream.next()
    code = "import runstone, sys; runstone.open(sys.argv[1]).start_run(run_id='there').complete().result()"
    subprocess.run([sys.executable, "-c", code, str(running.ledger.workspace.root)], check=True)
    assert [one["run_id"] for one in stream.events(3)] == ["there"] * 3


def test_a_long_payload_is_told_by_its_reference(running: Running, follow: Any) -> None:
    stream = follow("?types=note.taken")
    stream.next()
    with running.ledger.start_run(run_id="r") as run:
        run.emit("note.taken", {"text": "x" * 10_000})
        run.emit("note.taken", {"text": "y" * 100_000})
    short, long = stream.events(2)
    assert short["payload"] == {"text": "x" * 10_000}
    assert long["payload"] is None
    assert running.ledger.reader.values.json(long["payload_ref"]) == {"text": "y" * 100_000}
    assert long["payload_bytes"] == running.ledger.reader.values.size(long["payload_ref"])


def test_the_server_ends_in_time_and_tells_its_streams_to_come_again(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        streams = [Following(running.url, running.tokens["read"]) for _ in range(20)]
        for stream in streams:
            stream.next()
    for stream in streams:  # `serving` asserts that the server ended within seconds
        assert stream.next().name == "reconnect"
        with pytest.raises(EOFError):
            stream.next()
        stream.close()


def test_more_streams_than_the_server_takes_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path, max_streams=2) as running:
        streams = [Following(running.url, running.tokens["read"]) for _ in range(3)]
        assert [stream.status for stream in streams] == [200, 200, 503]
        assert streams[2].headers["content-type"] == "application/problem+json"
        assert "retry-after" in streams[2].headers
        for stream in streams:
            stream.close()


def test_a_client_that_reads_too_slowly_is_told_to_come_again_and_misses_nothing(
    running: Running, follow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "SLOW_S", 0.05)
    with running.ledger.start_run(run_id="r") as run:
        for _ in range(80):
            run.emit_many([("note.taken", {"text": "x" * 2_000})] * 100)
    end = running.ledger.reader.events.last_position()
    epoch = running.ledger.cursor().rpartition("-")[0]
    stream, positions, last = follow(f"?after={epoch}-0"), [], None
    waiting = threading.Event()
    waiting.wait(0.5)  # the client is the slow one here: it does not read for a while
    told = 0
    while not positions or positions[-1] < end:
        frame = stream.next()
        last = frame.id or last
        if frame.name == "reconnect":
            told += 1
            stream = follow(last_id=last)
        elif frame.is_event:
            positions.append(frame.value["position"])
    assert told >= 1
    assert positions == list(range(1, end + 1))


def test_a_stream_needs_a_token(running: Running) -> None:
    stream = Following(running.url, "no-token")
    assert stream.status == 401
    stream.close()


def test_timestamps_are_utc(running: Running, follow: Any) -> None:
    stream = follow()
    stream.next()
    record(running.ledger, "r")
    told = datetime.fromisoformat(stream.events(1)[0]["timestamp"])
    assert told.tzinfo is not None
    assert told.astimezone(UTC) == running.ledger.events("r").items[0].timestamp


def test_a_stream_gives_nothing_more_once_its_token_is_revoked(running: Running, follow: Any) -> None:
    stream = follow()
    stream.next()
    record(running.ledger, "before")
    assert stream.events(3)[-1]["run_id"] == "before"
    tokens = running.server.parts.tokens
    for token in tokens.valid():
        tokens.revoke(token.id)
    record(running.ledger, "after")
    end = stream.next()
    assert (end.name, "token" in end.data, "after" in end.data) == ("reconnect", True, False)
