"""A server's ledger has the face of a ledger in this process, but for what is named here."""

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest

from runstone.checkpoints import Checkpoints
from runstone.client.ledger import NOT_OVER_A_SERVER, RemoteLedger
from runstone.client.notebooks import RemoteBoards, RemoteThreads
from runstone.client.nouns import RemoteCheckpoints, RemoteCommands, RemoteInputs, RemoteOverview
from runstone.client.views import RemoteViews
from runstone.commands import Commands
from runstone.errors import Misuse, NotFound, RevisionConflict
from runstone.inputs import Inputs
from runstone.ledger import Ledger
from runstone.notebooks import Boards, Threads
from runstone.overview import Overview
from runstone.views import Views
from tests.client.conftest import Connect
from tests.server.conftest import Running

PAIRS: dict[type, tuple[type, set[str]]] = {
    Ledger: (RemoteLedger, set(NOT_OVER_A_SERVER)),
    Threads: (RemoteThreads, set()),
    Boards: (RemoteBoards, set()),
    Checkpoints: (RemoteCheckpoints, set()),
    Overview: (RemoteOverview, set()),
    Views: (RemoteViews, set()),
    Inputs: (RemoteInputs, set()),
    # The engine's, and those of a command's own process.
    Commands: (RemoteCommands, {"move", "stop_below", "carry_down"}),
}
"""What a server's ledger has not."""
MORE: dict[type, set[str]] = {
    RemoteLedger: {
        "health",
        "standing",
        "start",
        "resume",
        "resumable",
        "plan",
        "fork",
        "plan_fork",
        "definitions",
        "definition",
    }
}
"""What it has besides."""
OTHER: set[tuple[type, str]] = {
    (RemoteLedger, "tail"),  # gives a RemoteTail, which is used alike
    (RemoteCheckpoints, "thin"),  # refuses
}
"""Calls whose signature differs."""


def face(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize("own", list(PAIRS), ids=lambda kind: kind.__name__)
def test_each_call_of_a_ledger_is_there_with_a_server(own: type) -> None:
    remote, missing = PAIRS[own]
    here, there = face(own), face(remote)
    instance = {"care", "readonly", "workspace"} if own is Ledger else set()
    assert here.keys() - there.keys() == missing - instance
    assert there.keys() - here.keys() == MORE.get(remote, set())
    for name in here.keys() & there.keys():
        if (remote, name) not in OTHER:
            assert signature(here[name]) == signature(there[name]), name


def signature(call: Any) -> list[tuple[str, Any, str]]:
    """Names, kinds and defaults of the parameters."""
    return [(one.name, one.kind, repr(one.default)) for one in inspect.signature(call).parameters.values()]


def test_attributes_are_there_or_say_why_not(running: Running, connect: Connect) -> None:
    remote = connect()
    for name in vars(running.ledger):
        if name.startswith("_"):
            continue
        if name in NOT_OVER_A_SERVER:
            with pytest.raises(Misuse, match=name):
                getattr(remote, name)
        else:
            assert getattr(remote, name) is not None
    with pytest.raises(AttributeError):
        _ = remote.nothing


def test_a_look_that_is_out_of_date_is_not_settled(running: Running, connect: Connect) -> None:
    """A watcher that took the end of a run for that of an older look would show it as still running."""
    remote = connect()
    run = running.ledger.start_run(run_id="looked-at")
    before = remote.get_run("looked-at")
    run.complete().result()
    assert not remote.overview.settled(before)
    assert remote.overview.settled(remote.get_run("looked-at"))


def test_what_is_drawn_and_compared_is_the_same(running: Running, connect: Connect) -> None:
    remote, own = connect(), running.ledger
    with own.start_run(run_id="top", input={"cost_usd": "0.1"}) as top:
        top.usage(provider="p", model="m", input_tokens=3, cost_usd="0.25")
        for name in ("a", "b", "c"):
            with own.start_run(run_id=name, parent=top, input={"n": name}) as child:
                child.emit("tool.started", {"tool": "search", "call_id": "c1"})
                child.usage(provider="p", model="m", input_tokens=1, cost_usd="0.1")
        top.complete(result={"cost_usd": 3})
    own.start_run(run_id="other", input={"cost_usd": "0.2"}).complete(result={"cost_usd": "4"})
    own.flush()
    assert remote.compare("top", "other") == own.compare("top", "other")
    assert remote.timeline("top", buckets=3) == own.timeline("top", buckets=3)
    first, there = own.tree_page("top", limit=3), remote.tree_page("top", limit=3)
    assert there == first
    assert len(there.items) == 3
    assert remote.tree_page("top", cursor=there.next_cursor) == own.tree_page("top", cursor=first.next_cursor)


def test_views_are_saved_over_a_server(running: Running, connect: Connect) -> None:
    remote, own = connect(), running.ledger
    since = datetime(2026, 1, 2, tzinfo=UTC)
    made = remote.views.put("Failures", {"status": "failed", "created_from": since}, grouping="day")
    assert [made] == own.views.list() == remote.views.list()
    changed = remote.views.put("Ends", {"status": "failed"}, view_id=made.id, revision=made.revision)
    assert own.views.get(made.id) == changed == remote.views.get(made.id)
    with pytest.raises(RevisionConflict):
        remote.views.put("Late", {}, view_id=made.id, revision=made.revision)
    with pytest.raises(RevisionConflict):
        remote.views.delete(made.id, revision=made.revision)
    remote.views.delete(made.id, revision=changed.revision)
    with pytest.raises(NotFound):
        remote.views.get(made.id)
    assert remote.views.seen("ana") is None
    before = own.cursor()
    own.start_run(run_id="new").complete().result()
    seen = remote.views.mark_seen("ana")
    assert (seen, seen.cursor) == (own.views.seen("ana"), own.cursor())
    assert remote.views.mark_seen("ana", before).cursor == seen.cursor
