"""The command line. Each module is a noun; `main` is all of them."""

from runstone.cli.root import main

__all__ = ["main"]
