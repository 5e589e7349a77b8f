"""What a fork needs to know of its source: how far its journal went at a checkpoint, and its definition."""

from typing import Any

from runstone.domain import codec
from runstone.errors import NotFound
from runstone.store.reads import Reader


def known_at(reader: Reader, run_id: str, number: int) -> int:
    """The newest journal record that the run had at a checkpoint; 0 for none. Raises `NotFound`."""
    pk = reader.runs.pk(run_id)
    found = reader.rows("known_at", run=pk, number=number) if 0 < number < 2**63 else []
    if not found:
        raise NotFound(
            f"run {run_id} has no checkpoint {number}",
            hint=f"list them: runstone runs checkpoints {run_id}",
            run_id=run_id,
        )
    return int(found[0][0])


def definition_of(reader: Reader, run_id: str) -> dict[str, Any] | None:
    """The content of the declarative definition that the run was last started with; None where none is known."""
    for payload, ref in reader.rows("definitions_of", run=reader.runs.pk(run_id)):
        definition: dict[str, Any] | None = codec.decode(reader.values.text(payload, ref)).get("definition")
        if definition is not None:
            return definition
    return None


def pinned_definition(reader: Reader, run_id: str) -> dict[str, Any] | None:
    """The definition that a fork was given and keeps, whatever is registered; None for any other run."""
    rows = reader.rows("definitions_of", run=reader.runs.pk(run_id))
    created = codec.decode(reader.values.text(*rows[-1])) if rows else {}
    definition: dict[str, Any] | None = created.get("definition") if created.get("pinned") else None
    return definition
