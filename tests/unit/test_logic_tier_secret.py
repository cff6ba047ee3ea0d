"""What the logic tier shows to the databuffer: the secret they share, and for whom it asks."""

import contextlib
import hashlib
import hmac
import logging
import ssl
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
from certificates import issue
from hypothesis import given
from hypothesis import strategies as st
from issuer import Clock
from multidict import CIMultiDict
from small_server import served

from databuffer.web.actor import actor_of
from datastore_logic.access.caller import CALLER, Caller
from datastore_logic.access.roles import Principal
from datastore_logic.access.secret import Secret
from datastore_logic.access.settings import Access
from datastore_logic.access.tier_secret import PREFERRED, TierSecret, link_path
from datastore_logic.config import Config
from datastore_logic.databuffer.client import BufferClient
from datastore_logic.databuffer.sending import quoted
from datastore_logic.domain.tags import Digest
from datastore_logic.errors import BadConfiguration, BufferAway, LinksNotOffered

NEW = "new-0123456789abcdef0123456789abcdef"
OLD = "old-0123456789abcdef0123456789abcdef"
DIGEST = Digest("sha256:" + "0f" * 32)
HEAD = b'{"ledger":"x","lsn":7,"hash":"y","digest":"sha256:00","size":1}'


class Databuffer:
    """A databuffer that knows some secrets, and keeps each method, path and headers."""

    def __init__(self, *known):
        self.known = set(known)
        self.asked = []
        self.refuses_with = 401

    def shown(self):
        """Return the secrets that were shown, in turn."""
        return [headers.get("Authorization") for _, _, headers in self.asked]


@contextlib.contextmanager
def databuffer(*known, context=None):
    """Serve; with a context by https."""
    told = Databuffer(*known)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            length = int(self.headers.get("Content-Length", 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                self.close_connection = True
            self.rfile.read(length)
            told.asked.append((self.command, self.path, self.headers))
            secret = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status = 200 if not told.known or secret in told.known else told.refuses_with
            self.send_response(status)
            self.send_header("Content-Length", str(len(HEAD)))
            self.end_headers()
            self.wfile.write(HEAD)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_):
            """Say nothing."""

    with served(Handler, context, "127.0.0.1") as base:
        told.url = base
        yield told


def client(told, *secrets, **settings):
    """Return a client of it with these secrets."""
    shared = Secret("BUFFER_TOKEN", secrets) if secrets else None
    return BufferClient(Config(told.url, access=Access(buffer_token=shared), **settings))


def test_the_secret_is_shown_with_every_request():
    """Reads, writes, streamed bodies."""
    with databuffer(NEW) as buffer:
        asking = client(buffer, NEW)
        asking.head()
        asking.send_segment(b"{}", None, None)
        asking.store_blob([b"x"], 1)
        asking.open_blob("GET", DIGEST, {"Range": "bytes=0-1"}).close()
        assert buffer.shown() == [f"Bearer {NEW}"] * 4


def test_without_a_secret_none_is_shown():
    """On a laptop there is none."""
    with databuffer() as buffer:
        client(buffer).head()
        assert buffer.shown() == [None]


def test_where_the_first_is_refused_the_other_is_shown_and_remembered():
    """The databuffer has not heard of the new one yet."""
    with databuffer(OLD) as buffer:
        asking = client(buffer, NEW, OLD)
        for _ in range(3):
            assert asking.head().lsn == 7
        assert buffer.shown() == [f"Bearer {NEW}"] + [f"Bearer {OLD}"] * 3


def test_a_secret_is_changed_without_a_request_that_fails():
    """Step by step, whichever tier hears of it first: old, both, new."""
    with databuffer(OLD) as buffer:
        asking = client(buffer, NEW, OLD)
        for known in ({OLD}, {OLD, NEW}, {NEW}):
            buffer.known = known
            assert asking.head().lsn == 7
            assert asking.store_blob(iter([b"x"]), 1).size == 1
            assert asking.append({"type": "x", "actor": "a", "data": {}, "keys": []}) == 7


def test_a_body_that_can_be_sent_once_is_sent_to_who_lets_us_in():
    """With two secrets it is found out first which one is taken."""
    with databuffer(OLD) as buffer:
        asking, sent = client(buffer, NEW, OLD), iter([b"x"])
        assert asking.store_blob(sent, 1).size == 1
        assert [path for _, path, _ in buffer.asked] == ["/ledger/head", "/ledger/head", "/blobs"]
        assert next(sent, None) is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("secrets", [(), (OLD,), (OLD, OLD.upper())])
def test_not_being_let_in_is_a_databuffer_that_is_away(status, secrets, caplog):
    """Our caller has done nothing wrong: 503, never the 401 of another tier. It is logged once."""
    with databuffer(NEW) as buffer:
        buffer.refuses_with = status
        asking = client(buffer, *secrets)
        for ask in (
            asking.head,
            lambda: asking.store_blob([b"x"], 1),
            lambda: asking.send_segment(b"{}", None, "key"),
            lambda: asking.open_blob("GET", DIGEST, {}),
        ):
            with pytest.raises(BufferAway, match="do not share a BUFFER_TOKEN") as refused:
                ask()
            assert not any(secret in str(refused.value) for secret in secrets)
        assert len(buffer.asked) <= 4 * max(1, len(secrets)) + 1
    (said,) = caplog.records
    assert (said.levelno, str(status) in said.getMessage()) == (logging.ERROR, True)
    assert not any(secret in caplog.text for secret in secrets)


def test_a_secret_in_a_file_is_changed_while_it_runs(tmp_path):
    """Nothing is restarted."""
    path = tmp_path / "token"
    path.write_text(OLD)
    shared = Secret.from_environ({"BUFFER_TOKEN_FILE": str(path)}, "BUFFER_TOKEN")
    shared._clock = clock = Clock()
    with databuffer(NEW) as buffer:
        asking = BufferClient(Config(buffer.url, access=Access(buffer_token=shared)))
        with pytest.raises(BufferAway):
            asking.head()
        path.write_text(NEW)
        clock.now += 10_000_000
        assert asking.head().lsn == 7


# which of the two --------------------------------------------------------------------------------


def test_the_first_is_tried_again_after_a_minute():
    """So the old one goes out of use as soon as the databuffer knows the new."""
    clock = Clock()
    secret = TierSecret(Secret("BUFFER_TOKEN", (NEW, OLD)), clock)
    assert secret.choices() == (NEW, OLD)
    secret.took(OLD)
    assert secret.choices() == (OLD, NEW)
    clock.now += PREFERRED
    assert secret.choices() == (NEW, OLD)


def test_what_is_no_secret_any_more_is_not_shown():
    """However well it worked."""
    secret = TierSecret(Secret("BUFFER_TOKEN", (NEW,)))
    secret.took(OLD)
    assert secret.choices() == (NEW,)
    assert TierSecret(None).choices() == ()


# on whose behalf ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actor", "told"),
    [("alice", "alice"), ("Zo\u00eb K.", "Zo%C3%AB%20K."), ("a/b@c;e\"f", "a%2Fb%40c%3Be%22f"),
     ("100%", "100%25"), (None, None)],
)  # fmt: skip
def test_who_asks_goes_along_with_what_the_databuffer_writes(actor, told):
    """It is written into the ledger; reads and others' entries name nobody."""
    with databuffer() as buffer:
        alone = Principal(actor, (), "jwt") if actor else None
        asking, before = client(buffer), CALLER.set(Caller(alone))
        try:
            asking.send_segment(b"{}", "strain", None)
            asking.freeze(b"{}", None)
            asking.clean(None)
            asking.head()
            asking.append({"type": "x"})
        finally:
            CALLER.reset(before)
        shown = [headers.get("X-Actor") for _, _, headers in buffer.asked]
        assert shown == [told, told, told, None, None]


