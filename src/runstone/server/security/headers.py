"""What every answer says to the browser that shows it."""

from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; object-src 'none'; script-src 'self'; style-src 'self'"
)
"""Texts of agents are hostile: no script or style but the app's own files, nothing from elsewhere, in no other's frame.
No images from elsewhere: loading one would tell its host what was read."""

ALWAYS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
UNSTORED: Final = (b"cache-control", b"no-store")
"""Unless an answer says otherwise: what is in a ledger stays out of caches on disk."""


def with_headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The answer's headers with those above; a stricter one that it has itself stays."""
    names = {name.lower() for name, _ in given}
    return [*given, *(pair for pair in (*ALWAYS, UNSTORED) if pair[0] not in names)]
