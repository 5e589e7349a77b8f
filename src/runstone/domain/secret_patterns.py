"""What secrets look like: tokens of known providers, in JSON text or plain text.

Every rule costs nothing unless one of its needles is in the text, and reads the text at most once: a token either
begins at a place that ends a run of token characters, or is bounded, so that no text makes the time more than linear.
"""

import re
from functools import cache
from typing import Final, NamedTuple

_ESCAPES = (r"(?<=\\[nrtbf]{0})", r"(?<=\\u00[0-9a-fA-F][0-9a-fA-F]{0})", r"(?<=%[0-9a-fA-F][0-9a-fA-F]{0})")
_COLOURS = (r"(?<=[\[;]m{0})", r"(?<=[\[;]\dm{0})", r"(?<=[\[;]\d\dm{0})")


class Rule(NamedTuple):
    """One kind of secret. The group `secret` is what is replaced; without it, the whole match."""

    kind: str
    needles: tuple[str, ...]
    regex: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when a needle was found for the first time: compiling all of them costs 10 ms at import."""
        return _compiled(self.regex)


@cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex, re.ASCII)


def _after(literal: str, inside: str = "A-Za-z0-9") -> str:
    """The literal, where no word goes on to its left. A JSON escape, `%20` and a terminal's colour are no words.

    The look behind stands after the literal, so that the search jumps from literal to literal.
    """
    return literal + "(?:" + "|".join((f"(?<![{inside}]{literal})", *_escaped(literal))) + ")"


def _escaped(literal: str) -> list[str]:
    return [before.replace("{0}", literal) for before in (*_ESCAPES, *_COLOURS)]


def _rule(kind: str, needles: str, pattern: str) -> Rule:
    return Rule(kind, tuple(needles.split()), pattern)


_DIGIT = r"(?=[A-Za-z_-]{0,40}[0-9])"
"""A made-up word with hyphens is no token: tokens have digits."""

RULES: Final[tuple[Rule, ...]] = (
    _rule(
        "private_key",
        "-----BEGIN",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-\"\\]|\\[^\"]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,60}-----)?",
    ),
    _rule(
        "url_password",
        "://",
        r"://[^\s/:@\"'\\<>]{0,200}:(?!\[redacted:|\$|\{)(?P<secret>[^\s/?#\"'\\<>]+)(?=@)",
    ),
    _rule("anthropic", "sk-ant-", _after("sk-ant-") + r"[A-Za-z0-9_-]{16,}"),
    _rule("openai", "sk-", _after("sk-") + _DIGIT + r"[A-Za-z0-9_-]{20,}"),
    _rule("google", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _rule("google", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    _rule("google", "ya29.", _after(r"ya29\.") + r"[A-Za-z0-9_-]{20,}"),
    _rule("aws", "AKIA", _after("AKIA") + r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _rule("aws", "ASIA", _after("ASIA") + r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _rule("github", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    _rule("github", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    _rule("gitlab", "glpat- gldt- glrt- glptt-", r"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_.-]{20,}"),
    _rule("slack", "xox", r"xox[abeoprs](?:\.xox[bp])?-(?=[A-Za-z-]{0,20}[0-9])[A-Za-z0-9-]{12,}"),
    _rule("slack", "xapp-", _after("xapp-") + r"[0-9]-[A-Za-z0-9-]{12,}"),
    _rule("slack", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[A-Za-z0-9/]{20,})"),
    _rule("stripe", "k_live_ k_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{12,}"),
    _rule("stripe", "whsec_", r"whsec_[A-Za-z0-9+/=]{20,}"),
    _rule("npm", "npm_", _after("npm_") + r"[A-Za-z0-9]{30,}"),
    _rule("pypi", "pypi-", _after("pypi-") + _DIGIT + r"[A-Za-z0-9_-]{30,}"),
    _rule("hugging_face", "hf_", _after("hf_") + r"[A-Za-z0-9]{30,}"),
    _rule("groq", "gsk_", _after("gsk_") + r"[A-Za-z0-9]{20,}"),
    _rule("twilio", "SK", _after("SK") + r"[0-9a-f]{32}(?![0-9a-f])"),
    _rule("sendgrid", "SG.", _after(r"SG\.") + r"[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    _rule("telegram", ":AA", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}"),
    _rule("azure", "sig=", r"[?&;]sig=(?P<secret>[A-Za-z0-9%+/=]{20,})"),
    _rule("azure", "8Q~", r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    _rule(
        "bearer",
        "earer EARER",
        r"(?i:bearer)(?: |%20|\+){1,4}(?P<secret>(?=[A-Za-z._~+/=-]{0,40}[0-9])[A-Za-z0-9._~+/=-]{12,})",
    ),
    _rule(
        "jwt",
        "eyJ",
        _after("eyJ", "A-Za-z0-9_-") + r"[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){0,3}",
    ),
)  # fmt: skip

# One for each, as a search for one letter is several times as fast as that for one of two.
_UNDERSCORE: Final = re.compile(r"_(?<=(?:hf|at|pm|sk|ve|st|ec|h[pousr])_)(?=[A-Za-z0-9_+/=]{12})")
_HYPHEN: Final = re.compile(r"-(?<=(?:sk|at|rt|dt|tt|pp|pi|PX|x[abeoprs])-)(?=[A-Za-z0-9_-]{12})")
"""Where the prefix of a token may end."""


def may_hold_token(text: str) -> bool:
    """Whether a token of `RULES` may be in the text.

    Called for every event, so it is written out: one letter is found ten times as fast as a word, and a rare one
    stands before each. A test holds it against `RULES`.
    """
    return (
        ("_" in text and _UNDERSCORE.search(text) is not None)
        or ("-" in text and _HYPHEN.search(text) is not None)
        or ("I" in text and ("AIza" in text or "AKIA" in text or "ASIA" in text or "-----BEGIN" in text))
        or ("J" in text and "eyJ" in text)
        or ("@" in text and "://" in text)
        or ("=" in text and "sig=" in text)
        or ("K" in text and "SK" in text)
        or ("A" in text and ":AA" in text)
        or ("G" in text and "SG." in text)
        or ("9" in text and "ya29." in text)
        or ("~" in text and "8Q~" in text)
        or ("k" in text and "hooks.slack.com" in text)
        or ("earer" in text or "EARER" in text)
    )
