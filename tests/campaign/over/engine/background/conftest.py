"""The fixtures of tests/engine/background."""

from tests.engine.background.conftest import ledger  # noqa: F401
