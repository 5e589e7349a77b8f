"""Tokens and codes: what is kept of them, who may read it, and when they end."""

import stat
from pathlib import Path

import pytest

from runstone.errors import InvalidInput, NotAuthenticated, NotFound, TooManyRequests
from runstone.server.security.sessions import Codes
from runstone.server.security.tokens import Tokens


def test_a_token_has_256_bits_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    _, text = tokens.create("read", "mine")
    assert len(text.removeprefix("rst_")) == 43
    file = tmp_path / "server" / "tokens.json"
    assert text not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert tokens.principal(text).role == "read"


def test_the_first_token_is_the_same_in_every_process_until_it_is_revoked(tmp_path: Path) -> None:
    text = Tokens(tmp_path).ensure_first()
    assert Tokens(tmp_path).ensure_first() == text
    assert stat.S_IMODE((tmp_path / "server" / "token").stat().st_mode) == 0o600
    tokens = Tokens(tmp_path)
    (first,) = tokens.valid()
    tokens.revoke(first.id)
    assert tokens.ensure_first() != text


def test_a_token_that_another_process_made_or_revoked_is_known(tmp_path: Path) -> None:
    served, elsewhere = Tokens(tmp_path, look_s=0), Tokens(tmp_path)
    with pytest.raises(NotAuthenticated):
        served.principal("rst_" + "a" * 43)
    token, text = elsewhere.create("ingest", "agent")
    assert served.principal(text).role == "ingest"
    elsewhere.revoke(token.id)
    with pytest.raises(NotAuthenticated):
        served.principal(text)
    with pytest.raises(NotFound):
        elsewhere.revoke(token.id)


def test_a_token_ends_with_its_time(tmp_path: Path) -> None:
    now = [1000.0]
    tokens = Tokens(tmp_path, clock=lambda: now[0])
    _, text = tokens.create("read", "short", lifetime_s=60)
    now[0] += 59
    assert tokens.principal(text).name == "short"
    now[0] += 1
    with pytest.raises(NotAuthenticated):
        tokens.principal(text)
    assert tokens.valid() == []


def test_a_role_is_one_of_three(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        Tokens(tmp_path).create("admin", "x")


def test_a_code_ends_after_a_minute_and_after_its_use(tmp_path: Path) -> None:
    now = [0.0]
    codes = Codes(Tokens(tmp_path), clock=lambda: now[0])
    used, late = codes.give(), codes.give()
    now[0] = 59.9
    assert codes.swap(used).startswith("rst_")
    for code, at in ((used, 59.9), (late, 60.0), ("\ud800", 60.0)):
        now[0] = at
        with pytest.raises(NotAuthenticated):
            codes.swap(code)


def test_codes_that_nobody_uses_are_bounded(tmp_path: Path) -> None:
    codes = Codes(Tokens(tmp_path))
    for _ in range(100):
        codes.give()
    with pytest.raises(TooManyRequests):
        codes.give()
