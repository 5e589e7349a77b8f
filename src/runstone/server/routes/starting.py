"""Starting, going on with, and forking runs. The server's engine takes what is queued; nobody has to stay connected."""

from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from runstone import execution, forking, queueing
from runstone.background import is_background
from runstone.domain.bounds import checked_message
from runstone.domain.records import AgentRun
from runstone.domain.resume import Plan, ResumePolicy
from runstone.errors import AgentNotFound, AwaitingInput, IllegalTransition, Misuse
from runstone.ledger import Ledger
from runstone.server.bodies import JSON, encode
from runstone.server.guards import ALSO
from runstone.server.idempotency import Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, EnginePart, LedgerPart, Parts, ReadsPart
from runstone.server.running import Engine
from runstone.server.shapes import bodies
from runstone.server.shapes.plans import PlanShape, plan_of
from runstone.server.shapes.runs import Run, run_of
from runstone.store.writes.continuing import QueueContinuation
from runstone.store.writes.fork import ForkRun
from runstone.store.writes.lifecycle import CreateRun, QueueRun
from runstone.store.writes.verbs import GiveOrders

_VERBS = {"paused": "resume", "failed": "retry", "cancelled": "retry", "interrupted": "retry"}
"""By which order a run of that status goes on."""
_UNDER_WAY = frozenset({"pending", "running", "waiting", "completed"})


@post("/", summary="Start an agent or a workflow", status_code=201, opt={ALSO: {200: Run}})
async def start_run(
    request: Request[Any, Any, Any],
    parts: AllParts,
    data: JSONBody[bodies.StartRun],
    key: IdempotencyKey = None,
) -> Response[Run]:
    """Makes the run and leaves it to the server's engine, or to the workers of the queue that the server is set up for.
    With a `run_id` that exists, that run is given (200).

    Values of declared secrets are kept in memory until the run begins: where the server ends before, they are read from
    its environment, or the run waits.
    """
    return await parts.writes(_start, request, parts, data)


def _start(request: Request[Any, Any, Any], parts: Parts, data: bodies.StartRun) -> Response[Any]:
    effect = Effect(
        QueueRun if parts.engine.placement is None else CreateRun,
        lambda reader, claimed: run_of(reader.runs.get(claimed.head.run_id)),
        status=lambda claimed: 201 if claimed.created else 200,
        location=lambda claimed: f"/api/v1/runs/{claimed.head.run_id}",
    )

    def act() -> None:
        made = queueing.queue(
            data.name, data.input, ledger=parts.ledger, registry=parts.engine.registry, run_id=data.run_id,
            title=data.title, labels=data.labels, thread_id=data.thread_id,
            budget=None if data.budget is None else data.budget.given(), by=request.user.name,
            told=parts.engine.keep_secrets, placement=parts.engine.placement,
        )  # fmt: skip
        if not made.created:
            parts.engine.forget(made.run_id)
        parts.engine.look()

    return once(request, parts.ledger, data, effect, act)


@post("/{run_id:str}/resume", summary="Go on with a run", status_code=202, opt={ALSO: {200: Run}})
async def resume_run(
    request: Request[Any, Any, Any],
    parts: AllParts,
    run_id: FromPath[str],
    data: JSONBody[bodies.ResumeRun | None] = None,
    key: IdempotencyKey = None,
) -> Response[Run]:
    """Goes on without doing finished work again. A run that is under way or completed is given as it is (200).

    Policy and budget are part of the order, and hold whichever process takes the run. Secrets come from the server's
    environment: their values are stored nowhere.
    """
    return await parts.writes(_resume, request, parts, run_id, data or bodies.ResumeRun())


class _UnderWay(Exception):
    """There is nothing to do: the run goes on already, or has completed."""


def _resume(
    request: Request[Any, Any, Any], parts: Parts, run_id: str, data: bodies.ResumeRun
) -> Response[Any]:
    def act() -> None:
        if parts.ledger.get_run(run_id).status in _UNDER_WAY:
            raise _UnderWay
        policy = None if data.policy is None else data.policy.given()
        budget = None if data.budget is None else data.budget.given()
        go_on(parts.ledger, parts.engine, run_id, by=request.user.name, policy=policy, budget=budget)

    parts.ledger.reconcile()
    effect = Effect(
        GiveOrders, lambda reader, _: run_of(reader.runs.get(run_id)), status=202,
        location=lambda _: f"/api/v1/runs/{run_id}",
    )  # fmt: skip
    try:
        return once(request, parts.ledger, data, effect, act)
    except _UnderWay:
        return Response(encode(run_of(parts.ledger.get_run(run_id))), status_code=200, media_type=JSON)


def go_on(
    ledger: Ledger,
    engine: Engine,
    run_id: str,
    *,
    by: str | None,
    policy: ResumePolicy | None = None,
    budget: dict[str, Any] | None = None,
    key: str | None = None,
) -> None:
    """Orders that the run goes on, by the verb that fits it. Raises what keeps it from being gone on with here."""
    run = ledger.get_run(run_id)
    _check(ledger, engine, run, policy)
    ledger.commands.give(
        run_id, _VERBS[run.status], by=by, policy=policy, budget=budget, scope="subtree", reason=None,
        idempotency_key=key,
    )  # fmt: skip
    engine.look()


