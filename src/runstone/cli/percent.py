"""How far something long is, on one line of a terminal: the one meter of all commands."""

import sys

from runstone.cli.output import Output


class Percent:
    """One line that is written over and over, and gone at the end; nothing where stderr is no terminal."""

    def __init__(self, output: Output, what: str = "") -> None:
        self._shown = output.text and not output.quiet and sys.stderr.isatty()
        self._what = what
        self._last = ""

    def __call__(self, done: int, of: int) -> None:
        """Shows `done` of `of`."""
        if of:
            self.say(f"{self._what}: {done} of {of} ({done * 100 // of} %)")

    def copied(self, done: int, of: int) -> None:
        """Shows how much of a file is copied; what is copied is checked."""
        self.say(f"{self._what} {done * 100 // max(1, of)} %" + (", checking" if done == of else ""))

    def say(self, line: str) -> None:
        """Shows the line."""
        if self._shown and line != self._last:
            sys.stderr.write(f"\r{line:<{len(self._last)}}")
            sys.stderr.flush()
            self._last = line

    def __enter__(self) -> "Percent":
        return self

    def __exit__(self, *_: object) -> None:
        if self._last:
            sys.stderr.write(f"\r{'':<{len(self._last)}}\r")
            sys.stderr.flush()
