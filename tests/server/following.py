"""Raw readers of the stream: they keep what came and the last id, as any client does, and know nothing else."""

import asyncio
import json
import socket
from typing import Any, NamedTuple


class Frame(NamedTuple):
    """A frame as it came."""

    name: str
    id: str | None
    data: str

    @property
    def value(self) -> Any:
        """Its data as JSON."""
        return json.loads(self.data)

    @property
    def is_event(self) -> bool:
        """Whether it tells of an event of the ledger."""
        return self.name == "" and self.data != ""


def frame_of(block: str) -> Frame | None:
    """The frame of the text between two empty lines; None for a comment."""
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name:
            fields[name] = value.removeprefix(" ")
    return Frame(fields.get("event", ""), fields.get("id"), fields.get("data", "")) if fields else None


def query(url: str, token: str, *, path: str = "/api/v1/stream", last_id: str | None = None) -> bytes:
    """The bytes of a request for a stream."""
    host = url.removeprefix("http://")
    more = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}"
    return (head + "Accept: text/event-stream\r\n\r\n").encode()


def unchunk(buffer: bytearray) -> bytes:
    """The whole chunks at the beginning of a chunked body, taken out of it."""
    found = b""
    while (end := buffer.find(b"\r\n")) >= 0:
        size = int(buffer[:end], 16)
        if len(buffer) < end + size + 4:
            break
        found += buffer[end + 2 : end + 2 + size]
        del buffer[: end + size + 4]
        if size == 0:
            break
    return found


class Following:
    """A stream over a socket of its own, read one frame at a time."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        path: str = "/api/v1/stream",
        last_id: str | None = None,
        timeout: float = 20,
    ) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.sendall(query(url, token, path=path, last_id=last_id))
        self._raw = bytearray()
        self._text = b""
        self.beats = 0
        while b"\r\n\r\n" not in self._raw:
            self._raw += self._receive()
        head, _, rest = bytes(self._raw).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        self._raw = bytearray(rest)

    def _receive(self) -> bytes:
        if not (found := self.socket.recv(262_144)):
            raise EOFError
        return found

    def next(self) -> Frame:
        """The next frame. Raises `EOFError` where the server ended, and `TimeoutError`."""
        while True:
            self._text += unchunk(self._raw)
            block, found, rest = self._text.partition(b"\n\n")
            if not found:
                self._raw += self._receive()
                continue
            self._text = rest
            frame = frame_of(block.decode())
            if frame is not None:
                return frame
            self.beats += 1

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next events of the ledger."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            frame = self.next()
            if frame.is_event:
                found.append(frame.value)
        return found

    def close(self) -> None:
        """Goes away without a word."""
        self.socket.close()


class Client:
    """An asynchronous client that keeps the ids it was given, and connects again by the last one."""

    def __init__(self, url: str, token: str, *, path: str = "/api/v1/stream") -> None:
        self.url = url
        self.token = token
        self.path = path
        self.last_id: str | None = None
        self.positions: list[int] = []
        self.names: list[str] = []
        self.connects = 0
        self.mark = 0
        """`reached` is set with the first event at or behind this position."""
        self.reached = asyncio.Event()

    async def read(self, until: int, *, stop_after: int | None = None) -> None:
        """Reads until an event of that position came, or so many frames of this connection; raises what cuts it."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
        self.connects += 1
        try:
            writer.write(query(self.url, self.token, path=self.path, last_id=self.last_id))
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise ConnectionError(head[:100])
            raw, text, count = bytearray(), b"", 0
            while not self.positions or self.positions[-1] < until:
                if not (more := await reader.read(262_144)):
                    raise ConnectionError("the server ended the stream")
                raw += more
                *blocks, text = (text + unchunk(raw)).split(b"\n\n")
                for block in blocks:
                    self._take(block)
                    count += 1
                if stop_after is not None and count >= stop_after:
                    return
        finally:
            writer.transport.abort()

    def _take(self, block: bytes) -> None:
        frame = frame_of(block.decode())
        if frame is None:
            return
        if frame.id is not None:
            self.last_id = frame.id
        if frame.name:
            self.names.append(frame.name)
        elif frame.is_event:
            assert frame.id is not None
            self.positions.append(int(frame.id.rpartition("-")[2]))
            if self.positions[-1] >= self.mark:
                self.reached.set()

    async def follow(self, until: int) -> None:
        """Reads until an event of that position came, over as many connections as it takes."""
        while not self.positions or self.positions[-1] < until:
            try:
                await self.read(until)
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
