"""`python -m runstone` is `runstone`."""

import gc

from runstone.cli import main


def run() -> None:
    """What the script `runstone` calls."""
    gc.freeze()  # what was imported stays: looking through it, at exit once more, takes a fifth of a short command
    main(prog_name="runstone")


if __name__ == "__main__":
    run()
