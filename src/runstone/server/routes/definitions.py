"""Agents and workflows that can be started here. What is shown has no command line in it."""

from typing import Any

from litestar import Router, get
from litestar.params import FromPath

from runstone.config import is_trusted
from runstone.engine.registry import Entry
from runstone.ledger import Ledger
from runstone.server.parts import EnginePart, LedgerPart, ReadsPart
from runstone.server.shapes.definitions import Definition, Definitions, DefinitionWithRuns, fields_of


@get("/agents", summary="List agents")
async def list_agents(ledger: LedgerPart, engine: EnginePart) -> Definitions:
    """The agents that the workspace registers."""
    found = [engine.registry.get_agent(listed.name) for listed in engine.registry.agents()]
    return _listed(ledger, found)


@get("/agents/{name:path}", summary="Show an agent")
async def get_agent(
    ledger: LedgerPart, reads: ReadsPart, engine: EnginePart, name: FromPath[str]
) -> DefinitionWithRuns:
    """An agent, what its input must be, and how its runs stand."""
    entry = engine.registry.get_agent(str(name).removeprefix("/"))
    return DefinitionWithRuns(**fields_of(entry), runs=await reads(ledger.counts, agent_id=entry.name))


@get("/workflows", summary="List workflows")
async def list_workflows(ledger: LedgerPart, engine: EnginePart) -> Definitions:
    """The workflows that the workspace registers."""
    found = [engine.registry.get_workflow(listed.name) for listed in engine.registry.workflows()]
    return _listed(ledger, found)


@get("/workflows/{name:path}", summary="Show a workflow")
async def get_workflow(
    ledger: LedgerPart, reads: ReadsPart, engine: EnginePart, name: FromPath[str]
) -> DefinitionWithRuns:
    """A workflow, its phases where they are declared, and how its runs stand."""
    entry = engine.registry.get_workflow(str(name).removeprefix("/"))
    return DefinitionWithRuns(**fields_of(entry), runs=await reads(ledger.counts, definition_id=entry.name))


def _listed(ledger: Ledger, found: list[Entry]) -> Definitions:
    items = [Definition(**fields_of(entry)) for entry in found]
    return Definitions(items=items, trusted=is_trusted(ledger.workspace.root))


router: Any = Router(
    path="/", route_handlers=[list_agents, get_agent, list_workflows, get_workflow], tags=["definitions"]
)
