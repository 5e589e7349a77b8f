"""Whatever is sent, the server answers as its document says: more requests of each operation than `make test` sends."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 400


def test_every_operation_answers_hundreds_of_requests_as_the_document_says() -> None:
    environment = {**os.environ, "RUNSTONE_FUZZ_EXAMPLES": str(EXAMPLES)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "--timeout",
        "3000",
        "tests/server/test_document.py",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
