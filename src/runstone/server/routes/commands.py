"""Orders to runs: given, and looked at until they are applied."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from runstone.domain.records import Command
from runstone.errors import NotFound
from runstone.server.idempotency import REPLAYED, Effect, IdempotencyKey, once
from runstone.server.parts import AllParts, LedgerPart, Parts
from runstone.server.shapes import bodies
from runstone.store.reads import Reader
from runstone.store.writes.verbs import GiveOrders


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """The orders to a run, from the first."""

    items: list[Command]


@post("/{run_id:str}/commands", summary="Give a run an order", status_code=202)
async def give_command(
    request: Request[Any, Any, Any],
    parts: AllParts,
    run_id: FromPath[str],
    data: JSONBody[bodies.GiveCommand],
    key: IdempotencyKey = None,
) -> Response[Command]:
    """Stop, pause, resume, retry or steer. It is requested; Location says where to see what became of it."""
    return await parts.writes(_give, request, parts, run_id, data)


def _give(
    request: Request[Any, Any, Any], parts: Parts, run_id: str, data: bodies.GiveCommand
) -> Response[Any]:
    def act() -> None:
        parts.ledger.commands.give(
            run_id, data.verb, data.message, scope=data.scope, by=request.user.name, reason=data.reason,
            idempotency_key=None, policy=None if data.policy is None else data.policy.given(),
            budget=None if data.budget is None else data.budget.given(),
        )  # fmt: skip
        parts.engine.look()

    effect = Effect(
        GiveOrders,
        lambda reader, value: _command(reader, run_id, value),
        status=202,
        location=lambda value: f"/api/v1/runs/{run_id}/commands/{value}",
    )
    answer = once(request, parts.ledger, data, effect, act)
    if REPLAYED in answer.headers:  # whoever gave it may have died before those below were told
        order = msgspec.json.decode(answer.content, type=Command)
        parts.ledger.commands.carry_down(run_id, order.id)
    return answer


def _command(reader: Reader, run_id: str, command_id: str) -> Command:
    for command in reader.commands.of(run_id):
        if command.id == command_id:
            return command
    raise NotFound(f"run {run_id} has no command {command_id}", run_id=run_id)


@get("/{run_id:str}/commands", summary="The orders to a run")
async def list_commands(ledger: LedgerPart, run_id: FromPath[str]) -> Commands:
    """All orders to the run, from the first."""
    ledger.get_run(run_id)
    return Commands(items=ledger.commands.list(run_id))


@get("/{run_id:str}/commands/{command_id:str}", summary="What became of an order")
async def get_command(ledger: LedgerPart, run_id: FromPath[str], command_id: FromPath[str]) -> Command:
    """The order as it stands."""
    ledger.get_run(run_id)
    return _command(ledger.reader, run_id, command_id)


router = Router(path="/runs", route_handlers=[give_command, list_commands, get_command], tags=["commands"])
