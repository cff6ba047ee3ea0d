"""An issuer's keys over HTTP: rotated, away, slow, garbled, redirected."""

import contextlib
import os
import ssl
import subprocess
import threading
import time

import pytest
from issuer import Clock, ec_key, key_server, key_set, public, rsa_key
from servers import eventually, free_port

from datastore_logic.access.jwks import ASKED_AGAIN, KEPT, MOST_WAITING, KeySet, refuse_unusable
from datastore_logic.access.key_source import MOST_BYTES, KeyFile, KeyUrl, Unreadable, key_source
from datastore_logic.errors import BadConfiguration, KeysAway, Unauthenticated

FIRST = public(rsa_key("first"), "first")
SECOND = public(rsa_key("second"), "second")


@pytest.fixture
def server():
    """Return a server with the first key."""
    with key_server(key_set(FIRST)) as running:
        yield running


@pytest.fixture
def clock():
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def keys(server, clock):
    """Return the keys of that server, not yet read."""
    return KeySet(KeyUrl(server.url), clock)


def held(keys, kid):
    """Return whether there is a key of this name."""
    try:
        return keys.key(kid, "RS256").kid == kid
    except Unauthenticated:
        return False


def settle(keys):
    """Wait until nothing is being read."""
    eventually(lambda: keys._reading is None)


def later(keys, clock, seconds):
    """Move the clock on, once nothing is being read: what it reads would be of later else."""
    settle(keys)
    clock.now += seconds


def test_nothing_is_asked_before_the_first_token(server, keys):
    """And then once, however many tokens come."""
    assert server.asked == 0
    assert all(held(keys, "first") for _ in range(100))
    assert server.asked == 1


def test_a_new_key_is_found_when_a_token_names_it(server, keys, clock):
    """Rotation: its owner publishes both for a while, then the new one alone."""
    assert held(keys, "first")
    server.content = key_set(FIRST, SECOND)
    later(keys, clock, ASKED_AGAIN)
    assert held(keys, "second")
    assert held(keys, "first")


def test_a_key_that_was_taken_out_ends_within_minutes(server, keys, clock):
    """Nobody needs to name another one for that."""
    assert held(keys, "first")
    server.content = key_set(SECOND)
    later(keys, clock, 299)
    assert held(keys, "first")
    assert server.asked == 1
    later(keys, clock, 1)
    held(keys, "first")
    settle(keys)
    assert not held(keys, "first")
    assert held(keys, "second")


def test_made_up_keys_do_not_make_us_ask_for_each(server, keys, clock):
    """A minute of tokens with a thousand names of keys is seven questions."""
    for number in range(1000):
        clock.now = 1000 + 60 * number / 1000
        assert not held(keys, f"made-up-{number}")
    assert server.asked <= 7


def test_a_failed_read_keeps_the_keys_for_a_day(server, keys, clock, caplog):
    """An issuer that is away for the night stops nobody; the log says so."""
    assert held(keys, "first")
    server.status = 500
    for hours in range(1, 24):
        clock.now = 1000 + 3600 * hours
        assert held(keys, "first")
        settle(keys)
    assert "the answer was 500; 1 of before hold" in caplog.text
    clock.now = 1001 + KEPT
    with pytest.raises(KeysAway):
        keys.key("first", "RS256")
    server.status = 200
    later(keys, clock, ASKED_AGAIN)
    assert held(keys, "first")


def test_an_issuer_that_cannot_be_reached_is_not_the_callers_fault(clock):
    """Nobody can say whether the token is good: 503, come again."""
    keys = KeySet(KeyUrl(f"http://127.0.0.1:{free_port()}/keys"), clock)
    for _ in range(3):
        with pytest.raises(KeysAway):
            keys.key("first", "RS256")
        later(keys, clock, ASKED_AGAIN)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>maintenance</html>", b'{"keys":[]}', b"null", key_set({"kty": "oct", "k": "AA"}),
     b" " * MOST_BYTES + key_set(SECOND)],
    ids=["empty", "page", "no keys", "null", "secret", "huge"],
)  # fmt: skip
def test_garbage_replaces_no_key(server, keys, clock, content):
    """What is no set of keys of ours, or larger than one can be, is a failed read."""
    assert held(keys, "first")
    server.content = content
    later(keys, clock, 300)
    assert held(keys, "first")
    settle(keys)
    assert held(keys, "first")
    assert not held(keys, "second")
    assert server.asked == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server, keys, clock, status):
    """The keys of whoever it leads to would be believed."""
    with key_server(key_set(SECOND)) as elsewhere:
        assert held(keys, "first")
        server.status, server.headers = status, {"Location": elsewhere.url}
        later(keys, clock, ASKED_AGAIN)
        assert not held(keys, "second")
        assert elsewhere.asked == 0


