"""The API over HTTP against the same framework serving a constant answer of the same size, and the stream's deliveries.

Server and clients are processes of their own, on the same two cores: so are those of the other side.
"""

import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import msgspec

import runstone
from bench.table import Pace, Result, alternate, comparison, workspace
from runstone.server.security.tokens import Tokens

RUNS: Final = 500
BATCH: Final = 100
CONNECTIONS: Final = 4
CROWD: Final = 32
ANEW: Final = "/api/v1/runs?limit=50&updated_to=2100-01-01T00:00:00.{n}Z"
"""The same runs by a query that nobody asked before, so that no page can be given again."""
READERS: Final = 20

_OURS: Final = """
import sys, runstone
from runstone.server.serve import Server
from runstone.server.settings import Settings
with runstone.open(sys.argv[1]) as ledger:
    server = Server(ledger, Settings(port=0))
    print(server.port, flush=True)
    server.run()
"""

_CONSTANT: Final = """
import asyncio, socket, sys, uvicorn
from litestar import Litestar, Request, Response, get, post
page = open(sys.argv[1], "rb").read()
@get("/page")
async def read() -> Response[bytes]:
    return Response(page, media_type="application/json")
@post("/batch", status_code=200)
async def take(request: Request) -> Response[bytes]:
    await request.body()
    return Response(page, media_type="application/json")
found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP); found.bind(("127.0.0.1", 0))
found.listen(512)
print(found.getsockname()[1], flush=True)
config = uvicorn.Config(Litestar([read, take], openapi_config=None), http="h11", log_config=None, access_log=False)
asyncio.run(uvicorn.Server(config).serve(sockets=[found]))
"""


class Target(NamedTuple):
    """What is asked: with a body made for each request, or none. Times of those that have a name are kept."""

    port: int
    path: str
    """`{n}` in it is another number for each request."""
    token: str
    body: Callable[[int], bytes] | None = None
    times: list[float] | None = None
    connections: int = CONNECTIONS


def bench(pace: Pace) -> str:
    """Rates of both sides, and the slowest hundredth of ours."""
    with workspace() as folder:
        token = _fill(folder)
        with _process(_OURS, str(folder)) as port:
            (folder / "page.json").write_bytes(_get(port, token))
            (folder / "batch.json").write_bytes(_post(port, token, 0))
            page = Target(port, "/api/v1/runs?limit=50", token, None, [])
            batch = Target(port, "/api/v1/ingest", token, _batch, [])
            with (
                _process(_CONSTANT, str(folder / "page.json")) as pages,
                _process(_CONSTANT, str(folder / "batch.json")) as batches,
            ):
                constants = Target(pages, "/page", token), Target(batches, "/batch", token, _batch)
                lines = list(_lines((page, batch), constants, folder, pace))
            told = _deliveries(port, token, folder)
    slowest = [_slowest("page of 50 runs", page), _slowest("ingest of 100 events", batch)]
    return "\n\n".join([comparison(lines), *slowest, told])


def _lines(
    ours: tuple[Target, Target], constants: tuple[Target, Target], folder: Path, pace: Pace
) -> Iterator[Result]:
    page, batch = ours
    one, crowd = (constants[0]._replace(connections=count) for count in (1, CROWD))
    lines: list[tuple[str, Target, Target, float | None]] = [
        ("page of 50 runs", page, constants[0], 0.5),
        ("the same, one connection", page._replace(times=None, connections=1), one, 0.5),
        ("the same, 32 connections", page._replace(times=None, connections=CROWD), crowd, 0.5),
        ("a page that none was asked for", page._replace(path=ANEW, times=None), constants[0], None),
        ("ingest of 100 events", batch, constants[1], 0.5),
    ]
    for name, target, constant, aim in lines:
        pairs = alternate(partial(_rate, target, pace.seconds), partial(_rate, constant, pace.seconds), pace)
        yield Result(
            name, pairs, "requests/s", aim, "a constant page" if target.body is None else "a constant answer"
        )
    pairs = alternate(
        partial(_events_rate, ours[1], pace.seconds), partial(_in_process, folder, pace.seconds), pace
    )
    yield Result("events through HTTP", pairs, "events/s", None, "appends of 100 in process")


def _events_rate(target: Target, seconds: float) -> float:
    return BATCH * _rate(target, seconds)


