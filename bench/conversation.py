"""The conversation that both sides of `bench/checkpoints.py` keep: windows of this repository's own prose."""

import base64
import random
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def prose(turns: int, size: int, seed: int = 1) -> Iterator[str]:
    """Ordinary English text, `size` bytes of UTF-8 for each turn (a few less where a character is cut)."""
    pick = random.Random(seed)
    text = b"\n".join(file.read_bytes() for file in sorted(DOCS.rglob("*.md")))
    for _ in range(turns):
        start = pick.randrange(len(text) - size)
        yield text[start : start + size].decode(errors="ignore")


def noise(turns: int, size: int, seed: int = 1) -> Iterator[str]:
    """Text that hardly compresses: random bytes in base 85, so that it can shrink to four fifths and no further."""
    pick = random.Random(seed)
    for _ in range(turns):
        yield base64.b85encode(pick.randbytes(size)).decode()[:size]


def message(turn: int, text: str) -> dict[str, str]:
    """One turn, as a chat has it."""
    return {"role": "assistant" if turn % 2 else "user", "content": text}
