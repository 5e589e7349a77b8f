"""What retention of very many events costs in PostgreSQL: rows deleted run by run, against partitions that are dropped.

python -m bench.partitions DSN [--rows N]      DSN of an empty database; its tables are dropped at the end

Both tables have the ledger's columns and indexes; one is plain, as the ledger's is, one in partitions by position. The
figures are in docs/scale.md.
"""

import argparse
import time
from typing import Any, Final

import psycopg

PARTS: Final = 4
EACH_RUN: Final = 100

_COLUMNS: Final = """position bigint NOT NULL, run bigint NOT NULL, seq bigint NOT NULL, attempt bigint NOT NULL,
  at bigint NOT NULL, type text COLLATE "C" NOT NULL, version bigint NOT NULL, importance bigint NOT NULL,
  payload text COLLATE "C", payload_ref text COLLATE "C", event_key text COLLATE "C", PRIMARY KEY (position)"""

_INDEXES: Final = (
    "CREATE UNIQUE INDEX ON {table} (run, seq{more})",
    "CREATE UNIQUE INDEX ON {table} (run, event_key{more}) WHERE event_key IS NOT NULL",
    "CREATE INDEX ON {table} (payload_ref) WHERE payload_ref IS NOT NULL",
    """CREATE INDEX ON {table} (run, type, seq)
    WHERE type NOT IN ('tool.started', 'tool.completed', 'log.written', 'message.appended', 'usage.reported')""",
    "CREATE INDEX ON {table} (run, seq) WHERE importance >= 2",
)

_FILL: Final = """INSERT INTO {table} SELECT n, n / {each}, n % {each} + 1, 1, 1790000000000000 + n * 1000,
  CASE n % 10 WHEN 0 THEN 'step.completed' WHEN 1 THEN 'message.appended' WHEN 2 THEN 'tool.started'
    ELSE 'tool.completed' END, 1, CASE WHEN n % 50 = 0 THEN 2 ELSE 1 END,
  '{{"call_id":"call_' || n || '","tool":"search","ok":true,"output_chars":' || n % 9000
    || ',"elapsed_ms":' || n % 700 || '}}',
  NULL, NULL FROM generate_series({first}::bigint, {last}::bigint) n"""


def main() -> None:
    """Builds both tables, reads from them, and takes the oldest quarter away from each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dsn")
    parser.add_argument("--rows", type=int, default=10_000_000)
    asked = parser.parse_args()
    with psycopg.connect(asked.dsn, autocommit=True) as db:
        for table, parts in (("plain_events", 0), ("parted_events", PARTS)):
            try:
                _try(_Timed(db), table, asked.rows, parts)
            finally:
                db.execute(f"DROP TABLE IF EXISTS {table}".encode())


class _Timed:
    def __init__(self, db: "psycopg.Connection[Any]") -> None:
        self._db = db

    def __call__(self, sql: str) -> float:
        """Seconds of a statement of ours."""
        began = time.monotonic()
        cursor = self._db.execute(sql.encode())
        if cursor.description is not None:
            cursor.fetchall()
        return time.monotonic() - began

    def value(self, sql: str) -> Any:
        row = self._db.execute(sql.encode()).fetchone()
        return None if row is None else row[0]


def _try(timed: _Timed, table: str, rows: int, parts: int) -> None:
    made = f"CREATE TABLE {table} ({_COLUMNS})" + (" PARTITION BY RANGE (position)" if parts else "")
    timed(f"DROP TABLE IF EXISTS {table}")
    timed(made)
    quarter = rows // PARTS
    for number in range(parts):
        timed(
            f"CREATE TABLE {table}_{number} PARTITION OF {table} "
            f"FOR VALUES FROM ({number * quarter}) TO ({(number + 1) * quarter})"
        )
    for index in _INDEXES:  # before the rows come, as in a ledger that grows
        timed(index.format(table=table, more=", position" if parts else ""))
    filled = sum(
        timed(
            _FILL.format(table=table, each=EACH_RUN, first=number * quarter, last=(number + 1) * quarter - 1)
        )
        for number in range(PARTS)
    )
    timed(f"ANALYZE {table}")
    size = timed.value(
        f"SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '{table}'::regclass"
        if parts
        else f"SELECT pg_total_relation_size('{table}')"
    )
    print(
        f"{table}: {rows:,} events in {filled:.0f} s, {rows / filled:,.0f}/s, {size / rows:.0f} bytes each",
        flush=True,
    )
    run = rows // EACH_RUN // 2
    reads = {
        "tail, 500 events from the middle": f"position > {rows // 2} ORDER BY position LIMIT 500",
        "the first 100 events of a run": f"run = {run} AND seq > 0 ORDER BY seq LIMIT 100",
        "the last 100 events of a run": f"run = {run} ORDER BY seq DESC LIMIT 100",
    }
    for what, rest in reads.items():
        sql = f"SELECT * FROM {table} WHERE {rest}"
        timed(sql)
        best = min(timed(sql) for _ in range(5))
        print(f"  {what}: {best * 1000:.1f} ms", flush=True)
    if parts:
        gone = timed(f"ALTER TABLE {table} DETACH PARTITION {table}_0") + timed(f"DROP TABLE {table}_0")
        print(f"  the oldest quarter dropped: {gone * 1000:.0f} ms", flush=True)
        return
    chunk, gone = 100_000, 0.0
    for first in range(0, quarter, chunk):
        gone += timed(
            f"DELETE FROM {table} WHERE run >= {first // EACH_RUN} AND run < {(first + chunk) // EACH_RUN}"
        )
    swept = timed(f"VACUUM {table}")
    print(
        f"  the oldest quarter deleted: {gone:.0f} s, {quarter / gone:,.0f}/s, and vacuumed in {swept:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
