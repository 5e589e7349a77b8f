"""Roles in the database: what a server, a worker and a reader may do. Users are given one of them by `GRANT`.

They are made, or set right, as often as one likes; who does so owns the schema and may make roles.
"""

from importlib import resources
from typing import Final

from runstone.store.postgres import migrate
from runstone.store.postgres.database import PostgresDatabase

ROLES: Final = {
    "runstone_server": "reads and writes everything, prunes and removes; no change of the schema",
    "runstone_worker": "reads everything, executes runs; removes no run, event, message or request",
    "runstone_reader": "reads everything",
}


def make(dsn: str) -> dict[str, str]:
    """Makes the roles and their rights, all of it or nothing; what each may, by its name."""
    text = (resources.files(__package__) / "roles.sql").read_text(encoding="utf-8")
    db = PostgresDatabase(dsn)
    try:
        migrate.require(db)
        with db.alone():
            db.run(text)
    finally:
        db.close()
    return dict(ROLES)
