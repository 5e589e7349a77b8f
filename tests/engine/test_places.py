"""A worker takes as many dispatches as it has places, and keeps the threads of those that it gave back."""

import threading
import time
from collections.abc import Iterator

import pytest

from runstone.domain.dispatches import QueueSettings
from runstone.engine.places import Places


@pytest.fixture
def places() -> Iterator[Places]:
    made = Places({"q": 2, "r": 1})
    yield made
    made.close()


def kept(places: Places, queue: str, count: int) -> list[threading.Thread]:
    """Threads that are kept. Each has said so before this gives them."""
    threads = [threading.Thread(target=places.keep, args=[queue], daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    with places._changed:
        while places._kept[queue] < count:
            places._changed.wait(0.01)
    return threads


def test_a_place_is_taken_once_and_is_of_one_queue(places: Places) -> None:
    assert [places.take("q") for _ in range(3)] == [True, True, False]
    assert places.take("r")
    places.give("q")
    assert places.take("q")
    assert not places.take("q")


def test_what_a_narrower_queue_would_count_for_too_many_goes(places: Places) -> None:
    threads = kept(places, "q", 4)
    other = kept(places, "r", 1)
    places.fit("q", 6)
    assert all(thread.is_alive() for thread in threads)
    places.fit("q", 3)  # one more than it has places for
    deadline = time.monotonic() + 10
    while len(alive := [thread for thread in threads if thread.is_alive()]) > 1:
        assert time.monotonic() < deadline
        alive[0].join(0.02)
    assert sum(thread.is_alive() for thread in threads) == 1
    assert other[0].is_alive()
    places.close()
    for thread in (*threads, *other):
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("settings", "slots", "places"),
    [
        (QueueSettings(), 8, 8),
        (QueueSettings(per_worker=2), 8, 2),
        (QueueSettings(per_worker=20), 8, 8),
        (QueueSettings(concurrency=3), 8, 3),
        (QueueSettings(concurrency=3, per_worker=1), 8, 1),
    ],
)
def test_a_worker_has_no_more_places_than_slots(settings: QueueSettings, slots: int, places: int) -> None:
    assert settings.places(slots) == places
