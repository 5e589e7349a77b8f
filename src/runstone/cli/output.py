"""Where a command's words go: data to stdout, messages to stderr, each as the caller asked for it."""

import json
import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any, Final, Literal, TextIO

import click
import msgspec

from runstone.cli.table import GAP, Cell, Table
from runstone.cli.text import clean, clean_lines, escape_json, for_terminal

Mode = Literal["text", "json", "jsonl"]

STYLES: Final[dict[str, dict[str, Any]]] = {
    "head": {"bold": True},
    "strong": {"bold": True},
    "dim": {"dim": True},
    "good": {"fg": "green"},
    "live": {"fg": "cyan"},
    "calm": {"fg": "blue"},
    "warn": {"fg": "yellow"},
    "bad": {"fg": "red"},
}

# For a terminal or a file that cannot take them: every symbol that this package prints.
_ASCII: Final = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "●": "*",
        "○": ".",
        "◌": "~",
        "■": "#",
        "↯": "!",
        "‖": "=",
        "…": "~",
        "≥": ">",
        "–": "-",
        "├": "|",
        "└": "`",
        "─": "-",
        "│": "|",
        "·": "-",
        "↺": "@",
        "→": ">",
        "█": "#",
        "▌": "=",
    }
)


class Output:
    """Prints data and messages. `mode` decides the form of data; `quiet` drops messages that are no errors."""

    def __init__(self, mode: Mode = "text", *, quiet: bool = False, no_color: bool = False) -> None:
        self.mode = mode
        self.quiet = quiet
        self.no_color = no_color or bool(os.environ.get("NO_COLOR"))

    @property
    def text(self) -> bool:
        """Whether data is printed for people."""
        return self.mode == "text"

    def width(self) -> int | None:
        """The columns of the terminal; None where stdout is none, and nothing is to be cut."""
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def coloured(self, stream: TextIO) -> bool:
        """Whether the stream takes colours."""
        return not self.no_color and stream.isatty() and os.environ.get("TERM") != "dumb"

    # --- data ------------------------------------------------------------------------------------------------------

    def table(self, table: Table, *, head: bool = True) -> None:
        """Prints a table, fitted to the terminal."""
        for line in table.lines(self.width(), head=head):
            self.line(*line)

    def line(self, *cells: Cell | str) -> None:
        """Prints one line of cells; their text must be harmless already."""
        _write(sys.stdout, self.styled(cells, sys.stdout))

    def styled(self, cells: Iterable[Cell | str], stream: TextIO) -> str:
        """The cells as one text, with colours where the stream takes them."""
        pairs = [(c, "") if isinstance(c, str) else (c.text, c.style) for c in cells]
        if not self.coloured(stream):
            return (" " * GAP).join(text for text, _ in pairs).rstrip()
        while pairs and not pairs[-1][0].strip():
            pairs.pop()
        return (" " * GAP).join(click.style(t, **STYLES[s]) if s else t for t, s in pairs)

    def passed(self, line: str, stream: TextIO, end: str = "\n") -> None:
        """Prints a line of another program: as it is, but on a terminal only what cannot drive it."""
        if stream.isatty():
            line = for_terminal(line) if self.coloured(stream) else "\n".join(clean_lines(line))
        stream.write(line + end)
        stream.flush()

    def document(self, value: Any) -> None:
        """Prints one JSON document: indented, or on one line for --jsonl."""
        _write(sys.stdout, escape_json(to_json(value, indent=None if self.mode == "jsonl" else 2)))

    def items(self, items: Iterable[Any], next_cursor: Any = None) -> None:
        """Prints a list: one document with `items` and `next_cursor`, or a line for each item."""
        if self.mode == "jsonl":
            for item in items:
                self.document(item)
        else:
            self.document({"items": list(items), "next_cursor": next_cursor})

    # --- messages --------------------------------------------------------------------------------------------------

    def note(self, message: str, style: str = "dim") -> None:
        """A message to people on stderr; not with --quiet, nor beside JSON."""
        if self.text and not self.quiet:
            self.message(message, style)

    def status(self, *cells: Cell) -> None:
        """A line of cells on stderr, as `note`."""
        if self.text and not self.quiet:
            _write(sys.stderr, self.styled(cells, sys.stderr))

    def hint(self, message: str) -> None:
        """What to type next: for people, so only where stderr is a terminal."""
        if sys.stderr.isatty():
            self.note(message)

    def warning(self, message: str) -> None:
        """A warning on stderr, also with --quiet; beside JSON it is JSON."""
        if self.text:
            self.message(f"warning: {message}", "warn")
        else:
            _write(sys.stderr, escape_json(to_json({"warning": message})))

    def message(self, message: str, style: str = "") -> None:
        """A message on stderr, also with --quiet."""
        _write(sys.stderr, self.styled([Cell(clean(message), style)], sys.stderr))


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text of records, structs and plain values."""
    return json.dumps(plain(value), ensure_ascii=False, indent=indent)


def plain(value: Any) -> Any:
    """Records and structs as JSON values, also inside lists and objects."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=str)


def prepare_streams() -> None:
    """What a stream's encoding cannot take becomes an escape, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _write(stream: TextIO, text: str) -> None:
    if not takes_symbols(stream):
        text = text.translate(_ASCII)
    stream.write(text + "\n")
    stream.flush()


def takes_symbols(stream: TextIO) -> bool:
    """Whether the stream's encoding is a Unicode one."""
    return (stream.encoding or "ascii").lower().replace("-", "").startswith("utf")
