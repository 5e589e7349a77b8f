"""Names that say that a value is secret (`password`, `API_KEY`, `--token`), and a quick look whether one is there.

Where the value of such a name begins and ends is in secret_values.py.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runstone.domain.secret_values import Found

_KEYS: Final = ("api", "access", "private", "secret", "signing", "encryption", "account", "auth", "ssh", "service",
                "master", "deploy", "license", "hmac", "webhook", "subscription")  # fmt: skip
_NO_SECRET_TOKENS: Final = frozenset({
    "page", "next", "previous", "prev", "continuation", "sync", "cursor", "stop", "start", "end", "eos", "bos", "pad",
    "unk", "sep", "cls", "mask", "special", "new", "first", "last", "per", "each", "a", "the", "total", "max", "min",
    "input", "output", "prompt", "completion", "decoded", "current",
})  # fmt: skip
"""A token of these is a place in a list, or a piece of text."""
_KEYWORDS: Final = (
    r"passw(?:or)?d|passphrase|passcode|pwd|pass|secret|token|key|credential|authorization|auth|cookie"
)
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")

# A word is a name only if a separator follows; most are not: passed, tokens, author, keyword, `"key"` alone.
_NEXT: Final = r"[0-9]{0,2}[\"'\s=:\\]"
_PASS: Final = re.compile(rf"pass(?=[wpc]|{_NEXT})")
_SECRET: Final = re.compile(rf"secret(?=s?{_NEXT})")
_AUTH: Final = re.compile(rf"auth(?=orization|{_NEXT})")
_TOKEN: Final = re.compile(rf"token(?={_NEXT})")
_KEY: Final = re.compile(rf"key(?<=[a-z_.-]key)(?=s?{_NEXT})")


def _has_k(low: str) -> bool:
    return (
        ("token" in low and _TOKEN.search(low) is not None)
        or ("key" in low and _KEY.search(low) is not None)
        or "cookie" in low
    )


class Names:
    """Which names say that a value is secret: the usual ones, and those of one's own."""

    def __init__(self, own: tuple[str, ...] = ()) -> None:
        self._own = frozenset(plain(name) for name in own)
        self._words = "".join("|" + "[_.-]?".join(map(re.escape, _words(name))) for name in own)
        self.needles = tuple(sorted({_words(name)[0].lower() for name in own}))
        """Without any of them, and without a usual one, there is nothing to look for."""

    def kind(self, name: str) -> str | None:
        """What kind of secret a name promises; None if it promises none."""
        return _usual_kind(name) or ("name" if plain(name) in self._own else None)

    def may_hold(self, text: str) -> bool:
        """Whether one of the names may be in the text."""
        low = text.lower()
        return (
            ("pass" in low and _PASS.search(low) is not None)
            or ("secret" in low and _SECRET.search(low) is not None)
            or ("auth" in low and _AUTH.search(low) is not None)
            or "credential" in low
            or ("k" in low and _has_k(low))
            or ("w" in low and "pwd" in low)
            or (self.needles != () and any(needle in low for needle in self.needles))
        )

    def find(self, text: str) -> "list[Found]":
        """The secret values of JSON text, in order, none within another."""
        # Most processes never see a text that gets so far, and its expressions take milliseconds to compile.
        from runstone.domain import secret_values

        return secret_values.find(text, f"{_KEYWORDS}{self._words}", self.kind)


_ENDINGS: Final = (
    (("password", "passwd", "passphrase", "passcode", "pgpass"), "password"),
    (("secret",), "secret"),
    (("credential",), "credential"),
    (("authorization",), "authorization"),
    (("auth",), "auth"),
    (("cookie",), "cookie"),
    (tuple(f"{word}key" for word in _KEYS), "key"),
)


@lru_cache(4096)
def _usual_kind(name: str) -> str | None:
    name = name.rstrip("0123456789")
    if name.lower().endswith(("_pass", "-pass", ".pass", "_pwd", "-pwd")):
        return "password"
    low = plain(name)
    if low.endswith("token"):
        words = _WORD.findall(name)
        return None if len(words) > 1 and words[-2].lower() in _NO_SECRET_TOKENS else "token"
    one = low.removesuffix("s")
    return next((kind for endings, kind in _ENDINGS if low.endswith(endings) or one.endswith(endings)), None)


def plain(name: str) -> str:
    """A name without case and separators: `API_KEY` and `api-key` are the same."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "")


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[_.-]+", name) if word] or [name]
