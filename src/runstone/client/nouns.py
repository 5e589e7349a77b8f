"""The nouns of a server's ledger: `commands`, `inputs`, `checkpoints` and `overview`."""

import builtins
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, Final, NoReturn

import msgspec

from runstone.checkpoints import Reference, split
from runstone.client import decoding
from runstone.client.addresses import segment
from runstone.client.http import Http
from runstone.client.reading import RemoteReads, new_key, questions_of
from runstone.domain.inputs import InputRequest
from runstone.domain.records import AgentRun, Checkpoint, Command, Page, Totals
from runstone.domain.resume import ResumePolicy
from runstone.domain.state_diff import StateDiff, diff
from runstone.errors import Misuse, NotFound

LOOK_S: Final = 0.25
_AT_A_TIME: Final = 100


class RemoteCommands:
    """`ledger.commands`: orders to runs."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def give(
        self,
        run_id: str,
        verb: str,
        message: str | None = None,
        *,
        scope: str,
        by: str | None,
        reason: str | None,
        idempotency_key: str | None,
        policy: ResumePolicy | None = None,
        budget: dict[str, Any] | None = None,
    ) -> Command:
        """Orders a run. Who gave it is the token's name; `by` is not sent."""
        body: dict[str, Any] = {"verb": verb, "message": message, "scope": scope, "reason": reason}
        body |= {"policy": policy, "budget": budget}
        path = f"/runs/{segment(run_id)}/commands"
        return msgspec.convert(self._http.post(path, body, key=idempotency_key or new_key()), Command)

    def list(self, run_id: str) -> builtins.list[Command]:
        """The orders to a run, from the first."""
        return decoding.records(self._http.get(f"/runs/{segment(run_id)}/commands")["items"], Command)