def _slowest(name: str, target: Target) -> str:
    """The median and the slowest hundredth of the requests."""
    times = target.times or [0.0, 0.0]
    p99 = statistics.quantiles(times, n=100)[98] * 1000
    return f"{name}: p50 {statistics.median(times) * 1000:.1f} ms, p99 {p99:.1f} ms over {CONNECTIONS} connections."


def _fill(folder: Path) -> str:
    with runstone.open(folder) as ledger:
        for number in range(RUNS):
            with ledger.start_run(agent_id="reader", title=f"Read {number}", labels={"team": "a"}) as run:
                run.usage(provider="acme", model="m", input_tokens=9, request_id=f"q{number}", cost_usd="0.1")
        ledger.ingest([{"item": "run", "run_id": "seen", "status": "running", "at": "2026-01-01T00:00:00Z"}])
        return Tokens(ledger.workspace.folder).create("control", "bench")[1]


@contextmanager
def _process(code: str, *arguments: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _batch(number: int) -> bytes:
    return msgspec.json.encode(
        [
            {
                "item": "event",
                "run_id": "seen",
                "type": "note.taken",
                "payload": {"n": n},
                "key": f"{number}.{n}",
            }
            for n in range(BATCH)
        ]
    )


def _headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def _get(port: int, token: str) -> bytes:
    url = f"http://127.0.0.1:{port}/api/v1/runs?limit=50"
    return httpx.get(url, headers=_headers(token), trust_env=False, timeout=30).raise_for_status().content


def _post(port: int, token: str, number: int) -> bytes:
    url = f"http://127.0.0.1:{port}/api/v1/ingest"
    answer = httpx.post(url, headers=_headers(token), content=_batch(number), trust_env=False, timeout=30)
    return answer.raise_for_status().content


_numbers = iter(range(1, 10**9))


def _rate(target: Target, seconds: float) -> float:
    """Requests per second over a few connections that ask one after the other, raw: a client library costs more."""
    return asyncio.run(_ask(target, seconds))


async def _ask(target: Target, seconds: float) -> float:
    until = time.monotonic() + seconds
    times: list[float] = []
    method = "GET" if target.body is None else "POST"
    head = f"Host: 127.0.0.1:{target.port}\r\n"
    head += f"Authorization: Bearer {target.token}\r\nContent-Type: application/json\r\n"

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        while time.monotonic() < until:
            number = next(_numbers)
            data = b"" if target.body is None else target.body(number)
            line = f"{method} {target.path.replace('{n}', f'{number % 10**6:06d}')} HTTP/1.1\r\n"
            began = time.monotonic()
            writer.write(f"{line}{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            got = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in got.split(b"\r\n")[0], got
            length = int(got.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.monotonic() - began)
        writer.close()

    await asyncio.gather(*[one() for _ in range(target.connections)])
    if target.times is not None:
        target.times.extend(times)
    return len(times) / seconds


def _in_process(folder: Path, seconds: float) -> float:
    """Events per second by the same batches of a hundred, in process."""
    count = 0
    with runstone.open(folder / "own") as ledger, ledger.start_run() as run:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            run.emit_many([("note.taken", {"n": n}) for n in range(BATCH)]).result()
            count += BATCH
    return count / seconds


def _read(port: int, token: str, cursor: str, last: int) -> None:
    """Reads the stream until the last position came; in a process of its own."""
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream(
            "GET", f"http://127.0.0.1:{port}/api/v1/stream?after={cursor}", headers=_headers(token)
        ) as answer,
    ):
        tail = b""
        for chunk in answer.iter_raw():
            tail = (tail + chunk)[-4096:]
            if b'"position":%d,' % last in tail:
                return


def _deliveries(port: int, token: str, folder: Path) -> str:
    """Events given per second to readers that all catch up on the ledger."""
    with runstone.open(folder, readonly=True) as ledger:
        epoch, _, last = ledger.cursor().rpartition("-")
    processes: list[Any] = [
        multiprocessing.get_context("spawn").Process(
            target=_read, args=(port, token, f"{epoch}-0", int(last))
        )
        for _ in range(READERS)
    ]
    began = time.monotonic()
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    rate = READERS * int(last) / (time.monotonic() - began)
    return f"{READERS} readers catching up on {int(last):,} events: {rate:,.0f} deliveries/s, their start included."
