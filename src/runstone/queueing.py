"""Runs that are left to whichever process has an engine: made with the order to start them, in one transaction."""

from collections.abc import Callable
from typing import Any, NamedTuple

from runstone.domain import codec
from runstone.domain.dispatches import DEFAULT_QUEUE, OPTION, Placement
from runstone.domain.records import AgentRun
from runstone.domain.secrets import hidden, names_in
from runstone.engine.accepting import require_fit
from runstone.engine.registry import Registry, default_registry
from runstone.errors import InvalidInput
from runstone.execution import find_entry, identity_of
from runstone.ledger import Ledger, new_run
from runstone.store.writes.lifecycle import Claimed, CreateRun, QueueRun


class Queued(NamedTuple):
    """A run that was made, or that was there."""

    run_id: str
    created: bool


def queue(
    name: str,
    input: Any,
    *,
    ledger: Ledger,
    registry: Registry,
    run_id: str | None = None,
    title: str | None = None,
    labels: dict[str, str] | None = None,
    thread_id: str | None = None,
    budget: dict[str, Any] | None = None,
    by: str | None = None,
    told: Callable[[str, dict[str, str]], None] | None = None,
    placement: Placement | None = None,
) -> Queued:
    """Makes a run of a registered agent or workflow. Under an id that exists it is that run, if it is the same.

    It is for whichever process has an engine or, with a `placement`, for the workers of that queue.

    The input may have texts in its declared secret fields, and no references: what comes from outside must not choose
    which variables are read. `told` is told the run's id and the values of its secrets before there is the run, as it
    may be taken at once. Raises `AgentNotFound`, `InputRefused`, `InvalidInput`, `RunMismatch`.
    """
    entry = find_entry(registry, name)
    refuse_references(input)
    require_fit(entry, input)
    shown, secrets = hidden(input, entry.secrets, entry.name)
    identity, kind, options = identity_of(entry, budget)
    if placement is not None:
        _refuse_values(name, secrets)
        options = {**(options or {}), OPTION: placement.option()}
    new = new_run(
        ledger.core, kind=kind, run_id=run_id, parent=None, title=title or entry.name, input=shown, labels=labels,
        thread_id=thread_id, options=options, **identity,
    )  # fmt: skip
    if placement is not None:
        made: Claimed = ledger.core.submit(CreateRun(new), []).result()
        return Queued(new.run_id, made.created)
    by = None if by is None else codec.clip(ledger.core.redactor.text(by), 200)
    if told is not None:
        told(new.run_id, secrets)
    claimed: Claimed = ledger.core.submit(QueueRun(new, ledger.core.new_id(), by), []).result()
    return Queued(new.run_id, claimed.created)


def enqueue(
    name: str,
    input: Any = None,
    *,
    ledger: Ledger,
    queue: str = DEFAULT_QUEUE,
    priority: int = 0,
    delay_s: float = 0.0,
    run_id: str | None = None,
    title: str | None = None,
    labels: dict[str, str] | None = None,
    thread_id: str | None = None,
    budget: dict[str, Any] | None = None,
    registry: Registry | None = None,
) -> AgentRun:
    """Puts a run of a workflow or an agent in line for workers of a queue, and gives it; `ledger.wait` waits for it.

    What it starts stands in line, too. Lower priorities are first; `delay_s` keeps it from beginning before. With the
    `run_id` of a run that exists it is that run, if it is the same. Secrets are for the workers' environment to give,
    so an input refers to them (`Secret`). Raises `AgentNotFound`, `InputRefused`, `InvalidInput`, `RunMismatch`.
    """
    entry = find_entry(registry or default_registry(), name)
    require_fit(entry, input)
    shown, values = hidden(input, entry.secrets, entry.name)
    _refuse_values(name, values)
    identity, kind, options = identity_of(entry, budget)
    begins = ledger.core.now() + int(delay_s * 1e6) if delay_s > 0 else 0
    placement = Placement(queue=queue, priority=priority, not_before=begins)
    new = new_run(
        ledger.core, kind=kind, run_id=run_id, parent=None, title=title or entry.name, input=shown, labels=labels,
        thread_id=thread_id, options={**(options or {}), OPTION: placement.option()}, **identity,
    )  # fmt: skip
    ledger.core.submit(CreateRun(new), []).result()
    return ledger.get_run(new.run_id)


def _refuse_values(name: str, values: dict[str, str]) -> None:
    if values:
        raise InvalidInput(
            f"a secret's value is not stored, and the worker that takes the run of {name} would not have it",
            hint="refer to it with runstone.Secret(NAME), and set the variable NAME where the workers run",
        )


def refuse_references(input: Any) -> None:
    """Raises `InvalidInput` for an input that refers to secrets."""
    if names := sorted(set(names_in(input))):
        raise InvalidInput(
            f"an input that comes from outside may not refer to secrets, and this one names {names[0]}",
            hint="give the value itself, in a field that its agent declares as secret",
        )


def queued_roots(ledger: Ledger) -> list[str]:
    """Top-level runs that a process with an engine may take: started, answered, ordered to go on, or woken by a timer.

    Runs that were interrupted, stopped or paused are not among them: they go on when a person says so.
    """
    reader = ledger.reader
    found = [run_id for (run_id,) in reader.rows("ordered_roots")]
    found += [run_id for (run_id,) in reader.rows("left_roots", now=reader.now())]
    return list(dict.fromkeys(found))
