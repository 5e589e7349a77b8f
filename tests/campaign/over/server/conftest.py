"""The fixtures of tests/server."""

from tests.server.conftest import http, running  # noqa: F401
