"""Over TLS: a real handshake, with a certificate made for the test."""

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.server.conftest import serving


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of 127.0.0.1 and its key, as paths."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here, which makes the certificate")
    paths = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return paths


def test_over_tls_a_browser_gets_in_by_a_cookie_that_is_never_sent_in_the_clear(
    tmp_path: Path, certificate: tuple[str, str]
) -> None:
    trusted = ssl.create_default_context(cafile=certificate[0])
    with serving(tmp_path / "workspace", tls_certificate=certificate[0], tls_key=certificate[1]) as running:
        assert running.url.startswith("https://")
        headers = {"authorization": f"Bearer {running.tokens['control']}"}
        with httpx.Client(base_url=running.url, verify=trusted, trust_env=False, timeout=30) as client:
            code = client.post("/api/v1/auth/codes", headers=headers).json()["path"]
            entered = client.get(code)
            assert "Secure" in entered.headers["set-cookie"]
            same_site = {"origin": running.url, "sec-fetch-site": "same-origin"}
            assert client.get("/api/v1/runs", headers=same_site).status_code == 200
            plain = {"origin": running.url.replace("https", "http")}
            assert client.get("/api/v1/runs", headers=plain).status_code == 403
        with pytest.raises(httpx.TransportError):
            httpx.get(running.url.replace("https", "http") + "/healthz", trust_env=False, timeout=30)
        with pytest.raises(httpx.ConnectError):  # nobody vouches for it but the test
            httpx.get(running.url + "/healthz", trust_env=False, timeout=30)
