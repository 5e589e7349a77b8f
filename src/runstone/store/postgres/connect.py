"""A connection to the server: how it is opened, what is checked on it, and how values travel."""

from typing import Any, Final

import psycopg
from psycopg import adapt
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

from runstone import errors
from runstone.store.postgres import dialect
from runstone.store.postgres.clock import ServerClock
from runstone.store.postgres.faults import refused, typed

OLDEST_SERVER: Final = 140_000

CONNECT_S: Final = 10
"""One attempt to connect; a caller that waits longer tries again."""

_WHO: Final = "SELECT pg_backend_pid(), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "runstone",
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_S,
    # After a failover the old primary is a standby, or silent: the DSN may name several hosts.
    "target_session_attrs": "read-write",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class _Text(StrDumperUnknown):
    """A text of a row. PostgreSQL has no NUL in texts: one is told by the sign for what cannot be shown."""

    def dump(self, obj: Any) -> Any:
        return super().dump(obj.replace("\0", dialect.NO_NUL))


class _Truth(adapt.Dumper):
    """True and False as 1 and 0, as flags are stored."""

    oid = 20

    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class _TruthLoader(adapt.Loader):
    def load(self, data: Any) -> int:
        return int(bytes(data) == b"t")


class _SumLoader(adapt.Loader):
    """A sum of bigint is numeric: a whole number where it is one."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text else int(text)


def open_connection(dsn: str, clock: ServerClock) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection of its own to the primary, checked. Raises `StoreError` subclasses, or `InvalidInput`."""
    try:
        given = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise errors.InvalidInput(
            f"the DSN cannot be read: {str(error).strip()}",
            hint="write it as postgresql://USER@HOST:PORT/DATABASE",
        ) from error
    try:
        connection = psycopg.connect(
            **{**_DEFAULTS, **given}, autocommit=True, cursor_factory=psycopg.RawCursor
        )
    except psycopg.Error as error:
        raise refused(error) from error
    try:
        _check(connection, clock)
    except psycopg.Error as error:
        connection.close()
        raise typed(error, broken=connection.broken) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: "psycopg.Connection[Any]", clock: ServerClock) -> None:
    """Version, encoding and pooler; how values travel, and what time it is."""
    info = connection.info
    encoding = info.parameter_status("server_encoding")
    if info.server_version < OLDEST_SERVER:
        raise errors.DatabaseTooOld(f"the server is PostgreSQL {info.server_version // 10_000}")
    if encoding is not None and encoding != "UTF8":
        raise errors.DatabaseTooOld(f"the database has the encoding {encoding}")
    adapters = connection.adapters
    adapters.register_dumper(
        int, Int8Dumper
    )  # of any size: else each size would be another prepared statement
    adapters.register_dumper(bool, _Truth)
    adapters.register_dumper(str, _Text)
    adapters.register_loader("bool", _TruthLoader)
    adapters.register_loader("numeric", _SumLoader)
    own, now = connection.execute(_WHO).fetchone() or (0, 0)
    clock.heard(now)
    if own != info.backend_pid:
        # A pooler answers for the server, and may give each transaction another connection: nothing is kept prepared.
        connection.prepare_threshold = None
    else:
        connection.prepare_threshold = 2
        connection.prepared_max = 400
