"""What the driver's errors mean."""

from typing import Final

import psycopg
from psycopg import errors as states

from runstone import errors

_LOST: Final = (
    states.AdminShutdown,
    states.CrashShutdown,
    states.CannotConnectNow,
    states.IdleInTransactionSessionTimeout,
    states.IdleSessionTimeout,
    states.ReadOnlySqlTransaction,  # it was the primary, and is none any more
    states.TooManyConnections,
)

_MEANING: Final[list[tuple[type[psycopg.Error], type[errors.StoreError]]]] = [
    (states.LockNotAvailable, errors.StoreBusy),
    (states.QueryCanceled, errors.StoreBusy),
    (states.DeadlockDetected, errors.StoreBusy),
    (states.SerializationFailure, errors.StoreBusy),
    (states.DiskFull, errors.StoreFull),
    (states.OutOfMemory, errors.StoreIO),
    (states.IoError, errors.StoreIO),
    (states.DataCorrupted, errors.StoreCorrupt),
    (states.IndexCorrupted, errors.StoreCorrupt),
    (states.InsufficientPrivilege, errors.RightsMissing),
    (states.InvalidPassword, errors.DatabaseRefused),
    (states.InvalidAuthorizationSpecification, errors.DatabaseRefused),
    (states.InvalidCatalogName, errors.DatabaseRefused),
]

_STATEMENT_POOLING: Final = "statement pooling mode"


def typed(error: psycopg.Error, *, broken: bool = False) -> errors.StoreError:
    """The `StoreError` that says what the driver's error means; `broken`: the connection is gone."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if _STATEMENT_POOLING in str(error):
        return errors.PoolerMode()
    for kind, mine in _MEANING:
        if isinstance(error, kind):
            return mine(f"{(mine.__doc__ or '').strip().splitlines()[0]} ({said})")
    if broken or isinstance(error, _LOST):
        return errors.StoreUnreachable(f"the database server cannot be reached ({said})")
    return errors.StoreError(f"PostgreSQL refused the statement: {said}")


def refused(error: psycopg.Error) -> errors.StoreError:
    """The same for an attempt to connect, whose errors come without a code: what the server said has to tell."""
    said = " ".join(str(error).split())
    if _STATEMENT_POOLING in said:
        return errors.PoolerMode()
    fatal = (
        "authentication failed",
        "does not exist",
        "no pg_hba.conf entry",
        "permission denied for database",
    )
    if any(text in said for text in fatal) and "No such file" not in said:
        return errors.DatabaseRefused(f"the database server refused the connection ({said})")
    return errors.StoreUnreachable(f"the database server cannot be reached ({said})")
