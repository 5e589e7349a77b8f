"""What a run is about, for people: its title, else what its input says."""

from collections.abc import Iterable
from typing import Any, Final

from runstone.cli import run_tables
from runstone.cli.output import to_json
from runstone.domain.records import AgentRun
from runstone.ledger import Ledger

# Fields of an input that say which one it is, the most telling first.
_TELLING: Final = (
    "title",
    "name",
    "file",
    "path",
    "url",
    "question",
    "query",
    "task",
    "prompt",
    "message",
    "id",
)
_CUT: Final = 80


def subject(ledger: Ledger, run: AgentRun) -> str:
    """The title where there is one that says more than the agent's name, else an excerpt of the input."""
    title = run_tables.title_of(run)
    return title if title or run.input_ref is None else excerpt(ledger.input(run.id))


def subjects(ledger: Ledger, found: Iterable[AgentRun]) -> dict[str, str]:
    """By run id."""
    return {run.id: subject(ledger, run) for run in found}


def excerpt(value: Any) -> str:
    """A few words of a value: text as it is, the telling field of an object, anything else as JSON."""
    if isinstance(value, dict):
        telling = next((value[name] for name in _TELLING if isinstance(value.get(name), str)), None)
        value = value if telling is None else telling
    text = value if isinstance(value, str) else "" if value is None else to_json(value)
    return text if len(text) <= _CUT else text[: _CUT - 1] + "…"
