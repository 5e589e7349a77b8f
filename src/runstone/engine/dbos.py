"""Queues by DBOS Transact (its MIT core): dispatch only, over the database of the ledger.

A dispatch is a DBOS workflow under the dispatch's own name, whose only argument is the run's id. It has no steps, and
what it gives back is of no interest: whether the run is done, and who may go on with it, is the ledger's to say.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, Serializer
from sqlalchemy.exc import SQLAlchemyError

from runstone.domain.dispatches import QueueSettings, parse_name
from runstone.engine.queues import Queued
from runstone.errors import Misuse, StoreIO

SCHEMA: Final = "runstone_dispatch"
VERSION: Final = "1"
"""The application's version, of DBOS: always the same, as any worker may take what any other left."""

_NAME: Final = "runstone"
_WORKFLOW: Final = "runstone.dispatch"
_IDLE_TRANSACTION_MS: Final = 10_000
"""A worker that is stopped in a transaction must not hold its rows for longer."""

_CONNECTIONS: Final = 12
"""Of a worker to its queues: as many threads may talk to them at a time, and others wait the moment that it takes."""

_CONNECTION: Final[dict[str, Any]] = {
    "application_name": "runstone dispatch",
    "connect_timeout": 10,
    "target_session_attrs": "read-write",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

_HANDED_MS: Final = 10_000
"""So long a dispatch that was handed to a worker may take until it is claimed."""

_LONG_STOP_S: Final = 15


class _Json(Serializer):
    """What goes into the database of DBOS is JSON, nothing that is code when it is read."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "runstone_json"


_serving: Final[list[Callable[[str, int], None]]] = []
"""What this process does with a dispatch; DBOS has one instance in a process, and knows functions by name."""


@DBOS.workflow(name=_WORKFLOW)
def _dispatch(run_id: str) -> str:
    """Never raises: whatever became of the run is in the ledger, and a dispatch that was lost is given anew."""
    name = DBOS.workflow_id
    assert name is not None
    try:
        _serving[0](run_id, parse_name(name)[1])
    except Exception as error:
        logging.getLogger("runstone.worker").warning("run %s was left: %s", run_id, error)
        return f"{type(error).__name__}: {error}"[:1000]
    return "ok"


class DbosQueues:
    """The queues of one worker process."""

    def __init__(self, dsn: str, worker_id: str) -> None:
        """`dsn` is the ledger's; a `sqlite:///` URL is for trying things out with one worker."""
        self._engine, url = _engine(dsn)
        self._config: DBOSConfig = {
            "name": _NAME,
            "system_database_url": url,
            "system_database_engine": self._engine,
            "dbos_system_schema": SCHEMA,
            "application_version": VERSION,
            "executor_id": worker_id,
            "serializer": _Json(),
            "use_listen_notify": False,
            "log_level": "ERROR",  # an outage is told by what it keeps from being done
        }
        self._client: DBOSClient | None = None
        self._launched = False

    # --- in line -------------------------------------------------------------------------------------------------

    def enqueue(self, dispatches: Sequence[Queued]) -> None:
        client = self._connected()
        with _typed(), self._engine.begin() as connection:
            for one in dispatches:
                options: EnqueueOptions = {
                    "workflow_name": _WORKFLOW,
                    "queue_name": one.queue,
                    "workflow_id": one.name,
                    "app_version": VERSION,
                    "priority": one.rank,
                }
                client.enqueue_in_transaction(connection, options, one.run_id)

    def forget(self, names: Sequence[str]) -> None:
        with _typed():
            self._connected().delete_workflows(list(names))

    def in_line(self, names: Sequence[str]) -> set[str]:
        with _typed():
            found = self._connected().list_workflows(
                workflow_ids=list(names), status=["ENQUEUED", "DELAYED", "PENDING"], load_input=False, load_output=False
            )  # fmt: skip
        since = time.time() * 1000 - _HANDED_MS
        return {one.workflow_id for one in found if one.status != "PENDING" or (one.dequeued_at or 0) > since}

    def _connected(self) -> DBOSClient:
        if self._client is None:
            self._client = DBOSClient(
                system_database_engine=self._engine, dbos_system_schema=SCHEMA, serializer=_Json(),
                application_name=_NAME, lazy=True, retry_connection_errors=False,
            )  # fmt: skip
        return self._client

    # --- to this worker ------------------------------------------------------------------------------------------

    def serve(
        self, queues: Mapping[str, QueueSettings], slots: int, work: Callable[[str, int], None]
    ) -> None:
        if _serving:
            raise Misuse("one worker runs in a process", hint="start another process: runstone worker")
        _serving.append(work)
        DBOS(config=self._config)
        DBOS.listen_queues(list(queues))
        with _typed():
            DBOS.launch()
            self._launched = True
            for name, settings in queues.items():
                self._register(name, settings, slots)

    def width(self, queue: str, settings: QueueSettings, slots: int) -> int:
        with _typed():
            known = _width_of(queue)
            return known if known >= settings.places(slots) else self._register(queue, settings, slots)

    @staticmethod
    def _register(name: str, settings: QueueSettings, slots: int) -> int:
        """Sets the queue up for all its workers. It knows one width: that of the one with the most slots."""
        per_worker = settings.per_worker or max(slots, _width_of(name))
        if settings.concurrency is not None:
            per_worker = min(per_worker, settings.concurrency)
        limit = settings.rate_limit
        DBOS.register_queue(
            name,
            worker_concurrency=per_worker,
            global_concurrency=settings.concurrency,
            limiter=None if limit is None else {"limit": limit, "period": settings.rate_period_s},
            polling_interval_sec=settings.poll_s,
            on_conflict="always_update",
        )
        return per_worker

    def close(self, timeout_s: int = _LONG_STOP_S) -> None:
        if self._launched:
            self._launched = False
            DBOS.destroy(workflow_completion_timeout_sec=timeout_s)
            _serving.clear()
        if self._client is not None:
            self._client.destroy()
        self._engine.dispose()


def _width_of(queue: str) -> int:
    known = DBOS.retrieve_queue(queue)
    return 0 if known is None else known.worker_concurrency or 0


def _engine(dsn: str) -> tuple[sqlalchemy.Engine, str]:
    """Connections of its own to the ledger's database, and what tells DBOS which kind that is."""
    if dsn.startswith("sqlite:"):
        return sqlalchemy.create_engine(dsn, connect_args={"timeout": 30}), dsn
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", pool_size=_CONNECTIONS, max_overflow=0, pool_pre_ping=True
    )

    def connect(dialect: Any, _record: Any, _args: Any, _params: Any) -> Any:
        # The DSN goes to the driver as it is: it may name several hosts, of which one is the primary.
        return dialect.loaded_dbapi.connect(dsn, **_CONNECTION)

    sqlalchemy.event.listen(engine, "do_connect", connect)
    sqlalchemy.event.listen(engine, "connect", _bound_transactions)
    return engine, "postgresql://the:engine@has/the_rest"


def _bound_transactions(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        if cursor.fetchone()[0] != connection.info.backend_pid:
            # A pooler answers for the server, and may give each transaction another connection: nothing stays on one.
            connection.prepare_threshold = None
        else:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_TRANSACTION_MS}")
    connection.commit()


class _typed:  # noqa: N801 (a context manager that reads as a word)
    """In the block, what the database's library raises becomes `StoreIO`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, SQLAlchemyError):
            raise StoreIO(f"the queues' database does not answer: {error}") from error
