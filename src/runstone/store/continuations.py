"""Reading what a run that goes on is given: the messages of continuations that it has saved no state since."""

from runstone.store.reads import Reader


def message_in(reader: Reader, run_id: str) -> str | None:
    """The message; several, whose attempts all ended before they had saved a state, come together, as paragraphs."""
    found = reader.rows("continued_since_saved", run=reader.runs.pk(run_id))
    return "\n\n".join(reader.values.text(text, ref) for _role, text, ref in found) or None
