"""Messages as a log: a line of a program's output each, and what was said beside it. Pure functions over records."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from runstone.cli import event_lines, text
from runstone.cli.table import Cell
from runstone.domain.records import Message
from runstone.engine.command_output import CONTINUES, LINE_BYTES

OUTPUT = "output"
"""The role of messages that hold lines of a command in the background."""


class LogLine(NamedTuple):
    """One line of output. `n` counts the lines of its stream in its attempt."""

    stream: str
    n: int
    text: str
    timestamp: datetime
    attempt: int | None

    @property
    def piece(self) -> str | None:
        """The text of a piece of a long line that goes on in the next one; None for the end of a line."""
        # A line may end like the mark by chance; a piece is long, though secrets were taken out of it.
        long = self.text.endswith(CONTINUES) and len(self.text.encode()) >= LINE_BYTES // 2
        return self.text.removesuffix(CONTINUES) if long else None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` and `--jsonl` show it."""
        return {**self._asdict(), "timestamp": self.timestamp.isoformat().replace("+00:00", "Z")}


def entries(messages: Iterable[Message], stream: str | None = None) -> Iterator["LogLine | Message"]:
    """The lines of output messages, other messages as they are; with `stream` only what was printed to it."""
    for message in messages:
        if not _is_output(message):
            if stream in (None, message.role):
                yield message
        elif stream in (None, message.extra["stream"]):
            yield from lines_of(message)


def lines_of(message: Message) -> list[LogLine]:
    """The lines that an output message holds."""
    extra, texts = message.extra, message.text.split("\n")
    return [
        LogLine(extra["stream"], extra["first_line"] + index, line, message.timestamp, message.attempt)
        for index, line in enumerate(texts)
    ]


def _is_output(message: Message) -> bool:
    # A program may send messages of this role itself, with whatever beside them.
    if message.role != OUTPUT or not isinstance(message.extra, dict):
        return False
    return isinstance(message.extra.get("stream"), str) and type(message.extra.get("first_line")) is int


def cells(entry: "LogLine | Message", *, timestamps: bool) -> Iterator[list[Cell | str]]:
    """An entry as printed lines: output as it was printed, a message with its time and role."""
    if isinstance(entry, Message):
        yield from event_lines.message_lines(entry)
        return
    style = "warn" if entry.stream == "stderr" else ""
    for line in text.clean_lines(entry.text):
        time = [Cell(text.exact_time(entry.timestamp), "dim")] if timestamps else []
        yield [*time, Cell(line, style)]
