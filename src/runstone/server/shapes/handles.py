"""What clients send for runs of their own: operations, heartbeats, and what they are answered."""

from typing import Any

import msgspec

from runstone.domain.records import Command
from runstone.engine.processes import ProcessIdentity
from runstone.engine.wire import AnyOperation
from runstone.server.shapes.runs import Run


class HandleOwner(msgspec.Struct, frozen=True, kw_only=True):
    """The process that owns the runs: on the server's machine it is looked at, elsewhere its lease decides."""

    worker_id: str
    identity: ProcessIdentity


class NumberedOperation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation with its number in the client's spool; numbers only grow."""

    number: int
    operation: AnyOperation


class HandleWrites(msgspec.Struct, frozen=True, kw_only=True):
    """Operations of one client process, in their order. What came before under the same number is not written again."""

    spool: str
    owner: HandleOwner
    operations: list[NumberedOperation]
    alive: bool = True
    """The owner itself sends; false where it was killed, and another process delivers what it left."""


class OperationResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an operation: its value, or the problem that refused it."""

    number: int
    value: Any = None
    repeated: bool = False
    """It had been written before; its value is not told again."""
    problem: dict[str, Any] | None = None


class HandleResults(msgspec.Struct, frozen=True, kw_only=True):
    """A result for each operation, in their order."""

    results: list[OperationResult]


class HeldRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the client owns, and its attempt."""

    run_id: str
    attempt: int


class HandleBeat(msgspec.Struct, frozen=True, kw_only=True):
    """A heartbeat: renews the leases of the client's runs. It is answered at once, or when an order comes."""

    owner: HandleOwner
    held: list[HeldRun]
    wait_s: float = 0.0
    seen: list[str] = []
    """Orders that the client knows of."""


class HandleStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How the client's runs stand."""

    attempts: list[int | None]
    """The attempt that it holds, for each that it asked for; null where it has lost the run."""
    orders: list[Command]
    """Open orders to these runs; a message is one to `steer`, and stays open until the run takes it."""
    lease_s: float
    heartbeat_s: float


class HandleContinue(msgspec.Struct, frozen=True, kw_only=True):
    """Goes on with a run of a loop of one's own; of two that ask, one gets it."""

    owner: HandleOwner
    agent_id: str | None = None
    message: str | None = None
    """It goes on with this, and without an answer, where it waits for one: its questions are withdrawn."""


class HandleContinued(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that was opened, with what it goes on from."""

    run: Run
    attempt: int
    state: Any
    """The state of the last checkpoint."""
    checkpoint: int
    """Its number; 0 without one."""
    answers: list[Any]
    """Input requests that were answered, or expired, since then."""
    unanswered: list[Any]
    """Input requests that were withdrawn for the message."""
    cwd: str | None
    """The folder that the run works in."""
    message_in: str | None
