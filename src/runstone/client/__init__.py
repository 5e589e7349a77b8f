"""Reaching a server's ledger: the face of a ledger in this process, over HTTP, and a spool for when it is away."""

import os
from typing import TYPE_CHECKING

from runstone.domain.redaction import Hook

if TYPE_CHECKING:
    from runstone.client.ledger import RemoteLedger

SPOOL_BYTES = 256 * 1024 * 1024
"""What a process keeps for a server that is away: some hundred thousand events."""


def connect(
    url: str | None = None,
    token: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    *,
    spool_bytes: int = SPOOL_BYTES,
    redact: bool | Hook = True,
) -> "RemoteLedger":
    """The ledger of the server at `url`, else `$RUNSTONE_URL`; used as one that `open` gives.

    `token`: else `$RUNSTONE_TOKEN`, else that of this workspace's own server. `spool` is the folder of what waits while
    the server is away, by default one in the user's state folder. Raises `InvalidInput`, `NotAuthenticated`, and
    `ClientMissing` without the extra `client`. A server that does not answer is no error here.
    """
    from runstone.errors import ClientMissing

    try:
        from runstone.client.ledger import RemoteLedger
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise ClientMissing("the client of a server is not installed") from error
    return RemoteLedger(url, token, spool, spool_bytes=spool_bytes, redact=redact)
