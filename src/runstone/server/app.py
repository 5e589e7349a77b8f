"""Puts the app together: parts, routes, guards, problems, and the gate around all of it. Nothing is decided here."""

import asyncio
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig

from runstone.engine.registry import Registry
from runstone.errors import RunstoneError
from runstone.ledger import Ledger
from runstone.server import document, guards, problems
from runstone.server.bodies import MeasuredRequest
from runstone.server.bulks import Bulks, GoOn
from runstone.server.kept import KeptPages
from runstone.server.parts import Aside, Parts, provided
from runstone.server.routes import (
    agui,
    auth,
    blobs,
    boards,
    bulks,
    checkpoints,
    commands,
    comparing,
    definitions,
    handles,
    histories,
    home,
    ingest,
    inputs,
    meta,
    overview,
    reports,
    resuming,
    runs,
    sections,
    starting,
    stream,
    threads,
    values,
    views,
)
from runstone.server.running import Engine, registry_of
from runstone.server.security.gate import Gate
from runstone.server.security.hosts import Hosts
from runstone.server.security.sessions import Codes
from runstone.server.security.tokens import Tokens
from runstone.server.settings import Settings
from runstone.server.stream.hub import Hub
from runstone.server.web import STATIC, Site

ROUTERS = (
    auth.router,
    runs.router,
    values.router,
    starting.router,
    resuming.router,
    commands.router,
    bulks.router,
    checkpoints.router,
    inputs.router,
    threads.router,
    boards.router,
    definitions.router,
    blobs.router,
    ingest.router,
    agui.router,
    stream.router,
    handles.router,
    histories.router,
    overview.router,
    sections.router,
    comparing.router,
    reports.router,
    views.router,
    meta.router,
)
"""Below /api/v1."""


def parts_of(ledger: Ledger, settings: Settings, registry: Registry | None, *, port: int) -> Parts:
    """The parts of a server of that ledger, listening on that port."""
    tokens, stopping = Tokens(ledger.workspace.folder), asyncio.Event()
    slots, queue = settings.slots, settings.queue
    if registry is None:
        registry, loaded = registry_of(ledger)
        slots, queue = slots or loaded.settings.slots, queue or loaded.settings.queue
    engine = Engine(ledger, registry, slots=slots, queue=queue)
    return Parts(
        ledger=ledger, settings=settings, tokens=tokens, codes=Codes(tokens), port=port, reads=Aside("runstone-read"),
        writes=Aside("runstone-write"), engine=engine, bulks=Bulks(ledger, _going_on(ledger, engine)),
        stopping=stopping, hub=Hub(ledger.reader, ledger.signals, stopping), pages=KeptPages(ledger.reader),
    )  # fmt: skip


def _going_on(ledger: Ledger, engine: Engine) -> GoOn:
    def go_on(run_id: str, by: str | None, key: str) -> None:
        ledger.reconcile()
        starting.go_on(ledger, engine, run_id, by=by, key=key)

    return go_on


_DESCRIBING = OpenAPIConfig(title="Runstone", version="1")
"""Only where the document is made: the framework would serve pages that load scripts from elsewhere."""


def routed(parts: Parts, *, describing: bool = False) -> Litestar:
    """The app behind the gate."""
    return Litestar(
        route_handlers=[Router(path="/api/v1", route_handlers=ROUTERS), *meta.BESIDE, auth.enter, home.home],
        dependencies=provided(parts),
        exception_handlers={
            RunstoneError: problems.respond,
            HTTPException: problems.respond_to_framework,
            Exception: problems.respond_to_defect,
        },
        guards=[guards.check],
        request_class=MeasuredRequest,
        openapi_config=_DESCRIBING if describing else None,
        state=State({"max_json_depth": parts.settings.max_json_depth, "pages": parts.pages}),
        logging_config=None,
        debug=False,
    )


def create(parts: Parts) -> Any:
    """The ASGI app."""
    hosts = Hosts(parts.settings, parts.port)
    site = Site(routed(parts), STATIC)
    return Gate(site, parts.settings, hosts, parts.tokens, port=parts.port)


def described() -> dict[str, Any]:
    """The OpenAPI document of the routes; no ledger is needed."""
    nothing: Any = None
    parts = Parts(
        ledger=nothing, settings=Settings(), tokens=nothing, codes=nothing, port=0, engine=nothing, bulks=nothing,
        reads=nothing, writes=nothing, stopping=nothing, hub=nothing, pages=nothing,
    )  # fmt: skip
    return document.document(routed(parts, describing=True))
