"""The ledger in one SQLite file of the workspace, through APSW."""