def _check(ledger: Ledger, engine: Engine, run: AgentRun, policy: ResumePolicy | None) -> None:
    """Raises what keeps the run from being gone on with here."""
    _require_here(engine, run)
    if run.status == "awaiting_user" or ledger.inputs.awaited(run.id):
        raise AwaitingInput(f"run {run.id} waits for an answer", run_id=run.id)
    if run.status not in _VERBS:
        raise IllegalTransition(f"run {run.id} is {run.status} already", run_id=run.id, status=run.status)
    if engine.knows(run):  # else workers do
        execution.check_resume(ledger, run, policy or ResumePolicy(), engine.registry)


def _require_here(engine: Engine, run: AgentRun) -> None:
    """Raises unless the run is one that this server's engine would take, or leave to workers."""
    if is_background(run):
        hint = f"start it again where it was started: runstone resume {run.id}"
        raise Misuse(f"run {run.id} is a command in the background, which no server starts", hint=hint)
    if run.depth:
        raise IllegalTransition(
            f"run {run.id} is part of {run.root_run_id}, which brings it on",
            hint=f"go on with the whole: runstone resume {run.root_run_id}",
            run_id=run.id,
            status=run.status,
        )
    if not engine.knows(run) and not engine.leaves(run):
        raise AgentNotFound(f"what run {run.id} came from is not registered in this workspace", run_id=run.id)


@get("/{run_id:str}/plan", summary="What a resume would do")
async def get_plan(
    ledger: LedgerPart, reads: ReadsPart, engine: EnginePart, run_id: FromPath[str]
) -> PlanShape:
    """What a resume with the default policy would reuse, run again and start. Nothing is changed."""
    return plan_of(await reads(execution.plan, run_id, ledger=ledger, registry=engine.registry))


@post("/{run_id:str}/plan", summary="What a resume by a policy would do", status_code=200)
async def plan_resume(
    parts: AllParts, run_id: FromPath[str], data: JSONBody[bodies.PlanResume | None] = None
) -> PlanShape:
    """As the plan by GET, by a policy of one's own. With `simulate` the workflow's code runs, so it takes control."""
    asked = data or bodies.PlanResume()
    policy = None if asked.policy is None else asked.policy.given()
    found = await parts.reads(
        execution.plan, run_id, ledger=parts.ledger, policy=policy, registry=parts.engine.registry,
        simulate=asked.simulate,
    )  # fmt: skip
    return plan_of(found)


@post("/{run_id:str}/continue", summary="Go on with a message", status_code=202, opt={"role": "control"})
async def continue_run(
    request: Request[Any, Any, Any],
    parts: AllParts,
    run_id: FromPath[str],
    data: JSONBody[bodies.ContinueRun],
    key: IdempotencyKey = None,
) -> Response[Run]:
    """A run that paused, asked, failed or was interrupted goes on with the message. Open questions are withdrawn."""
    return await parts.writes(_continue, request, parts, run_id, data)


def _continue(
    request: Request[Any, Any, Any], parts: Parts, run_id: str, data: bodies.ContinueRun
) -> Response[Any]:
    core = parts.ledger.core

    def act() -> None:
        run = parts.ledger.get_run(run_id)
        _require_here(parts.engine, run)
        parts.ledger.supervisor.settle(run_id)
        parts.ledger.end_orphans(run_id)
        told = core.redactor.message(checked_message(data.message))
        by = core.clean("by", request.user.name, 200)
        write = QueueContinuation(run_id, told, core.now(), command_id=core.new_id(), by=by)
        core.submit(write, []).result()
        parts.engine.look()

    effect = Effect(
        QueueContinuation, lambda reader, _: run_of(reader.runs.get(run_id)), status=202,
        location=lambda _: f"/api/v1/runs/{run_id}",
    )  # fmt: skip
    return once(request, parts.ledger, data, effect, act)


@post("/{run_id:str}/fork", summary="Fork a run", status_code=201, opt={ALSO: {200: PlanShape}})
async def fork_run(
    request: Request[Any, Any, Any],
    parts: AllParts,
    run_id: FromPath[str],
    data: JSONBody[bodies.ForkRun | None] = None,
    key: IdempotencyKey = None,
) -> Response[Run]:
    """Makes a run that knows what this one knew; with `dry_run` the plan of what it would reuse (200)."""
    return await parts.writes(_fork, request, parts, run_id, data or bodies.ForkRun())


def _fork(request: Request[Any, Any, Any], parts: Parts, run_id: str, data: bodies.ForkRun) -> Response[Any]:
    known: dict[str, Any] = {
        "ledger": parts.ledger, "input": data.input, "checkpoint": data.checkpoint, "definition": data.definition,
        "registry": parts.engine.registry,
    }  # fmt: skip
    queueing.refuse_references(data.input)
    if data.dry_run:
        plan: Plan = forking.fork(run_id, **known, dry_run=True, simulate=data.simulate)
        return Response(encode(plan_of(plan)), status_code=200, media_type=JSON)
    effect = Effect(
        ForkRun,
        lambda reader, made: run_of(reader.runs.get(made)),
        location=lambda made: f"/api/v1/runs/{made}",
    )

    def act() -> None:
        start_by = request.user.name if data.start else None
        placement = parts.engine.placement if data.start else None
        forking.fork(run_id, **known, new_id=data.run_id, start_by=start_by, placement=placement)
        parts.engine.look()

    return once(request, parts.ledger, data, effect, act)


router = Router(
    path="/runs",
    route_handlers=[start_run, resume_run, get_plan, plan_resume, continue_run, fork_run],
    tags=["starting"],
)
