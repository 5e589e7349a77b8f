"""Runstone: the durable run ledger for AI agents. This module is the public API; docs/reference describes it."""

from runstone.engine.handle import RunHandle, current_run
from runstone.ledger import Ledger, open

__all__ = ["Ledger", "RunHandle", "current_run", "open"]
