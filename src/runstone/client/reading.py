"""The reading half of a server's ledger: the calls of `Ledger`, each answered by one request or a few."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runstone import reports
from runstone.client import decoding
from runstone.client.addresses import segment
from runstone.client.following import RemoteTail
from runstone.client.http import Http
from runstone.domain.comparison import Comparison
from runstone.domain.inputs import InputRequest
from runstone.domain.records import (
    AgentRun,
    Attempt,
    Counts,
    JournalEntry,
    Lease,
    Page,
    PhaseState,
    ProcessRecord,
    RunEvent,
    RunTelemetry,
    SearchHit,
    Timeline,
    TreeNode,
    TreeRow,
    UsageRow,
)
from runstone.store import lists
from runstone.store.event_pages import Types


class RemoteReads:
    """What a server's ledger shows. Each call raises what the embedded one does, and `ServerUnreachable`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def resolve(self, text: str) -> str:
        """The run id that has `text` in it. Raises `NotFound` or `AmbiguousId`."""
        return str(self._http.get("/ids", {"text": text})["id"])

    def get_run(self, run_id: str) -> AgentRun:
        """The run; a `WorkflowRun` for a workflow. Raises `NotFound`."""
        return decoding.run_of(self._of(run_id))

    def list_runs(
        self,
        *,
        status: lists.Filter = None,
        bucket: lists.Filter = None,
        kind: lists.Filter = None,
        agent_id: lists.Filter = None,
        parent_id: lists.Filter = None,
        root_id: lists.Filter = None,
        thread_id: lists.Filter = None,
        labels: Mapping[str, lists.Filter] | None = None,
        q: str | None = None,
        archived: bool | None = False,
        limit: int = 50,
        cursor: str | None = None,
        sort: str = "updated",
        order: str = "desc",
        superseded: bool = True,
        **more: Any,
    ) -> Page[AgentRun]:
        """A page of runs, as `Ledger.list_runs` gives it."""
        filters = {
            "status": status, "bucket": bucket, "kind": kind, "agent_id": agent_id, "parent_id": parent_id,
            "root_id": root_id, "thread_id": thread_id, "q": q, **more,
        }  # fmt: skip
        params = _filters(filters, labels, archived)
        params |= {"limit": limit, "cursor": cursor, "sort": sort, "order": order, "superseded": superseded}
        return decoding.runs_page(self._http.get("/runs", params))

    def counts(self, **filters: Any) -> Counts:
        """How many runs are in each bucket, by the same filters."""
        labels, archived = filters.pop("labels", None), filters.pop("archived", False)
        return decoding.counts_of(self._http.get("/runs/counts", _filters(filters, labels, archived)))

    def events(
        self,
        run_id: str,
        *,
        after: int = 0,
        before: int | None = None,
        order: str = "asc",
        types: Types = None,
        min_importance: int | None = None,
        limit: int = 100,
        max_bytes: int | None = None,
    ) -> Page[RunEvent]:
        """Events of a run, as `Ledger.events` gives them."""
        chosen = [types] if isinstance(types, str) else types
        params = {"after": after, "before": before, "order": order, "type": None if chosen is None else list(chosen),
                  "min_importance": min_importance, "limit": min(limit, 1_000), "max_bytes": max_bytes}  # fmt: skip
        found = self._of(run_id, "events", params)
        return Page(items=decoding.records(found["items"], RunEvent), next_cursor=found["next_seq"])

    def tail(
        self, after: str | None = None, *, timeout: float | None = None, run_id: str | None = None
    ) -> RemoteTail:
        """Events in commit order from the cursor on, then as they come, as `Ledger.tail` gives them."""
        return RemoteTail(self._http, after=after, timeout=timeout, run_id=run_id, now=self.cursor())

    def tree(self, run_id: str) -> TreeNode:
        """The run with all below it, with own and subtree totals."""
        return decoding.tree_of(self._of(run_id, "tree")["items"])

    def tree_page(
        self, run_id: str, *, depth: int | None = None, limit: int = 200, cursor: str | None = None
    ) -> Page[TreeRow]:
        """The run and those below it by pages, as `Ledger.tree_page` gives them."""
        asked = {"depth": depth, "limit": limit, "cursor": cursor}
        return decoding.branches_page(self._of(run_id, "branches", asked))

    def timeline(
        self,
        run_id: str,
        *,
        depth: int | None = None,
        limit: int = 200,
        cursor: str | None = None,
        buckets: int = 20,
        since: str | None = None,
    ) -> Timeline:
        """What a timeline draws of the run and those below it, as `Ledger.timeline` gives it."""
        asked = {"depth": depth, "limit": limit, "cursor": cursor, "buckets": buckets, "since": since}
        return msgspec.convert(self._of(run_id, "timeline", asked), Timeline)

    def compare(self, a: str, b: str | None = None) -> Comparison:
        """How two runs differ; with one id, a fork and its source, as `Ledger.compare` says it."""
        return decoding.comparison_of(self._http.get("/compare", {"a": a, "b": b}))

    def telemetry(self, run_id: str) -> RunTelemetry:
        """Tokens, cost, times and tool counts, own and subtree."""
        return decoding.telemetry_of(self._of(run_id, "telemetry"))

    def usage(
        self,
        by: Sequence[str] | str = ("model",),
        *,
        since: reports.Moment = None,
        until: reports.Moment = None,
        run_id: str | None = None,
        labels: dict[str, str] | None = None,
        **filters: reports.Filter,
    ) -> list[UsageRow]:
        """What was spent, as `Ledger.usage` sums it."""
        params: dict[str, Any] = {
            "by": [by] if isinstance(by, str) else list(by),
            "run_id": run_id,
            **filters,
        }
        params |= {
            name: None if at is None else at.isoformat() for name, at in (("since", since), ("until", until))
        }
        params |= {f"label.{name}": value for name, value in (labels or {}).items()}
        items = self._http.get("/usage", params)["items"]
        return [UsageRow(by=one["by"], totals=decoding.totals_of(one["totals"])) for one in items]

    def phases(self, run_id: str) -> list[PhaseState]:
        """The phases of a workflow run; planned ones are shown before they start."""
        return decoding.records(self._of(run_id, "phases")["items"], PhaseState)

    def attempts(self, run_id: str) -> list[Attempt]:
        """The attempts of a run, from the first."""
        return decoding.records(self._of(run_id, "attempts")["items"], Attempt)

    def lease(self, run_id: str) -> Lease | None:
        """The lease of the open attempt."""
        return msgspec.convert(self.standing(run_id)["lease"], Lease | None)

    def processes(self, run_id: str) -> list[ProcessRecord]:
        """The process groups that a run started, on whatever machine."""
        return decoding.records(self.standing(run_id)["processes"], ProcessRecord)

    def journal(self, run_id: str) -> list[JournalEntry]:
        """What a run knows: its finished steps and its children."""
        return decoding.records(self._of(run_id, "journal")["items"], JournalEntry)

    def input(self, run_id: str) -> Any:
        """The run's input, as it was given."""
        return self._of(run_id, "input")["value"]

    def prompt(self, run_id: str) -> str | None:
        """The run's prompt."""
        found: str | None = self._of(run_id, "prompt")["value"]
        return found

    def result(self, run_id: str) -> Any:
        """The run's result; None if it has none."""
        return self._of(run_id, "result")["value"]

    def blob(self, digest: str) -> bytes:
        """The raw bytes behind a reference."""
        return self._http.request("GET", f"/blobs/{segment(digest)}").content

    def search(self, text: str, *, limit: int = 20) -> list[SearchHit]:
        """Titles, prompts, summaries, errors and messages that hold all words of `text`, newest first."""
        return decoding.records(
            self._http.get("/search", {"q": text, "limit": min(limit, 100)})["items"], SearchHit
        )

    def cursor(self) -> str:
        """The cursor of the newest event, for `tail(after=...)`."""
        return str(self._http.get("/meta")["as_of"])

    def standing(self, run_id: str) -> dict[str, Any]:
        """How the run stands, as the server knows it; for the parts of this ledger."""
        return self._of(run_id, "standing")

    def _of(self, run_id: str, what: str = "", params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        path = f"/runs/{segment(run_id)}" + (f"/{what}" if what else "")
        found: dict[str, Any] = self._http.get(path, params)
        return found


def new_key() -> str:
    """An idempotency key for one call."""
    return os.urandom(16).hex()


def questions_of(found: list[Any]) -> list[InputRequest]:
    """Input requests."""
    return decoding.records(found, InputRequest)


def _filters(
    filters: Mapping[str, Any], labels: Mapping[str, lists.Filter] | None, archived: bool | None
) -> dict[str, Any]:
    params = {
        name: ("any" if value is None else str(value).lower()) if name == "pinned" else _plain(value)
        for name, value in filters.items()
    }
    params |= {f"label.{name}": value for name, value in (labels or {}).items()}
    return params | {"archived": "any" if archived is None else str(archived).lower()}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
