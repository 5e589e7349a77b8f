"""Whether an input is one that an agent or a workflow says it takes."""

from typing import Any

from runstone.domain import schemas, workflows
from runstone.engine.registry import Entry
from runstone.errors import InputRefused, InvalidAnswer


def require_fit(entry: Entry, input: Any) -> None:
    """Raises `InputRefused`, naming the place, for an input that does not fit; without a schema any JSON does."""
    if entry.definition is not None:
        workflows.check_input(entry.definition, input)
    if entry.input_schema is None:
        return
    try:
        schemas.require(entry.input_schema, input, f"the input of {entry.name}")
    except InvalidAnswer as error:
        hint = f"see what it takes: runstone {entry.kind}s show {entry.name}"
        raise InputRefused(str(error), hint=hint) from error
