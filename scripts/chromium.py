"""The browser of the end-to-end tests: Chromium, installed from Debian where this may be done and there is none."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_LIMIT_S = 240


def find() -> str | None:
    """The path of the browser on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def ensure() -> str | None:
    """The path of the browser, installed if it is missing and we are root on Debian; None says that there is none."""
    if found := find():
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    for attempt in (1, 2):
        print(f"chromium: installing it (attempt {attempt} of 2)", flush=True)
        if _installed():
            return find()
    return None


def _installed() -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
    ):
        try:
            done = subprocess.run(
                [command[0], "-qq", *command[1:]], env=environment, check=False, timeout=_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode:
            return False
    return True


def main() -> int:
    """Ends with 1 only where its absence must not pass."""
    found = ensure()
    print(f"chromium: {found or 'none; the tests in a browser are skipped. Debian: apt install chromium'}")
    return int(found is None and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main())
