"""Which workflow runs a run: what is registered under its name, or the definition that a fork was given."""

from runstone.domain import workflows
from runstone.domain.records import WorkflowRun
from runstone.domain.workflows import WorkflowDefinition
from runstone.engine.registry import Entry, Registry
from runstone.store.forks import pinned_definition
from runstone.store.reads import Reader


def workflow_of(reader: Reader, registry: Registry, run: WorkflowRun) -> Entry:
    """The workflow that the run is an execution of. Raises `WorkflowNotFound`."""
    own = own_workflow(reader, run)
    return registry.get_workflow(run.definition_id or "") if own is None else own


def own_workflow(reader: Reader, run: WorkflowRun) -> Entry | None:
    """The declarative workflow that a fork was given; None for a run of what is registered."""
    content = None if run.forked_from is None else pinned_definition(reader, run.id)
    if content is None:
        return None
    name = str(content.get("name") or run.definition_id)
    return entry_for(workflows.parse(name, content), f"the definition of fork {run.id}")


def entry_for(definition: WorkflowDefinition, source: str) -> Entry:
    """A definition as if it was registered; `source` says where it is from, for people."""
    return Entry(
        name=definition.name,
        version=definition.version,
        kind="workflow",
        definition=definition,
        source=source,
    )
