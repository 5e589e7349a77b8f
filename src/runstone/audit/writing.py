"""Writing the report in one move: a reader, and a crash, sees the old file or the new one."""

import os
import tempfile
from pathlib import Path


def write_report(text: str, place: str, _sha256: str) -> str:
    """Writes `text` to `place` and gives the path. The hash is for the step's key: new text, new step."""
    target = Path(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".part"
    )
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return place
