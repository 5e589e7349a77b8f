"""The command line. Each module is a noun; `main` is what the script `runstone` calls."""

from runstone.cli.root import main

__all__ = ["main"]
