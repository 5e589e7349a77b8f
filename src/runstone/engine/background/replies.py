"""What a command is told: answers while it runs, and what to go on with when it is started again.

`$RUNSTONE_REPLIES` names a file to which each answer is appended as a line of JSON. `$RUNSTONE_RESUME` names one with
the state that the run has saved, the message that it goes on with, and the answers since; it is not set at first.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from runstone.domain import codec
from runstone.domain.inputs import InputRequest
from runstone.store import continuations, questions
from runstone.store.reads import Reader


class Replies:
    """The answers that one command is told. `launch` is the attempt that started it."""

    def __init__(self, reader: Reader, path: Path, run_id: str, launch: int) -> None:
        self._reader = reader
        self._path = path
        self._run_id = run_id
        self._launch = launch
        self._told = _told_before(path)

    def tell(self) -> None:
        """Appends the answers that the file has not got: to questions that this command has asked."""
        for one in closed_since(self._reader, self._run_id, self._launch):
            if one.id not in self._told:
                self._told.add(one.id)
                _append(self._path, codec.encode({"runstone": "answer", **_told(one)}))


def closed_since(reader: Reader, run_id: str, attempt: int) -> list[InputRequest]:
    """Questions of the run that were asked in this attempt or a later one, and are open no more."""
    where = "i.run = :run AND i.status <> 'open' AND i.attempt >= :attempt"
    found = questions.select(reader, where, run=reader.runs.pk(run_id), attempt=attempt, limit=1_000)
    return [one for one, _ in found]


def going_on(reader: Reader, run_id: str) -> dict[str, Any] | None:
    """What the next attempt of a command goes on with; None where there is nothing but its input."""
    state, _saved = reader.states.load(run_id)
    message = continuations.message_in(reader, run_id)
    answers = [_told(one) for one in questions.given(reader, run_id)]
    if state is None and message is None and not answers:
        return None
    return {"state": state, "message": message, "answers": answers}


def _told(one: InputRequest) -> dict[str, Any]:
    told = {"input_id": one.id, "key": one.key, "message": one.message, "status": one.status}
    return {**told, "response": one.response, "answered_by": one.answered_by}


def _told_before(path: Path) -> set[str]:
    """What the watchers before this one have told; a line that was cut off is told again."""
    found = set()
    with suppress(FileNotFoundError):
        for line in path.read_bytes().split(b"\n"):
            with suppress(Exception):
                found.add(str(codec.decode(line)["input_id"]))
    return found


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        whole = not size or os.pread(descriptor, 1, size - 1) == b"\n"
        os.write(descriptor, (b"" if whole else b"\n") + line + b"\n")
    finally:
        os.close(descriptor)
