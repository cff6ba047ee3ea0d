"""The logic tier at https://: by two files, which are replaced while it runs."""

import http.client
import json
import socket
import ssl
import threading
from urllib.parse import urlsplit

import pytest
from certificates import issue
from dripping import dripping, raw, status
from servers import databuffer, eventually, logic


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the certificate in use, its key, and their CA."""
    return issue(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tier(tmp_path_factory, files):
    """Run a logic tier that serves with them."""
    folder = tmp_path_factory.mktemp("tier")
    pair = {"TLS_CERT": str(files.certificate), "TLS_KEY": str(files.key)}
    with databuffer(folder) as buffer, logic(buffer.url, folder, HEADER_TIMEOUT="2", **pair) as one:
        eventually(lambda: ask(one, files, "GET", "/readyz")[0] == 200)
        yield one
        assert one.stop() == 0
        assert "Traceback" not in one.log.read_text()


def connection(tier, files):
    """Return a connection of a client who trusts the CA."""
    parts = urlsplit(tier.url)
    trust = ssl.create_default_context(cafile=files.ca)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=20, context=trust)


def ask(tier, files, method, path, body=None):
    """Ask on a connection of its own; return status and body."""
    one = connection(tier, files)
    try:
        one.request(method, path, body)
        answer = one.getresponse()
        return answer.status, answer.read()
    finally:
        one.close()


def shown(tier):
    """Return the certificate that a new client is shown."""
    parts = urlsplit(tier.url)
    return ssl.get_server_certificate((parts.hostname, parts.port), timeout=30)


def complaints(tier):
    """Return how often a worker has said that a new pair is of no use."""
    return tier.log.read_text().count("the old stays")


def begun(tier, context):
    """Return a connection of this context after its handshake."""
    parts = urlsplit(tier.url)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((parts.hostname, parts.port), 10))


def test_everything_works_at_https(tier, files):
    """Small and large bodies, many requests on one connection; the ready line says https."""
    assert tier.url.startswith("https://")
    one = connection(tier, files)
    for number, size in enumerate((10, 60_000, 70_000, 5_000_000, 17)):
        body = bytes([number]) * size
        one.request("POST", "/api/v1/payloads", body)
        made = one.getresponse()
        told = json.loads(made.read())
        assert (made.status, told["size"]) == (201, size)
        one.request("GET", told["href"])
        assert one.getresponse().read() == body
    pieces = (b"x" * 30_000 for _ in range(5))
    one.request("POST", "/api/v1/payloads", pieces, encode_chunked=True)
    assert json.loads(one.getresponse().read())["size"] == 150_000
    one.close()


def test_requests_in_one_record_are_all_answered(tier):
    """What TLS has read ahead is not forgotten: nothing in the kernel tells of it again."""
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    last = request.replace(b"Host", b"Connection: close\r\nHost")
    with begun(tier, ssl.create_default_context()) as one:
        one.sendall(request * 400 + last)
        answered = b""
        while piece := one.recv(65536):
            answered += piece
    assert answered.count(b"HTTP/1.1 200") == 401


def test_old_tls_is_refused(tier):
    """TLS 1.2 and 1.3 alone."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context()
        context.minimum_version = context.maximum_version = version
        with begun(tier, context) as one:
            assert one.version() == version.name.replace("_", ".")
    old = ssl.create_default_context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        begun(tier, old)


def test_who_does_not_shake_hands_holds_nobody_up(tier, files):
    """Silent, dripping, or no TLS at all: others are served, and these are closed."""
    plain = tier.url.replace("https", "http")
    assert b"200" not in raw(plain, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    hello = bytes.fromhex("160301020001")
    with dripping(plain, hello, 60) as drips, dripping(plain, b"", 40, pause=60) as silent:
        for _ in range(10):
            assert ask(tier, files, "GET", "/livez")[0] == 200
        eventually(lambda: not drips.open and not silent.open)


def test_slow_senders_are_told_so_by_tls(tier):
    """A head that drips is answered 408 through the same channel."""
    with begun(tier, ssl.create_default_context()) as one:
        one.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        assert status(one.recv(65536)) == 408


def test_a_new_pair_is_taken_while_it_runs(tier, files, tmp_path):
    """New connections see it; one that is open goes on; no request fails meanwhile."""
    old, new = shown(tier), issue(tmp_path / "new")
    open_one = connection(tier, files)
    open_one.request("GET", "/livez")
    open_one.getresponse().read()
    failed, done = [], threading.Event()

    def go_on():
        while not done.is_set():
            trust = ssl.create_default_context(cafile=files.ca)
            trust.load_verify_locations(new.ca)
            parts = urlsplit(tier.url)
            one = http.client.HTTPSConnection(parts.hostname, parts.port, context=trust)
            try:
                one.request("GET", "/livez")
                assert one.getresponse().status == 200
            except (OSError, AssertionError) as reason:
                failed.append(reason)
            finally:
                one.close()

    caller = threading.Thread(target=go_on)
    caller.start()
    try:
        files.certificate.write_bytes(new.certificate.read_bytes())
        eventually(lambda: complaints(tier) >= 2)
        assert shown(tier) == old, "the key does not fit yet"
        files.key.write_bytes(new.key.read_bytes())
        eventually(lambda: {shown(tier) for _ in range(8)} == {new.certificate.read_text()})
    finally:
        done.set()
        caller.join()
    assert not failed
    open_one.request("GET", "/livez")
    assert open_one.getresponse().status == 200
    open_one.close()
    files.ca.write_bytes(new.ca.read_bytes())


def test_a_broken_pair_changes_nothing(tier, files):
    """Half a file, no file: the old pair stays; then the right one is back."""
    before, key = shown(tier), files.key.read_bytes()
    for spoil in (lambda: files.key.write_bytes(key[:50]), files.key.unlink):
        told = complaints(tier)
        spoil()
        eventually(lambda told=told: shown(tier) and complaints(tier) > told)
        assert shown(tier) == before
        assert ask(tier, files, "GET", "/livez")[0] == 200
    files.key.write_bytes(key)


def test_a_pair_that_is_of_no_use_refuses_the_start(tier, tmp_path):
    """One line that names the variables."""
    one, other = issue(tmp_path / "one"), issue(tmp_path / "other")
    tier.environ |= {"PORT": "0", "VIEW_PATH": str(tmp_path / "view.sqlite")}
    for cert, key in ((one.certificate, other.key), (one.key, one.key)):
        pair = {"TLS_CERT": str(cert), "TLS_KEY": str(key)}
        before = dict(tier.environ)
        tier.environ |= pair
        ended, lines = tier.refusal()
        tier.environ = before
        assert ended != 0
        (line,) = lines
        assert "TLS_CERT" in line
