"""A server's ledger has the face of a ledger in this process, but for what is named here."""

import inspect
from typing import Any

import pytest

from runstone.checkpoints import Checkpoints
from runstone.client.ledger import NOT_OVER_A_SERVER, RemoteLedger
from runstone.client.notebooks import RemoteBoards, RemoteThreads
from runstone.client.nouns import RemoteCheckpoints, RemoteCommands, RemoteInputs, RemoteOverview
from runstone.commands import Commands
from runstone.errors import Misuse
from runstone.inputs import Inputs
from runstone.ledger import Ledger
from runstone.notebooks import Boards, Threads
from runstone.overview import Overview
from tests.client.conftest import Connect
from tests.server.conftest import Running

PAIRS: dict[type, tuple[type, set[str]]] = {
    Ledger: (RemoteLedger, set(NOT_OVER_A_SERVER)),
    Threads: (RemoteThreads, set()),
    Boards: (RemoteBoards, set()),
    Checkpoints: (RemoteCheckpoints, set()),
    Overview: (RemoteOverview, set()),
    # The engine's, and those of a command's own process.
    Inputs: (RemoteInputs, {"ask", "take"}),
    Commands: (RemoteCommands, {"move", "stop_below"}),
}
"""What a server's ledger has not."""
MORE: dict[type, set[str]] = {RemoteLedger: {"health", "standing", "start", "resume", "definitions"}}
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
    instance = {"care", "readonly", "views", "workspace"} if own is Ledger else set()
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
