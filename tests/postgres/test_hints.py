"""Commits of others are heard of at once where the server can tell, and seen a little later where it cannot."""

import threading
import time
from collections.abc import Iterator

import pytest

from runstone.engine.core import Signals, Watch
from runstone.store.clock import SystemClock
from runstone.store.postgres import database
from runstone.store.postgres import open as postgres
from runstone.store.writer import Writer
from runstone.store.writes.lifecycle import CreateRun
from runstone.testing.contract import new_run
from tests.postgres.proxy import Proxy


class Heard:
    """Signals of a process, and when it was told."""

    def __init__(self, dsn: str) -> None:
        self._told = threading.Semaphore(0)
        self.signals = Signals(Watch(postgres.reader(dsn)))
        self.signals.subscribe(None, self._told.release)
        self.within(30)  # what happened before it looked first is unknown to it

    def within(self, limit_s: float) -> bool:
        """Whether it is told in that time."""
        return self._told.acquire(timeout=limit_s)

    def nothing_more(self) -> None:
        """Waits until what is on its way has come."""
        while self.within(1.5 * database.HEARD_WITHIN_S):
            continue


@pytest.fixture
def writer(dsn: str) -> Iterator[Writer]:
    writer = Writer(postgres.writer(dsn), SystemClock())
    yield writer
    writer.close()


def test_a_commit_of_another_process_is_heard_of_at_once(
    dsn: str, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "HEARD_WITHIN_S", 60.0)
    heard = Heard(dsn)
    for number in range(3):
        writer.submit(CreateRun(new_run(f"r{number}")), []).result()
        assert heard.within(20)
    heard.signals.close()


def test_what_nobody_told_is_seen_all_the_same(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        database, "CHANNEL", "elsewhere"
    )  # the listener listens to another channel than is told
    heard = Heard(dsn)
    monkeypatch.setattr(database, "CHANNEL", "runstone")
    heard.nothing_more()
    writer = Writer(postgres.writer(dsn), SystemClock())
    writer.submit(CreateRun(new_run("r")), []).result()
    assert heard.within(20)
    writer.close()
    heard.signals.close()


def test_behind_a_pooler_it_is_looked_often_instead(dsn: str, writer: Writer) -> None:
    proxy = Proxy(dsn)
    proxy.own_pid = True
    heard = Heard(proxy.dsn)
    for number in range(3):
        writer.submit(CreateRun(new_run(f"r{number}")), []).result()
        assert heard.within(20)
    heard.signals.close()
    proxy.close()


def test_a_listener_whose_connection_is_cut_hears_again(dsn: str, writer: Writer) -> None:
    proxy = Proxy(dsn)
    heard = Heard(proxy.dsn)
    for number in range(3):
        proxy.cut_all()
        writer.submit(CreateRun(new_run(f"r{number}")), []).result()
        assert heard.within(20)
    started = time.monotonic()
    heard.signals.close()
    assert time.monotonic() - started < 5
    proxy.close()
