"""The line between a watcher and its keeper."""

import json
import os
import select
import socket
from contextlib import suppress
from typing import Any

from runstone.errors import RunstoneError


class KeeperGone(RunstoneError):
    """The keeper of the command is gone."""

    code = "keeper_gone"
    hint = "go on with the run: runstone resume RUN"


class Channel:
    """Lines of JSON to and from the keeper, and a bell that other threads ring."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._rest = b""
        self._told: list[dict[str, Any]] = []
        self._bell, self._ringer = os.pipe()
        for end in (self._bell, self._ringer):
            os.set_blocking(end, False)
        self.open = True
        """Whether the keeper lives."""

    def require(self) -> None:
        """Raises `KeeperGone` if the keeper does not live."""
        self.wait(0)
        if not self.open:
            raise KeeperGone("the keeper of the command is gone")

    def say(self, **told: Any) -> None:
        """Tells the keeper; nothing happens if it is gone."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(told).encode() + b"\n")

    def ask(self, word: str, **told: Any) -> Any:
        """Tells the keeper, and waits for the answer with that word. Raises `KeeperGone`."""
        if told:
            self.say(**told)
        while True:
            for index, answer in enumerate(self._told):
                if word in answer:
                    del self._told[index]
                    return answer[word]
            if not self.open:
                raise KeeperGone("the keeper of the command is gone")
            self.wait(None)

    def ring(self) -> None:
        """Wakes `wait`, from any thread."""
        with suppress(BlockingIOError):
            os.write(self._ringer, b"!")

    def wait(self, seconds: float | None) -> None:
        """Until the keeper says something, the bell rings, or the time is over."""
        watched: list[Any] = [self._bell, self._socket] if self.open else [self._bell]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._bell in ready:
            with suppress(BlockingIOError):
                os.read(self._bell, 4096)
        if self._socket in ready:
            self._hear()

    def _hear(self) -> None:
        try:
            part = self._socket.recv(65536)
        except OSError:
            part = b""
        if not part:
            self.open = False
            return
        *lines, self._rest = (self._rest + part).split(b"\n")
        self._told += [json.loads(line) for line in lines]
