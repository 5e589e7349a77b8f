"""The writes: what may be changed in the ledger, each decided by itself inside the writer's transaction."""
