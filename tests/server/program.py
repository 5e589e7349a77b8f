"""A server in a process of its own, to be killed: prints its address and a token, and answers until it is ended."""

import json
import sys
from pathlib import Path

import runstone
from runstone.server.serve import Server
from runstone.server.settings import Settings
from tests.server.conftest import crew


def main() -> None:
    """`program.py FOLDER`"""
    with runstone.open(Path(sys.argv[1]), lease_s=30) as ledger:
        server = Server(ledger, Settings(port=0), crew())
        print(json.dumps({"url": server.url, "token": server.parts.tokens.ensure_first()}), flush=True)
        server.run()


if __name__ == "__main__":
    main()
