"""`ledger.continue_run`: goes on with a run of a loop of one's own, from its last checkpoint."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from runstone.domain import codec
from runstone.domain.bounds import asked_id, checked_message
from runstone.domain.inputs import InputRequest
from runstone.domain.state import Saved
from runstone.engine.handle import RunHandle
from runstone.errors import InvalidInput, StoreCorrupt
from runstone.store import continuations, questions
from runstone.store.reads import Reader
from runstone.store.writes.continuing import ContinueRun, check_agent
from runstone.store.writes.lifecycle import Claimed, Owner

if TYPE_CHECKING:
    from runstone.ledger import Ledger


class Continuation(NamedTuple):
    """The attempt that goes on with a run of one's own loop, and what it goes on from."""

    attempt: int
    state: Any
    saved: Saved
    cwd: str | None
    answers: tuple[InputRequest, ...]
    unanswered: tuple[InputRequest, ...]
    message_in: str | None


def continue_run(ledger: "Ledger", run_id: str, message: str | None, agent_id: str | None) -> RunHandle:
    """Opens the next attempt. See `Ledger.continue_run`."""
    found = claim(ledger, run_id, ledger.supervisor.owner, message=message, agent_id=agent_id)
    handle = RunHandle(
        ledger.core, ledger.supervisor, run_id, found.attempt, state=found.state, saved=found.saved
    )
    return handed_over(handle, found)


def handed_over(handle: RunHandle, found: Continuation) -> RunHandle:
    """The handle, with what its attempt goes on from."""
    handle.cwd = found.cwd
    handle.answers = found.answers
    handle.unanswered = found.unanswered
    handle.message_in = found.message_in
    return handle


def claim(
    ledger: "Ledger", run_id: str, owner: Owner, *, message: str | None, agent_id: str | None
) -> Continuation:
    """Opens the next attempt for the owner: this process, or a client of a server."""
    core, reader = ledger.core, ledger.reader
    run = ledger.get_run(asked_id("a run's id", run_id))
    told = None if message is None else core.redactor.message(checked_message(message))
    check_agent(run_id, run.agent_id, agent_id)
    ledger.supervisor.settle(run_id)
    state, saved = _last_state(reader, run_id)
    ledger.end_orphans(run_id)
    cwd = _cwd(reader, run_id)
    claim = ContinueRun(
        run_id,
        owner,
        message=told,
        saved=saved.number,
        now=core.now(),
        payload={} if cwd is None else {"cwd": cwd},
    )
    claimed: Claimed
    claimed, withdrawn = core.submit(claim, []).result()
    return _continuation(reader, run_id, claimed.head.attempt, withdrawn, (state, saved))


def claimed_before(ledger: "Ledger", run_id: str, attempt: int, withdrawn: Iterable[str]) -> Continuation:
    """What `claim` gave, told again to the owner that did not hear it: nothing has happened in its attempt since."""
    return _continuation(ledger.reader, run_id, attempt, withdrawn, _last_state(ledger.reader, run_id))


def _continuation(
    reader: Reader, run_id: str, attempt: int, withdrawn: Iterable[str], last: tuple[Any, Saved]
) -> Continuation:
    state, saved = last
    return Continuation(
        attempt=attempt, state=state, saved=saved, cwd=_cwd(reader, run_id), answers=questions.given(reader, run_id),
        unanswered=tuple(questions.get(reader, one) for one in withdrawn),
        message_in=continuations.message_in(reader, run_id),
    )  # fmt: skip


def _cwd(reader: Reader, run_id: str) -> str | None:
    found: str | None = (reader.events.last_of(run_id, "run.started", 0) or {}).get("cwd")
    return found


def working_folder(cwd: "str | os.PathLike[str] | None") -> str:
    """The folder that a run works in, absolute. Raises `InvalidInput`."""
    place = os.path.abspath(os.getcwd() if cwd is None else os.fspath(cwd))
    try:
        codec.utf8(place, "cwd")
    except InvalidInput:
        if cwd is None:
            return ""  # a name that no text can hold: then nothing is kept of it
        raise
    return place


def _last_state(reader: Reader, run_id: str) -> tuple[Any, Saved]:
    """The last checkpoint. Raises `StoreCorrupt` for one that is damaged, or that the events know and nobody else."""
    state, saved = reader.states.load(run_id)
    if not saved.number and (lost := reader.events.last_of(run_id, "checkpoint.saved", 0)) is not None:
        raise StoreCorrupt(
            f"checkpoint {lost.get('number')} of run {run_id} is missing",
            hint="see what else is: runstone verify; restore a backup, or start the run anew",
            run_id=run_id,
        )
    return state, saved
