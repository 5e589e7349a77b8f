"""Runs as the API shows them: the fields of the record, and what people want to know beside them."""

from runstone.domain.records import AgentRun, WorkflowRun
from runstone.server.bodies import encode
from runstone.server.etags import etag_of


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


def etag_of_run(run: Run) -> str:
    """The tag of a run: another one whenever something of it changed that a change could have been made against."""
    return etag_of(
        encode({name: getattr(run, name) for name in run.__struct_fields__ if name not in VOLATILE})
    )
