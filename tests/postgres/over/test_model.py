"""Random commands against the store over PostgreSQL and a small model of it."""

from hypothesis import settings

from runstone.store.postgres import open as postgres
from runstone.testing.contract import Connect
from tests.postgres import server
from tests.property.test_model import CAMPAIGN, LedgerMachine


class SharedMachine(LedgerMachine):
    """The same commands and invariants."""

    def new_ledger(self) -> Connect:
        self.dsn = server.lend()
        return postgres.writer(self.dsn)

    def remove_ledger(self) -> None:
        server.take_back(self.dsn)


TestLedger = SharedMachine.TestCase
TestLedger.settings = settings(
    max_examples=300 if CAMPAIGN else 5, stateful_step_count=60 if CAMPAIGN else 20, deadline=None
)
