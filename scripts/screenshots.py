"""Takes the pictures of the README and the docs: the demo's screens in a real browser, into docs/images.

It starts `runstone up --demo`, and ends it. Needs the built app (`make web`), Node.js and Chromium ($CHROMIUM, else
/usr/bin/chromium). The pictures are PNG, compressed again.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
DRIVER = ROOT / "web" / "scripts" / "screenshots.mjs"
END_S = 20


def started(folder: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The demo's server, and what it told about itself."""
    command = [
        sys.executable,
        "-m",
        "runstone",
        "--workspace",
        folder,
        "--json",
        "up",
        "--demo",
        "--port",
        "0",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    told = ""
    for line in server.stdout:
        told += line
        if line.startswith("}"):
            return server, json.loads(told)
    raise SystemExit(f"the server did not start: {told}")


def packed(png: bytes) -> bytes:
    """The picture with its lines compressed as far as they go: browsers are in a hurry."""
    parts, pixels, at = [png[:8]], b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            pixels += body
        else:
            if kind == b"IEND":
                parts.append(_part(b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
            parts.append(_part(kind, body))
        at += 12 + length
    return min(b"".join(parts), png, key=len)


def _part(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def main() -> int:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server, told = started(folder)
        try:
            taken = subprocess.run(
                ["node", str(DRIVER), told["open_url"], str(IMAGES)], check=False
            ).returncode
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(END_S)
    if taken:
        return taken
    pictures = sorted(IMAGES.glob("*.png"))
    for picture in pictures:
        picture.write_bytes(packed(picture.read_bytes()))
    print(f"{len(pictures)} pictures, {sum(os.path.getsize(one) for one in pictures) // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