def test_no_proxy_is_asked(server, keys, monkeypatch):
    """Whatever the environment says."""
    with key_server(key_set(SECOND)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert held(keys, "first")
        assert proxy.asked == 0


@contextlib.contextmanager
def holding(server):
    """Let the server answer only at the end."""
    release = threading.Event()
    server.before = lambda _: release.wait(20) and None
    try:
        yield release
    finally:
        release.set()


def test_a_slow_issuer_delays_no_token_whose_key_is_known(server, keys, clock):
    """One thread reads; the others go on with what they know."""
    assert held(keys, "first")
    with holding(server) as release:
        later(keys, clock, 300)
        began = time.monotonic()
        assert all(held(keys, "first") for _ in range(1000))
        assert keys._reading is not None
        assert time.monotonic() - began < 15
        eventually(lambda: server.asked == 2)
        server.content = key_set(SECOND)
        release.set()
    settle(keys)
    assert held(keys, "second")
    assert server.asked == 2


def test_few_wait_for_a_slow_issuer(server, keys):
    """So tokens with made-up keys cannot hold all threads; the others are told to come again."""
    found = []

    def ask(number):
        try:
            found.append(keys.key("first", "RS256").kid)
        except KeysAway:
            found.append("away")

    with holding(server) as release:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(found) == 16 - MOST_WAITING)
        release.set()
        for thread in threads:
            thread.join(30)
    assert sorted(found) == ["away"] * (16 - MOST_WAITING) + ["first"] * MOST_WAITING
    assert server.asked == 1


def drip(handler):
    """Send a header that never ends, a byte now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.02)


def drip_body(handler):
    """Send a body that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    drip(handler)


@pytest.mark.parametrize("way", [drip, drip_body])
def test_an_answer_that_comes_byte_by_byte_is_cut(server, way):
    """The time is bounded, not only the silence."""
    server.before = way
    began = time.monotonic()
    with pytest.raises(Unreadable):
        KeyUrl(server.url, within=0.3).read()
    assert time.monotonic() - began < 15


def test_a_token_that_names_no_key_means_the_only_one(server, keys, clock):
    """Until there are two for its algorithm."""
    server.content = key_set(FIRST, public(ec_key(), "curve"))
    assert keys.key(None, "RS256").kid == "first"
    assert keys.key(None, "ES256").kid == "curve"
    server.content = key_set(FIRST, SECOND)
    later(keys, clock, 300)
    keys.key(None, "RS256")
    settle(keys)
    with pytest.raises(Unauthenticated):
        keys.key(None, "RS256")


def test_keys_may_be_a_file_that_is_replaced(tmp_path, clock):
    """It is looked at more often, for that costs nobody anything; a bad one changes nothing."""
    path = tmp_path / "jwks.json"
    path.write_bytes(key_set(FIRST))
    keys = KeySet(key_source(str(path)), clock)
    assert held(keys, "first")
    settle(keys)
    for content in (b"{", key_set(SECOND)):
        path.write_bytes(content)
        later(keys, clock, ASKED_AGAIN)
        held(keys, "first")
        settle(keys)
        assert held(keys, "first") is (content == b"{")
    path.unlink()
    later(keys, clock, ASKED_AGAIN)
    assert held(keys, "second")


@pytest.mark.parametrize(
    "url",
    ["http://issuer.example/keys", "http://10.0.0.1/keys", "http://127.0.0.1.example/keys",
     "ftp://issuer.example/keys", "file:///etc/keys", "https://", "https://me:pw@issuer.example/",
     "http://user@localhost/keys"],
)  # fmt: skip
def test_keys_that_others_could_answer_for_are_refused(url):
    """Http only on this machine; no name and password in a URL that is logged."""
    with pytest.raises(BadConfiguration, match="JWT_JWKS"):
        key_source(url)


@pytest.mark.parametrize(
    "url",
    ["https://issuer.example/keys?a=b", "http://localhost:8080/k", "http://127.0.0.2/k",
     "http://[::1]:80/k"],
)  # fmt: skip
def test_https_and_this_machine_are_sources(url):
    """A file is whatever is no URL."""
    assert key_source(url) == KeyUrl(url)
    assert isinstance(key_source("/etc/condstore/jwks.json"), KeyFile)


def test_a_file_without_keys_is_refused_at_the_start(tmp_path):
    """A server that is away is not: it may come up later."""
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    for where in (str(bad), str(tmp_path / "none"), str(tmp_path), "http://issuer.example"):
        with pytest.raises(BadConfiguration, match=f"JWT_JWKS={where}"):
            refuse_unusable(where)
    bad.write_bytes(key_set(FIRST))
    refuse_unusable(str(bad))
    refuse_unusable(f"https://127.0.0.1:{free_port()}/keys")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return a certificate for localhost that signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True, env=os.environ,
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def test_an_issuer_is_known_by_its_certificate(certificate):
    """A certificate that nobody vouches for is a failed read."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    with key_server(key_set(FIRST), serving) as server:
        trusting = ssl.create_default_context(cafile=certificate[0])
        assert KeyUrl(server.url, context=trusting).read() == key_set(FIRST)
        with pytest.raises(Unreadable, match="CERTIFICATE_VERIFY_FAILED"):
            KeyUrl(server.url).read()
        elsewhere = server.url.replace("localhost", "127.0.0.1")
        with pytest.raises(Unreadable, match="CERTIFICATE_VERIFY_FAILED"):
            KeyUrl(elsewhere, context=trusting).read()
