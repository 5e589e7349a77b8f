"""The process of the demo's upgrades: it ends in the middle of its work, as if it had been killed."""

import asyncio
import os
import sys

import runstone
from runstone.server.demo import filling


async def _main(root: str, done: int) -> None:
    ledger = runstone.open(root, create=False)
    await filling.upgrade_until(ledger, done)
    # Nothing is closed and nothing is said: what is in the ledger by now is all that is left.
    os._exit(filling.ENDED)


asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
