"""What a server does for its clients: it starts, plans, forks and goes on with runs of its workspace."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from runstone.client import decoding
from runstone.client.addresses import segment
from runstone.client.reading import RemoteReads, new_key
from runstone.domain.records import AgentRun, Checkpoint
from runstone.domain.resume import Plan, ResumePolicy


class Resumable(NamedTuple):
    """A run that may be gone on with, and whether the server would."""

    run: AgentRun
    known: bool


class RemoteWork(RemoteReads):
    """A server's ledger, and what its engine may be asked for."""

    def start(
        self,
        name: str,
        input: Any = None,
        *,
        run_id: str | None = None,
        title: str | None = None,
        labels: dict[str, str] | None = None,
        thread_id: str | None = None,
        budget: dict[str, Any] | None = None,
    ) -> AgentRun:
        """Starts an agent or a workflow that the server's workspace registers, and gives its run. `wait` for it."""
        asked = {"run_id": run_id, "title": title, "labels": labels, "thread_id": thread_id, "budget": budget}
        body = {"name": name, "input": input} | {key: value for key, value in asked.items() if value}
        return decoding.run_of(self._http.post("/runs", body, key=new_key()))

    def resume(
        self, run_id: str, *, policy: ResumePolicy | None = None, budget: dict[str, Any] | None = None
    ) -> AgentRun:
        """Has the server go on with a run, without doing finished work again."""
        body: dict[str, Any] = {} if policy is None else {"policy": msgspec.to_builtins(policy)}
        if budget is not None:
            body["budget"] = budget
        return decoding.run_of(self._http.post(f"/runs/{segment(run_id)}/resume", body, key=new_key()))

    def resumable(self) -> list[Resumable]:
        """Top-level runs that may be gone on with, as `runstone.resumable` finds them."""
        found = self._http.get("/resumable")["items"]
        return [Resumable(decoding.run_of(one["run"]), one["known"]) for one in found]

    def plan(self, run_id: str, *, policy: ResumePolicy | None = None, simulate: bool = False) -> Plan:
        """What a resume by the server would do, as `runstone.plan` says it. To simulate takes the role `control`."""
        if policy in (None, ResumePolicy()) and not simulate:
            return decoding.plan_of(self._of(run_id, "plan"))
        body: dict[str, Any] = {"simulate": simulate}
        if policy is not None:
            body["policy"] = msgspec.to_builtins(policy)
        return decoding.plan_of(self._http.post(f"/runs/{segment(run_id)}/plan", body, key=new_key()))

    def fork(
        self,
        run_id: str,
        *,
        new_id: str | None = None,
        input: Any = msgspec.UNSET,
        checkpoint: int | str | Checkpoint | None = None,
        definition: str | Mapping[str, Any] | None = None,
        start: bool = False,
    ) -> AgentRun:
        """Makes a new run that knows what this one knows, as `runstone.fork` does; with `start` it begins at once."""
        body = _fork_body(input, checkpoint, definition) | {"start": start}
        if new_id is not None:
            body["run_id"] = new_id
        return decoding.run_of(self._http.post(f"/runs/{segment(run_id)}/fork", body, key=new_key()))

    def plan_fork(
        self,
        run_id: str,
        *,
        input: Any = msgspec.UNSET,
        checkpoint: int | str | Checkpoint | None = None,
        definition: str | Mapping[str, Any] | None = None,
        simulate: bool = False,
    ) -> Plan:
        """What a fork would reuse and run again. Nothing is made."""
        body = _fork_body(input, checkpoint, definition) | {"dry_run": True, "simulate": simulate}
        return decoding.plan_of(self._http.post(f"/runs/{segment(run_id)}/fork", body, key=new_key()))

    def definitions(self, kind: str) -> dict[str, Any]:
        """What the server can start: `agents` or `workflows`, and whether its workspace is trusted."""
        found: dict[str, Any] = self._http.get(f"/{segment(kind)}")
        return found

    def definition(self, kind: str, name: str) -> dict[str, Any]:
        """One of `agents` or `workflows`, and how its runs stand. Raises `AgentNotFound` or `WorkflowNotFound`."""
        found: dict[str, Any] = self._http.get(f"/{segment(kind)}/{segment(name)}")
        return found


def _fork_body(
    input: Any, checkpoint: int | str | Checkpoint | None, definition: str | Mapping[str, Any] | None
) -> dict[str, Any]:
    at = f"{checkpoint.run_id}@{checkpoint.number}" if isinstance(checkpoint, Checkpoint) else checkpoint
    body = {"checkpoint": at, "definition": definition}
    body = {name: value for name, value in body.items() if value is not None}
    return body if input is msgspec.UNSET else {**body, "input": input}
