"""A server in a process of its own, which tests kill: `python -m tests.client.serve WORKSPACE PORT`."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

TOKEN_FILE = "token"
_START_S = 30.0


def main(arguments: list[str]) -> int:
    """Serves until it is ended."""
    import runstone
    from runstone.server.serve import Server
    from runstone.server.settings import Settings

    workspace, port = arguments
    with runstone.open(workspace) as ledger:
        server = Server(ledger, Settings(port=int(port)))
        server.parts.tokens.ensure_first()
        server.run()
    return 0


class ServerProcess:
    """A server that can be killed and started again, at the same address."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "tests.client.serve", str(self.workspace), str(self.port)]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/healthz", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    @property
    def token(self) -> str:
        """The first token."""
        return (self.workspace / ".runstone" / "server" / TOKEN_FILE).read_text().strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
