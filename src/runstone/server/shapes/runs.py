"""Runs as the API shows them: the fields of the record, and what people want to know beside them."""

from runstone.domain.records import AgentRun, WorkflowRun


class Run(AgentRun, frozen=True, kw_only=True):
    """A run: the fields of the record, those of workflows for each."""

    definition_id: str | None
    definition_hash: str | None


def run_of(record: AgentRun) -> Run:
    """The run as the API shows it."""
    known = {name: getattr(record, name) for name in AgentRun.__struct_fields__}
    definition = (
        (record.definition_id, record.definition_hash) if isinstance(record, WorkflowRun) else (None, None)
    )
    return Run(**known, definition_id=definition[0], definition_hash=definition[1])


VOLATILE = frozenset({"lease_expires_at"})
"""What changes while nothing happens, so that it does not make another run of it."""
