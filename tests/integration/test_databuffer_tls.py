"""The databuffer at https://, with certificates that are replaced while it runs."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from urllib.parse import urlsplit

import pytest
from certificates import issue
from load import ask
from servers import TIER_SECRET, bearer, databuffer, databuffer_at, eventually
from volume_oracle import VolumeOracle

MIB = 1 << 20


@pytest.fixture
def pair(tmp_path):
    """A certificate, its key, and the authority that clients trust."""
    return issue(tmp_path / "tls")


@pytest.fixture
def tier(tmp_path, pair):
    """A databuffer that serves with them."""
    limits = {"HEADER_TIMEOUT": "1", "BUFFER_TOKEN": TIER_SECRET}
    with databuffer(tmp_path, **files_of(pair), **limits) as running:
        yield running
        assert running.stop() == 0
        VolumeOracle(tmp_path / "volume").check()
        assert "Traceback" not in running.log.read_text()


def files_of(pair):
    """Return what a databuffer is told of them."""
    return {"TLS_CERT": str(pair.certificate), "TLS_KEY": str(pair.key)}


def connection(running, pair):
    """Return a connection of a client who trusts the authority."""
    parts = urlsplit(running.url)
    trusting = ssl.create_default_context(cafile=str(pair.ca))
    return contextlib.closing(
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=trusting)
    )


def asked(open_one, method, target, body=None):
    """Ask on an open connection."""
    open_one.request(method, target, body, bearer())
    answer = open_one.getresponse()
    return answer.status, answer.read()


def shown(running):
    """Return the certificate that a new client is shown."""
    parts = urlsplit(running.url)
    return ssl.get_server_certificate((parts.hostname, parts.port), timeout=30)


def replace(pair, by):
    """Put other files in their place, one after the other."""
    shutil.copy(by.certificate, pair.certificate)
    shutil.copy(by.key, pair.key)


def test_everything_works_at_https(tier, pair):
    """Small and large payloads, ranges, the ledger, on one connection; the ready line says so."""
    assert tier.url.startswith("https://")
    large = bytes(range(256)) * 8 * 1024
    with connection(tier, pair) as one:
        for content in (b"small", large):
            assert asked(one, "POST", "/blobs", content)[0] == 201
            target = f"/blobs/sha256/{hashlib.sha256(content).hexdigest()}"
            assert asked(one, "GET", target) == (200, content)
            one.request("GET", target, headers={**bearer(), "Range": "bytes=1-3"})
            assert one.getresponse().read() == content[1:4]
        entry = json.dumps({"type": "t.x", "actor": "a", "data": {}, "keys": []})
        assert asked(one, "POST", "/ledger", entry)[0] == 201


def test_who_does_not_trust_the_authority_is_not_served(tier):
    """Nor who speaks an old protocol, nor who does not encrypt at all."""
    parts = urlsplit(tier.url)
    stranger = ssl.create_default_context()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    for context in (stranger, old):
        with (
            socket.create_connection((parts.hostname, parts.port), timeout=30) as plain,
            pytest.raises(ssl.SSLError),
        ):
            context.wrap_socket(plain, server_hostname="localhost")
    with pytest.raises((http.client.HTTPException, OSError)):
        ask("GET", f"http://{parts.netloc}/livez")


def test_a_new_certificate_is_shown_to_new_connections(tier, pair, tmp_path):
    """Those that are open go on with the old one; nothing is restarted."""
    with connection(tier, pair) as before:
        assert asked(before, "GET", "/stat")[0] == 200
        assert shown(tier) == pair.certificate.read_text()
        second = issue(tmp_path / "second")
        replace(pair, second)
        eventually(lambda: shown(tier) == second.certificate.read_text())
        assert asked(before, "GET", "/stat")[0] == 200
    assert "TLS_CERT and TLS_KEY: took over" in tier.log.read_text()


@pytest.mark.parametrize("harm", ["mismatch", "garbage", "gone", "empty"])
def test_a_broken_new_pair_changes_nothing(tier, pair, tmp_path, harm):
    """The old one is shown, the log says so once, and the next good one is taken."""
    first, other = pair.certificate.read_text(), issue(tmp_path / "other")
    if harm == "mismatch":
        shutil.copy(other.certificate, pair.certificate)
    elif harm == "gone":
        pair.key.unlink()
    else:
        pair.key.write_bytes(b"" if harm == "empty" else b"-----BEGIN garbage")
    eventually(lambda: "held before goes on" in tier.log.read_text())
    assert shown(tier) == first
    third = issue(tmp_path / "third")
    replace(pair, third)
    eventually(lambda: shown(tier) == third.certificate.read_text())
    assert "PRIVATE KEY" not in tier.log.read_text()


def test_certificates_swapped_as_a_mounted_secret_are_heeded(tmp_path):
    """Kubernetes replaces the link to the folder that both files are in."""
    one, two = issue(tmp_path / "one"), issue(tmp_path / "two")
    data = tmp_path / "data"
    data.symlink_to("one")
    environ = {"TLS_CERT": str(data / "tls.crt"), "TLS_KEY": str(data / "tls.key")}
    with databuffer(tmp_path, **environ) as running:
        assert shown(running) == one.certificate.read_text()
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(data)
        eventually(lambda: shown(running) == two.certificate.read_text())


def test_hands_that_are_not_shaken_are_let_go(tier, pair):
    """Silence, or garbage, for a handshake ends within HEADER_TIMEOUT; others are served."""
    parts = urlsplit(tier.url)
    with contextlib.ExitStack() as open_ones:
        begun = time.monotonic()
        for sent in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x00" * 500):
            one = open_ones.enter_context(
                socket.create_connection((parts.hostname, parts.port), timeout=30)
            )
            one.sendall(sent)
            open_ones.callback(_ended, one)
        with connection(tier, pair) as other:
            assert asked(other, "GET", "/stat")[0] == 200
    assert time.monotonic() - begun < 25


def _ended(one):
    """Wait until the server closes."""
    with contextlib.suppress(ConnectionResetError):
        while one.recv(4096):
            pass


def test_a_crowd_is_told_so_at_https_too(tmp_path, pair):
    """503 after the handshake; those without one count as well."""
    limits = {"MAX_CONNECTIONS": "20", "HEADER_TIMEOUT": "20"}
    with (
        databuffer(tmp_path, **files_of(pair), **limits) as running,
        contextlib.ExitStack() as crowd,
    ):
        parts = urlsplit(running.url)
        for _ in range(20):
            crowd.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=30))
        with connection(running, pair) as late:
            assert asked(late, "GET", "/stat")[0] == 503
        crowd.close()
        eventually(lambda: _served(running, pair))


def _served(running, pair):
    with connection(running, pair) as late:
        return asked(late, "GET", "/stat")[0] == 200


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_a_key_with_a_password_asks_nobody(tmp_path, pair):
    """It is refused in one line; nobody sits at the terminal of a server."""
    locked = tmp_path / "locked.pem"
    command = ["openssl", "ec", "-aes128", "-passout", "pass:abc", "-in", pair.key, "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    environ = files_of(pair) | {"TLS_KEY": str(locked)}
    status, printed = databuffer_at(tmp_path, **environ).refusal()
    assert (status, len(printed)) == (1, 1), printed
    assert "TLS_KEY" in printed[0]


@pytest.mark.parametrize(
    "files",
    [("tls.crt", "missing"), ("missing", "tls.key"), ("tls.key", "tls.crt"), (".", ".")],
)
def test_files_that_are_no_pair_are_refused_in_one_line(tmp_path, pair, files):
    """Missing, mistaken for each other, or folders: exit 1 before the volume is touched."""
    del pair  # the files are there
    cert, key = (str(tmp_path / "tls" / name) for name in files)
    status, printed = databuffer_at(tmp_path, TLS_CERT=cert, TLS_KEY=key).refusal()
    assert (status, len(printed)) == (1, 1), printed
    assert printed[0].startswith("databuffer: cannot start: TLS_")
    assert not (tmp_path / "volume").exists()