@given(st.text(min_size=1, max_size=200).filter(str.isprintable))
def test_the_databuffer_reads_any_name_as_it_was_sent(name):
    """Whatever an issuer calls somebody: one header, in ASCII, and the same name behind it."""
    sent = quoted(name)
    assert all(32 < ord(letter) < 127 for letter in sent)
    assert actor_of(SimpleNamespace(headers=CIMultiDict({"X-Actor": sent}))) == name


# by https ----------------------------------------------------------------------------------------


def test_a_databuffer_at_https_is_known_by_its_certificate(tmp_path):
    """By BUFFER_CA; who is not vouched for gets neither a request nor the secret."""
    made = issue(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.certificate, made.key)
    with databuffer(NEW, context=serving) as buffer:
        assert client(buffer, NEW, buffer_ca=made.ca).head().lsn == 7
        buffer.asked.clear()
        stranger = client(buffer, NEW)
        for ask in (stranger.head, lambda: stranger.send_segment(b"{}", None, None)):
            with pytest.raises(BufferAway, match="BUFFER_CA"):
                ask()
        assert buffer.asked == []


def test_what_holds_no_certificates_is_refused_at_the_start(tmp_path):
    """In one line that names the variable."""
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(BadConfiguration, match="BUFFER_CA"):
        Config.from_environ({"BUFFER_CA": str(tmp_path / "ca.pem")})
    made = issue(tmp_path)
    assert Config.from_environ({"BUFFER_CA": str(made.ca)}).buffer_ca == made.ca


# links -------------------------------------------------------------------------------------------


def test_a_link_is_signed_as_it_is_agreed():
    """Written out, step by step: the databuffer checks the same."""
    key = hmac.new(NEW.encode(), b"condstore payload link", hashlib.sha256).digest()
    path = f"/blobs/sha256/{'0f' * 32}"
    mac = hmac.new(key, f"GET\n{path}\n1800000060".encode(), hashlib.sha256).hexdigest()
    assert link_path(DIGEST, 1_800_000_060, NEW) == f"{path}?expires=1800000060&signature={mac}"


def test_a_link_leads_to_where_the_outside_reaches_the_databuffer():
    """And is signed with the secret that the databuffer takes."""
    with databuffer(OLD) as buffer:
        asking = client(buffer, NEW, OLD, buffer_public_url="https://data.example/b")
        found = asking.link(DIGEST, 60)
        assert found.url == f"https://data.example/b{link_path(DIGEST, found.expires, OLD)}"


def test_without_an_address_or_a_secret_there_are_no_links():
    """Nobody outside could follow them, or nobody has to."""
    with databuffer(NEW) as buffer:
        for asking in (client(buffer, NEW), client(buffer, buffer_public_url="https://x.example")):
            with pytest.raises(LinksNotOffered):
                asking.link(DIGEST, 60)
        assert buffer.asked == []
