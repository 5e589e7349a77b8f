"""`python -m runstone` is `runstone`."""

from runstone.cli import main

if __name__ == "__main__":
    main(prog_name="runstone")
