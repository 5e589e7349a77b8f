"""What the full-text index knows: titles, prompts, summaries, errors and messages."""

from runstone.domain.runs import Head
from runstone.store.batch import Batch

INDEXED_CHARACTERS = 32_768
"""Of a longer text the beginning is indexed, so that one message cannot hold up all others' commits."""


def indexed(text: str) -> str:
    """The part of a text that the index takes."""
    return text[:INDEXED_CHARACTERS]


def add(batch: Batch, source: str, body: str, *, run: int | None, message: int | None = None) -> None:
    """Indexes a text."""
    number = batch.number("texts")
    batch.stage("insert_text", number, source, run, message)
    batch.stage("insert_search", number, indexed(body))


def of_new_run(batch: Batch, head: Head, prompt: str | None) -> None:
    """Indexes what a new run brings."""
    if head.title:
        add(batch, "title", head.title, run=head.pk)
    if prompt:
        add(batch, "prompt", prompt, run=head.pk)


def of_ended_run(batch: Batch, head: Head, error: str | None) -> None:
    """Indexes how a run ended; each attempt's error stays findable."""
    if head.status == "completed" and head.summary:
        add(batch, "summary", head.summary, run=head.pk)
    if error:
        add(batch, "error", error, run=head.pk)
