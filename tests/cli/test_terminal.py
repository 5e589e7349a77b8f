"""On a real terminal: colours, live progress, questions. A pseudo-terminal stands in for the window."""

import os
import pty
import re
import select
import signal
import struct
import termios
import time
from fcntl import ioctl

import pytest

from tests.cli.conftest import Shell
from tests.cli.test_running import WORK

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Window:
    """A command in a terminal of a given width."""

    def __init__(self, shell: Shell, *words: str, columns: int = 100, **env: str) -> None:
        self.leader, follower = pty.openpty()
        ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        shell.env |= {"TERM": "xterm-256color", **env}
        shell.env.pop("COLUMNS", None)
        if "NO_COLOR" not in env:
            shell.env.pop("NO_COLOR", None)
        self.process = shell.start(
            *words, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
        )
        os.close(follower)
        self.seen = ""

    def until(self, text: str, limit: float = 30.0) -> str:
        """Reads until the text is seen, or, with an empty text, until the command closes the terminal."""
        end = time.monotonic() + limit
        while (not text or text not in self.plain) and time.monotonic() < end:
            ready, _, _ = select.select([self.leader], [], [], 0.1)
            if ready and not self._read():
                break
        assert text in self.plain, self.seen
        return self.plain

    def _read(self) -> bool:
        try:
            data = os.read(self.leader, 65536)
        except OSError:  # Linux says so when the last writer has gone
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    @property
    def plain(self) -> str:
        """What was written, without its escapes."""
        return ESCAPE.sub("", self.seen)

    def type(self, text: str) -> None:
        """Types on the keyboard."""
        os.write(self.leader, text.encode())

    def end(self) -> int:
        """Waits for the end and gives the exit code."""
        self.until("")
        os.close(self.leader)
        return self.process.wait(30)


def test_a_run_shows_live_progress_and_ctrl_c_says_how_to_go_on(shell: Shell) -> None:
    window = Window(shell, *WORK, 'items=["a","b","gate"]')
    shown = window.until("2/3")
    assert "work" in shown
    assert "worker: gate" in shown
    assert "\x1b[?25l" in window.seen, "the cursor is hidden while lines are redrawn"
    window.process.send_signal(signal.SIGINT)
    assert window.end() == 130
    assert "runstone resume job" in window.plain
    assert window.seen.rindex("\x1b[?25h") > window.seen.rindex("\x1b[?25l"), "and shown again at the end"


def test_a_question_before_code_of_the_folder_runs_is_asked_once(shell: Shell) -> None:
    window = Window(shell, "run", "team", 'items=["a"]', "--id", "job")
    window.until("Allow that, now and later?")
    window.type("y\n")
    assert window.end() == 0
    again = Window(shell, "run", "team", 'items=["a"]', "--id", "job")
    assert again.end() == 0
    assert "Allow that" not in again.plain


def test_no_is_a_refusal(shell: Shell) -> None:
    window = Window(shell, "run", "team", 'items=["a"]')
    window.until("Allow that, now and later?")
    window.type("n\n")
    assert window.end() == 1
    assert "not trusted yet" in window.plain


def test_lists_are_coloured_fitted_to_the_width_and_say_which_workspace(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]', "--title", "A very long title that no narrow window can show in full")
    window = Window(shell, "runs", "list", columns=60)
    assert window.end() == 0
    assert f"workspace {shell.folder}" in window.plain.replace("\r\n", "")
    assert "\x1b[32m" in window.seen
    assert all(len(line) <= 60 for line in window.plain.splitlines() if "team" in line)


@pytest.mark.parametrize("how", ["--no-color", "NO_COLOR"])
def test_without_colours_no_escape_is_written(shell: Shell, how: str) -> None:
    shell(*WORK, 'items=["a"]')
    words = ("--no-color",) if how == "--no-color" else ()
    window = Window(shell, "runs", "tree", "job", *words, **({"NO_COLOR": "1"} if how == "NO_COLOR" else {}))
    assert window.end() == 0
    assert "\x1b" not in window.seen


def test_removing_asks_first(shell: Shell) -> None:
    shell(*WORK, 'items=["a"]')
    window = Window(shell, "runs", "rm", "job")
    window.until("for good? [y/N]")
    window.type("n\n")
    assert window.end() == 130
    assert shell("runs", "show", "job", "--json").json["status"] == "completed"
