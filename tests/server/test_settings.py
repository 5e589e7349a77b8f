"""Where a server may listen."""

from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.errors import BindingRefused, InvalidInput
from runstone.server.serve import Server
from runstone.server.settings import Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "some.host.example", ""])
def test_others_may_reach_it_only_with_tls_or_an_explicit_word(host: str, tmp_path: Path) -> None:
    with pytest.raises(BindingRefused), runstone.open(tmp_path) as ledger:
        Server(ledger, Settings(host=host, port=0))
    Settings(host=host, insecure=True).check()
    Settings(host=host, tls_certificate=Path("c"), tls_key=Path("k")).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_may_always_reach_it(host: str) -> None:
    Settings(host=host).check()


@pytest.mark.parametrize(
    "more", [{"tls_key": Path("k")}, {"tls_certificate": Path("c")}, {"port": 70_000}, {"port": -1}]
)
def test_half_a_setting_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Settings(**more).check()


def test_a_port_that_is_taken_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with runstone.open(tmp_path) as ledger:
        first = Server(ledger, Settings(port=0))
        with pytest.raises(InvalidInput, match="cannot be listened on"):
            Server(ledger, Settings(port=first.port))
        first.close()
