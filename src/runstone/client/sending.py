"""Sending a spool's records to the server, in their order, until each is answered; and those of killed processes."""

import threading
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from runstone.client import spool as spools
from runstone.client.http import Http, backoff, error_from
from runstone.client.spool import Record, Spool
from runstone.errors import (
    AccessRefused,
    InvalidInput,
    RequestTooDeep,
    RequestTooLarge,
    RunstoneError,
    ServerUnreachable,
)
from runstone.store.batch import Outcome

PATH: Final = "/handles/writes"
BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 1024 * 1024
_SEND_S: Final = 10.0
"""A server that takes longer counts as away; the batch is sent again, and is written once."""
_ABANDONED_S: Final = 10.0
"""So often spools of killed processes are looked for."""
_ASK_TRIES: Final = 5


class Sender:
    """Delivers records to one server, in the name of one process."""

    def __init__(self, http: Http, owner: dict[str, Any], name: str, base: Path, *, limit_bytes: int) -> None:
        self.url = http.url
        self.away = False
        """The last attempt to reach the server failed."""
        self.trouble: RunstoneError | None = None
        """Why nothing can be delivered at the moment."""
        self.sending = threading.RLock()
        """Held while something is sent, so that the order stays."""
        self.adopted = 0
        """Records of killed processes that were delivered."""
        self.adopted_refused = 0
        self._http = http
        self._owner = owner
        self._name = name
        self._base = base
        self._limit_bytes = limit_bytes
        self._pauses = backoff()
        self._stopping = threading.Event()
        self._looked_at = float("-inf")

    def some_of(self, spool: Spool, after: int) -> list[Record]:
        """The next records to send."""
        return spool.read(after, records=BATCH_RECORDS, size=BATCH_BYTES)

    def deliver(self, records: list[Record]) -> list[Outcome]:
        """What the server says to each, sent again where no answer came. Raises `ServerUnreachable`."""
        for _ in range(_ASK_TRIES):
            outcomes = self.try_deliver(records)
            if outcomes is not None:
                return outcomes
            if self._stopping.wait(next(self._pauses)):
                break
        raise self.trouble or ServerUnreachable(url=self.url)

    def try_deliver(self, records: list[Record]) -> list[Outcome] | None:
        """What the server says to each; None where it is away, and `trouble` says why."""
        return self._try(records, self._name, self._owner)

    def _try(self, records: list[Record], name: str, owner: Any) -> list[Outcome] | None:
        body = _body(name, owner, records, alive=name == self._name)
        try:
            answer = self._http.post(
                PATH, body, key=f"{name}-{records[-1].number}", tries=1, timeout_s=_SEND_S
            )
            outcomes = [_outcome(one) for one in answer["results"]]
        except (InvalidInput, RequestTooDeep, RequestTooLarge) as error:
            # The batch as a whole cannot be taken: the one record in it that is wrong is refused, and no other.
            if len(records) == 1:
                return [Outcome(error=error)]
            return self._split(records, name, owner)
        except RunstoneError as error:
            self.away, self.trouble = True, error
            return None
        self.away, self.trouble = False, None
        self._pauses = backoff()
        return outcomes

    def _split(self, records: list[Record], name: str, owner: Any) -> list[Outcome] | None:
        found: list[Outcome] = []
        middle = len(records) // 2
        for part in (records[:middle], records[middle:]):
            outcomes = self._try(part, name, owner)
            if outcomes is None:
                return None
            found += outcomes
        return found

    def pause(self) -> None:
        """Waits before the next attempt; less and less often, up to a few seconds."""
        long = isinstance(self.trouble, AccessRefused)
        self._stopping.wait(_ABANDONED_S if long else next(self._pauses))

    def stop(self) -> None:
        """Ends pauses."""
        self._stopping.set()

    # --- what killed processes left ------------------------------------------------------------------------------

    def look_for_abandoned(self) -> bool:
        """Whether it is time to look for spools of killed processes."""
        return not self.away and time.monotonic() - self._looked_at > _ABANDONED_S

    def deliver_abandoned(self) -> None:
        """Delivers spools whose process is gone, in its name. One that cannot be delivered now is kept."""
        if not self.look_for_abandoned():
            return
        self._looked_at = time.monotonic()
        for spool in spools.abandoned(self._base, self._limit_bytes):
            done = False
            try:
                done = self._deliver_all(spool)
            finally:
                spool.close(delivered=done)
            if not done:
                return

    def _deliver_all(self, spool: Spool) -> bool:
        owner = spool.owner()
        if owner is None:
            return True  # killed before it had written anything
        after = 0
        while records := self.some_of(spool, after):
            outcomes = (
                None if self._stopping.is_set() else self._try(records, spool.folder.name, msgspec.Raw(owner))
            )
            if outcomes is None:
                return False
            self.adopted += len(records)
            self.adopted_refused += sum(outcome.error is not None for outcome in outcomes)
            after = records[-1].number
        return after >= spool.last


def _body(name: str, owner: Any, records: list[Record], *, alive: bool) -> bytes:
    operations = [{"number": record.number, "operation": msgspec.Raw(record.data)} for record in records]
    return msgspec.json.encode({"spool": name, "owner": owner, "operations": operations, "alive": alive})


def _outcome(one: dict[str, Any]) -> Outcome:
    problem = one.get("problem")
    return Outcome(one.get("value")) if problem is None else Outcome(error=error_from(problem))
