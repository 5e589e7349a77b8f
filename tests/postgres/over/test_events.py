"""Pages of events over PostgreSQL, by the tests that they have over a file."""

import itertools

from runstone.ledger import Ledger
from tests.lists import test_events as events
from tests.lists.test_events import ledger  # noqa: F401


def test_pages_are_those_of_all_that_fits(ledger: Ledger) -> None:  # noqa: F811
    for types, least in itertools.product(range(len(events.TYPES)), (None, 2)):
        events.test_pages_are_those_of_all_that_fits(ledger, types, least)


def test_more_types_than_are_read_one_by_one_are_looked_for_along_the_run(ledger: Ledger) -> None:  # noqa: F811
    found = ledger.events("r", types=["work.", "tool.", *(f"never.{n}" for n in range(48))], limit=1_000)
    assert {event.type.split(".")[0] for event in found} == {"work", "tool"}
