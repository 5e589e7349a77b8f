"""The process of a watcher: `python -P -m runstone.watching WORKSPACE RUN FOLDER DESCRIPTOR`, started by a keeper."""

import gc
import os
import sys

from runstone.engine.ambient import DSN, WORKSPACE
from runstone.engine.background.channel import Channel, KeeperGone
from runstone.engine.background.watcher import Watcher
from runstone.errors import NotFound
from runstone.ledger import open

BUSY, GONE = 3, 4
"""Exit codes: somebody else has the run; the keeper could not be asked."""


def main(arguments: list[str]) -> int:
    """Watches the run until nothing is left to do, and tells the keeper so."""
    workspace, run_id, _folder, descriptor = arguments
    os.chdir("/")
    channel = Channel(int(descriptor))
    shared = os.environ.get(DSN)
    if shared:
        os.environ[WORKSPACE] = workspace  # this machine's folder of the shared ledger
    with open(shared or workspace, create=False) as ledger:
        try:
            if not Watcher(ledger.core, ledger.supervisor, run_id, channel).run():
                return BUSY
        except KeeperGone:
            ledger.reconcile()  # what nobody is left to start reads interrupted from now on
            return GONE
        except NotFound:
            pass  # the run was removed
    channel.say(done=True)
    return 0


if __name__ == "__main__":
    gc.freeze()  # what was imported stays: not looked through any more
    sys.exit(main(sys.argv[1:]))
