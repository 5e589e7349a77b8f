"""Statements of a transaction that go to the server together, and come back together.

Each is sent by the number under which the server has it prepared; none waits for the answer of the one before. The
driver's own pipeline does the same with more work for each statement than a small transaction has in all, so this uses
the driver's wrapper of libpq, and its adaptation of values.
"""

import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer

from runstone.store.base import Row
from runstone.store.postgres import dialect

KEPT: Final = 400
"""Statements that a connection keeps prepared."""

_Key = tuple[str, tuple[int, ...]]
_BARE: Final = ("BEGIN", "COMMIT")
"""What is not worth preparing, as there is nothing to plan in it."""

_BIGINT: Final = 20
_PREPARED: Final = pq.ExecStatus.COMMAND_OK
_READABLE: Final = select.POLLIN | select.POLLERR | select.POLLHUP


class Pipeline:
    """Of one connection, which is otherwise the driver's. Use from one thread at a time."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._values = Transformer.from_context(connection)
        self._encoding = connection.info.encoding
        self._keeps = connection.prepare_threshold is not None
        self._names: dict[_Key, bytes] = {}
        self._given = 0
        self._queued: list[tuple[str, Sequence[Any]]] = []
        self._ready = select.poll()
        self._ready.register(self._server.socket, _READABLE)

    def put(self, text: str, values: Sequence[Any] = ()) -> None:
        """Queues a statement; what it gives is of no interest, and what it raises is raised by `send` or `ask`."""
        self._queued.append((text, values))

    def ask(self, *statements: tuple[str, Sequence[Any]]) -> list[list[Row]]:
        """Sends what is queued and these statements, and gives the rows of each. Raises `psycopg.Error`."""
        self._queued += statements
        return [self._rows(result) for result in self.send()[-len(statements) :]]

    def _rows(self, result: "pq.abc.PGresult") -> list[Row]:
        self._values.set_pgresult(result)
        return self._values.load_rows(0, result.ntuples, tuple)

    def send(self) -> "list[pq.abc.PGresult]":
        """Sends what is queued; the result of each. Raises `psycopg.Error`, that of the first that failed.

        Whoever is interrupted meanwhile, as by Ctrl-C, leaves a closed connection: its answers belong to nobody.
        """
        queued, self._queued = self._queued, []
        if not queued:
            return []
        prepared: list[_Key | None] = []
        try:
            self._server.nonblocking = 1
            self._server.enter_pipeline_mode()
            for text, values in queued:
                self._start(text, values, prepared)
            self._server.pipeline_sync()
            results = self._results()
            self._server.exit_pipeline_mode()
            self._server.nonblocking = 0
        except BaseException:
            with suppress(psycopg.Error):
                self._connection.close()
            raise
        return self._checked(results, prepared)

    def clear(self) -> None:
        """Forgets what is queued."""
        self._queued.clear()

    def _start(self, text: str, values: Sequence[Any], prepared: list[_Key | None]) -> None:
        """Hands one statement to libpq; notes in `prepared` of each answer that will come what it prepares."""
        dumped, types, formats = self._dumped(values)
        if not self._keeps or text.startswith(_BARE):
            self._server.send_query_params(text.encode(), dumped, types, formats)
            prepared.append(None)
            return
        key = text, types
        name = self._names.get(key)
        if name is None:
            name = self._name(key, prepared)
            self._server.send_prepare(name, text.encode(), types)
            prepared.append(key)
        self._server.send_query_prepared(name, dumped, formats)
        prepared.append(None)

    def _dumped(self, values: Sequence[Any]) -> tuple[Sequence[Any], tuple[int, ...], Sequence[int] | None]:
        """Values as they travel, their types, and their formats. The driver says it of those that rows seldom have."""
        dumped: list[bytes | None] = []
        types: list[int] = []
        for value in values:
            kind = value.__class__
            if kind is str:
                dumped.append(value.replace("\0", dialect.NO_NUL).encode())
                types.append(0)  # what the statement makes of it
            elif kind is int:
                dumped.append(b"%d" % value)
                types.append(_BIGINT)
            elif value is None:
                dumped.append(None)
                types.append(0)
            else:
                given = self._values.dump_sequence(values, [PyFormat.AUTO] * len(values))
                return given, tuple(self._values.types or ()), self._values.formats
        return dumped, tuple(types), None

    def _name(self, key: _Key, prepared: list[_Key | None]) -> bytes:
        """A name that was not used before; the oldest statement makes room for it."""
        if len(self._names) >= KEPT:
            oldest = self._names.pop(next(iter(self._names)))
            self._server.send_query_params(b"DEALLOCATE " + oldest, ())
            prepared.append(key)
        self._given += 1
        name = self._names[key] = b"runstone_%d" % self._given
        return name

    def _results(self) -> "list[pq.abc.PGresult]":
        """What the server answers, up to the end of what was sent. Sends and receives at a time, so that neither side
        waits for the other to read."""
        server = self._server
        results: list[pq.abc.PGresult] = []
        while server.flush():
            self._ready.modify(server.socket, _READABLE | select.POLLOUT)
            self._ready.poll()
            self._ready.modify(server.socket, _READABLE)
            server.consume_input()
        while True:
            while server.is_busy():
                self._ready.poll()
                server.consume_input()
            result = server.get_result()
            if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            if result is not None:
                results.append(result)
            elif server.status == pq.ConnStatus.BAD:  # else it stands between two statements
                raise self._lost(results)

    def _lost(self, results: "list[pq.abc.PGresult]") -> psycopg.Error:
        """What the server said before it hung up, if it said why."""
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                return errors.error_from_result(result, self._encoding)
        return psycopg.OperationalError(self._server.get_error_message(self._encoding))

    def _checked(
        self, results: "list[pq.abc.PGresult]", prepared: list[_Key | None]
    ) -> "list[pq.abc.PGresult]":
        """The answers to statements, without those to what prepared them."""
        failed, answers = None, []
        for result, key in zip(results, prepared, strict=True):
            if result.status == pq.ExecStatus.FATAL_ERROR and failed is None:
                failed = result
            if key is None:
                answers.append(result)
            elif result.status != _PREPARED:
                self._names.pop(key, None)
        if failed is not None:
            raise errors.error_from_result(failed, self._encoding)
        return answers
