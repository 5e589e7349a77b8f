"""A tool of its own process group. It notes its start, its end, and that another of its kind works at that moment."""

import fcntl
import json
import os
import sys
import time

folder, key, *seconds = sys.argv[1:]


def note(what: str) -> None:
    fd = os.open(f"{folder}/executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{what} {key} {os.getpid()}\n".encode())
    os.close(fd)


lock = os.open(f"{folder}/lock-{key}", os.O_RDWR | os.O_CREAT)
note("start")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    note("overlap")
print("working", flush=True)
time.sleep(float(seconds[0]) if seconds else 0.06)
note("end")
print(json.dumps({"tool": key}))
