"""A ledger in a database that is away is waited for, by processes that are to be there whenever it is: workers."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final

from runstone.cli.session import Session
from runstone.errors import StoreUnreachable
from runstone.ledger import Ledger

LOOK_S: Final = 1.0
TELL_S: Final = 60.0


class Ended(BaseException):
    """A signal came before the ledger was there. No `Exception`: nothing on the way may take it for a failure."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """In the block Ctrl-C and SIGTERM raise `Ended`, also within an attempt to connect."""
    before = {number: signal.signal(number, _came) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _came(_number: int, _frame: FrameType | None) -> None:
    raise Ended


@contextmanager
def changing(
    session: Session,
    *,
    pause: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Ledger]:
    """The ledger, opened for writing once its database answers; it is told at once, then each minute, what for.

    What waiting does not mend is raised at once: a database that refuses, rights, a schema of another version.
    """
    with ExitStack() as stack:
        yield _opened(session, stack, pause, monotonic)


def _opened(
    session: Session, stack: ExitStack, pause: Callable[[float], None], monotonic: Callable[[], float]
) -> Ledger:
    began = told = 0.0
    while True:
        try:
            return stack.enter_context(session.changing())
        except StoreUnreachable as away:
            now = monotonic()
            if not began:
                began = told = now
                session.output.warning(f"{away}; the worker waits for it")
            elif now - told >= TELL_S:
                told = now
                session.output.warning(f"{away}; the worker has waited for it for {round(now - began)} s")
        pause(LOOK_S)
