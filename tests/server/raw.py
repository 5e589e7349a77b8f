"""Requests byte by byte: what no client of good manners would send."""

import socket
from typing import NamedTuple


class Raw(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(port: int, data: bytes, *, timeout: float = 20) -> Raw:
    """Sends the bytes on a connection of its own and reads the answer to its end."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(data)
        return read(connection)


def read(connection: socket.socket) -> Raw:
    """The answer that comes next; a status of 0 where the connection is closed without one."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := connection.recv(65536)):
            return Raw(0, {}, received)
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length and (more := connection.recv(65536)):
        body += more
    return Raw(int(first.split()[1]), headers, body)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request; headers by their names with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body and not {"content_length", "transfer_encoding"} & headers.keys():
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