class RemoteInputs:
    """`ledger.inputs`: the questions that runs ask, and their answers."""

    def __init__(self, http: Http, reads: RemoteReads) -> None:
        self._http = http
        self._reads = reads

    def list(
        self,
        *,
        status: str | None = "open",
        run_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[InputRequest]:
        """Input requests, those that wait longest first."""
        params = {
            "status": "all" if status is None else status,
            "run_id": run_id,
            "limit": limit,
            "cursor": cursor,
        }
        found = self._http.get("/inputs", params)
        return Page(items=questions_of(found["items"]), next_cursor=found["next_cursor"])

    def get(self, input_id: str) -> InputRequest:
        """The input request. Raises `NotFound`."""
        return msgspec.convert(self._http.get(f"/inputs/{segment(input_id)}"), InputRequest)

    def resolve(self, text: str) -> str:
        """The id that has `text` in it. Raises `NotFound` or `AmbiguousId`."""
        return str(self._http.get("/ids", {"text": text, "of": "input"})["id"])

    def below(self, run_id: str) -> builtins.list[InputRequest]:
        """The open questions in the tree that the run is part of."""
        return questions_of(self._reads.standing(run_id)["questions"])

    def awaited(self, run_id: str) -> bool:
        """Whether the run stands still until a person answers."""
        return bool(self._reads.standing(run_id)["awaited"])

    def ask(
        self,
        run_id: str,
        message: str,
        *,
        choices: Iterable[Any] | None = None,
        key: str | None = None,
        reason: str | None = None,
        schema: dict[str, Any] | None = None,
        expires_s: float | None = None,
        default: Any = msgspec.UNSET,
    ) -> InputRequest:
        """Asks in the name of a run that is running, for commands and tools of the run, as the embedded one does."""
        asked = {"choices": None if choices is None else [*choices], "key": key, "reason": reason, "schema": schema,
                 "expires_s": expires_s}  # fmt: skip
        body = {"message": message} | {name: value for name, value in asked.items() if value is not None}
        if default is not msgspec.UNSET:
            body["default"] = default
        path = f"/runs/{segment(run_id)}/inputs"
        return msgspec.convert(self._http.post(path, body, key=new_key()), InputRequest)

    def take(self, input_id: str) -> None:
        """Notes that a command of the run was given the answer; twice is harmless."""
        self._http.post(f"/inputs/{segment(input_id)}/take", key=new_key())

    def answer(self, input_id: str, response: Any, *, by: str | None = None) -> InputRequest:
        """Answers a question. Who did is the token's name; `by` is not sent. Raises as the embedded one does."""
        path = f"/inputs/{segment(input_id)}/answer"
        return msgspec.convert(self._http.post(path, {"response": response}, key=new_key()), InputRequest)

    def wait(self, input_id: str, timeout: float | None = None) -> InputRequest:
        """Waits until the question is open no more, and gives it; after `timeout` seconds as it is."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            found = self.get(input_id)
            left = LOOK_S if until is None else until - time.monotonic()
            if found.status != "open" or left <= 0:
                return found
            time.sleep(min(LOOK_S, left))


class RemoteCheckpoints:
    """`ledger.checkpoints`: the states that runs saved."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, run_id: str) -> builtins.list[Checkpoint]:
        """The checkpoints of a run, from the first."""
        return decoding.records(self._http.get(f"/runs/{segment(run_id)}/checkpoints")["items"], Checkpoint)

    def state(self, run_id: str, number: int | None = None) -> Any:
        """The state of a checkpoint; the last one without `number`, None if there is none."""
        if number is None:
            found = self.list(run_id)
            if not found:
                return None
            number = found[-1].number
        return self._http.get(f"/runs/{segment(run_id)}/checkpoints/{number}")["state"]

    def newest(self, run_id: str) -> int:
        """The number of the newest checkpoint. Raises `NotFound` for a run that has none."""
        found = self.list(run_id)
        if not found:
            raise NotFound(
                f"run {run_id} has no checkpoint",
                hint="an agent saves one: run.checkpoint(state)",
                run_id=run_id,
            )
        return found[-1].number

    def diff(self, before: Reference, after: Reference) -> StateDiff:
        """What differs between two saved states, of one run or of two."""
        return diff(self.of(before), self.of(after))

    def of(self, reference: Reference) -> Any:
        """The state of a reference. Raises `NotFound`, also for a run that has none."""
        run_id, number = split(reference)
        if number is None:
            number = self.newest(run_id)
        return self.state(run_id, number)

    def thin(self, run_id: str, **_policy: Any) -> NoReturn:
        """Not over a server. Raises `Misuse`."""
        raise Misuse(
            "checkpoints are removed in the workspace, not over a server",
            hint=f"on the server's machine: runstone runs checkpoints {run_id} --keep N",
        )


class RemoteOverview:
    """`ledger.overview`: sums and standings."""

    def __init__(self, http: Http, reads: RemoteReads) -> None:
        self._http = http
        self._reads = reads

    def totals(self, run_ids: Iterable[str]) -> dict[str, tuple[Totals, Totals]]:
        """Own and subtree sums by run id; a run without a request is left out."""
        return {
            run_id: (decoding.totals_of(own), decoding.totals_of(found["subtree"][run_id]))
            for found in self._sums(run_ids)
            for run_id, own in found["own"].items()
        }

    def children(self, run_ids: Iterable[str]) -> dict[str, int]:
        """How many children each run has; runs without any are left out."""
        return {run_id: count for found in self._sums(run_ids) for run_id, count in found["children"].items()}

    def _sums(self, run_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        ids = list(run_ids)
        for start in range(0, len(ids), _AT_A_TIME):
            yield self._http.get("/overview", {"run_id": ids[start : start + _AT_A_TIME]})

    def settled(self, run: AgentRun) -> bool:
        """Whether nothing more comes of this look at the run: one that has changed since has brought something."""
        found = self._reads.standing(run.id)
        same = (found["status"], found["attempt"]) == (run.status, run.attempt)
        return same and bool(found["settled"])

    def printed(self, run_id: str) -> dict[str, int]:
        """Lines that a background command has printed, by stream."""
        return dict(self._reads.standing(run_id)["printed"])

    @contextmanager
    def changes(self) -> Iterator[Event]:
        """An event that is never set: whoever waits for it looks again when its time is over."""
        yield Event()
