"""The token: shown to the servers that are asked, to nobody else, and never told."""

import asyncio
import contextlib
import functools
import http.server
import json
import pickle
import ssl
import threading
import traceback
from collections import deque

import certificates
import pytest

from condstore import access as entering
from condstore.access import NOBODY, Access, Credential, TokenInTheClear
from condstore.client import Client
from condstore.commands import completing
from condstore.config import Settings, access_of
from condstore.digests import Digest
from condstore.errors import (
    Denied,
    NotTrusted,
    ServerAway,
    ServerFailed,
    TooOften,
    Unauthenticated,
    UnexpectedAnswer,
    UsageError,
)
from condstore.gw.sending import sending
from condstore.producer import Producer
from condstore.producer.exchange import Asked, connected
from condstore.retry import ONCE, Policy
from condstore.segments import Segment
from condstore.transport import Timeouts
from condstore.verify import verify

QUICK = Policy(attempts=3, first=0.001, cap=0.002, patience=5.0)
SECRET = "cst_0123abcd_nobody-may-read-this"  # noqa: S105 - it opens nothing
TAGS = {"lsn": 7, "global_tags": [], "next": None}
REFUSED = (401, {}, {"detail": "The token has expired.", "code": "unauthenticated"})
SEGMENT = Segment("A", b'{"h":[1.5],"t":[1,1]}', 1)


class Server(http.server.ThreadingHTTPServer):
    """Answers with what is scripted, the last answer again and again; keeps what it was shown."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = deque([(200, {}, TAGS)])
        self.shown, self.bodies, self.scheme = [], [], "http"
        self.takes = None
        """The only token that is taken, where it matters; others are refused."""

    @property
    def url(self):
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def will(self, *answers):
        """Script the answers."""
        self.answers = deque(answers)

    def handle_error(self, *_):
        """Say nothing of callers that hang up."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One answer."""

    protocol_version = "HTTP/1.1"

    def handle_any(self):
        """Note what was shown, and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.bodies.append(body)
        self.server.shown.append(shown := self.headers.get("Authorization"))
        answers = self.server.answers
        if self.server.takes not in {None, shown}:
            answers = [REFUSED]
        status, headers, told = answers.popleft() if len(answers) > 1 else answers[0]
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_HEAD = handle_any  # noqa: N815

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def running(context=None):
    """Run a scripted server, over TLS with a context."""
    with Server() as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server():
    """Run a scripted server."""
    with running() as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """Let no variable of this machine say who asks, and no warning have been given."""
    for name in ("CONDSTORE_TOKEN", "CONDSTORE_TOKEN_FILE", "CONDSTORE_CA", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(entering, "_warned", threading.Event())


def known(token=SECRET, **more):
    """Return how one comes in with a token."""
    return access_of({"CONDSTORE_TOKEN": token, **more})


async def stream(server, **how):
    """Stream one segment by the producer."""
    return await Producer(server.url, period="", policy=QUICK, **how).stream([SEGMENT])


async def post(server, access=None):
    """Stream one segment as the GW producer does."""
    async with sending(f"{server.url}/streamdata", "", access or known(), QUICK) as sender:
        return await sender.send([SEGMENT])


def test_every_call_of_a_client_shows_the_token(server):
    """Reads, writes, streams and downloads."""
    client = Client(server.url, token=SECRET, policy=QUICK)
    client.tags()
    server.will((200, {}, b"bytes"))
    client.payload(Digest.of(b"bytes"))
    server.will((201, {}, {"code": "RES_CREATE"}))
    client.stream_segment(SEGMENT)
    assert server.shown == [f"Bearer {SECRET}"] * 3


async def test_every_producer_shows_the_token(server, monkeypatch):
    """The library's and the GW producer, by the environment."""
    monkeypatch.setenv("CONDSTORE_TOKEN", SECRET)
    server.will((201, {}, {"code": "RES_CREATE"}))
    await stream(server)
    assert await post(server) == [None]
    assert server.shown == [f"Bearer {SECRET}"] * 2


def test_completion_shows_the_token(server, monkeypatch):
    """Names of tags that only a reader sees are completed for a reader."""
    monkeypatch.setenv("CONDSTORE_TOKEN", SECRET)
    monkeypatch.setenv("CONDSTORE_URL", server.url)
    assert completing.tags("") == []
    assert server.shown == [f"Bearer {SECRET}"]


def test_verify_shows_the_tier_secret_and_no_token(server):
    """Who asks the databuffer itself is no user of it; the newer of two secrets is shown first."""
    settings = Settings.from_environ({"BUFFER_TOKEN": f"new{SECRET},old", "CONDSTORE_TOKEN": "x"})
    server.will((200, {}, {"ledger": "a", "lsn": 0, "hash": ""}))
    assert verify(server.url, access=settings.buffer_access).problems == ()
    server.will((401, {}, {"detail": "no"}))
    with pytest.raises(Unauthenticated, match="BUFFER_TOKEN: the databuffer's own secret"):
        verify(server.url, access=settings.buffer_access)
    assert [*dict.fromkeys(server.shown)] == [f"Bearer new{SECRET}", "Bearer old"]


async def test_no_netrc_and_no_url_overrides_the_token(server, tmp_path, monkeypatch):
    """What is kept for the host is for those who have no token."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login alice password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with_user = server.url.replace("//", "//bob:word@")
    Client(server.url, token=SECRET).tags()
    Client(with_user, token=SECRET).tags()
    server.will((201, {}, {}))
    await Producer(server.url, period="", token=SECRET).stream([SEGMENT])
    await Producer(with_user, period="", token=SECRET).stream([SEGMENT])
    assert server.shown == [f"Bearer {SECRET}"] * 4
    server.shown.clear()
    server.will((200, {}, TAGS))
    Client(server.url).tags()
    assert server.shown[0].startswith("Basic ")


async def test_a_redirect_takes_the_token_nowhere(server, monkeypatch):
    """Another host hears nothing of it, whatever the first one says."""
    with running() as other:
        server.will((302, {"Location": f"{other.url}/api/v1/global-tags"}, b""))
        with pytest.raises(UnexpectedAnswer):
            Client(server.url, token=SECRET).tags()
        with pytest.raises(UnexpectedAnswer):
            await stream(server, token=SECRET)
        assert isinstance((await post(server))[0], UnexpectedAnswer)
        with pytest.raises(UnexpectedAnswer):
            await asyncio.to_thread(verify, server.url, access=known())
        assert not other.shown
        monkeypatch.setenv("CONDSTORE_URL", server.url)
        monkeypatch.setenv("CONDSTORE_TOKEN", SECRET)
        completing.tags("")
        assert set(other.shown) <= {None}


async def test_a_token_renewed_on_disk_is_read_when_the_old_one_is_refused(server, tmp_path):
    """The job goes on: the same request is sent again whole, with what the file has by now."""
    file = tmp_path / "token"
    file.write_text("old\n")
    access = access_of({"CONDSTORE_TOKEN_FILE": str(file)})
    assert access.credential.header() == "Bearer old"
    file.write_text("new\n")
    assert access.credential.header() == "Bearer old", "it is good until it is refused"
    server.will(REFUSED, (201, {}, {"code": "RES_CREATE"}))
    assert await post(server, access) == [None]
    assert server.shown == ["Bearer old", "Bearer new"]
    assert server.bodies == [SEGMENT.body] * 2


def test_a_client_reads_the_file_again(server, tmp_path, monkeypatch):
    """The body too is sent again from its start."""
    file, payload = tmp_path / "token", tmp_path / "payload"
    file.write_text("old")
    payload.write_bytes(b"content")
    monkeypatch.setenv("CONDSTORE_TOKEN_FILE", str(file))
    client = Client(server.url, policy=QUICK)
    client.tags()
    file.write_text("new")
    server.will(REFUSED, (201, {}, {"digest": Digest.of(b"content"), "size": 7}))
    client.put_payload(payload)
    assert server.shown == ["Bearer old", "Bearer old", "Bearer new"]
    assert server.bodies[1:] == [b"content"] * 2


def test_a_token_that_stays_refused_is_refused_once(server, tmp_path, monkeypatch):
    """A file that has not changed, or is being written, is no reason to ask again."""
    file = tmp_path / "token"
    file.write_text("old")
    monkeypatch.setenv("CONDSTORE_TOKEN_FILE", str(file))
    client = Client(server.url, policy=QUICK)
    server.will(REFUSED)
    for content in ("old", "", "no token at all"):
        with pytest.raises(Unauthenticated, match="CONDSTORE_TOKEN_FILE has expired"):
            client.tags()
        file.write_text(content)
    assert server.shown == ["Bearer old"] * 3


async def test_the_producer_reads_the_file_again(server, tmp_path, monkeypatch):
    """Sixteen that are refused at once read it and go on."""
    (tmp_path / "token").write_text("new")
    monkeypatch.setenv("CONDSTORE_TOKEN_FILE", str(tmp_path / "token"))
    producer = Producer(server.url, period="", policy=QUICK)
    producer._access.credential._read.append("old")
    server.takes = "Bearer new"
    server.will((201, {}, {}))
    report = await producer.stream(Segment("A", b"%d" % one, 1) for one in range(4))
    assert report.segments == 4
    assert server.shown.count("Bearer new") == 4


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, r"set CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE; an admin makes one: condstore token"),
        ({"CONDSTORE_TOKEN": SECRET}, r"token of CONDSTORE_TOKEN has expired.*condstore token"),
    ],
)
def test_a_refusal_says_what_to_do(server, environ, words, monkeypatch):
    """Who has no token gets one, who has an old one a new one; the server's words are kept."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    server.will(REFUSED)
    with pytest.raises(Unauthenticated, match=words) as refused:
        Client(server.url).tags()
    assert refused.value.detail == "The token has expired."
    assert isinstance(refused.value, Denied)
    assert refused.value.exit_code == 1


def test_a_denial_is_the_servers_words(server):
    """They name the role and the tag."""
    said = "Permission denied: this needs the role editor on tag 2026-prompt."
    server.will((403, {}, {"detail": said, "code": "permission_denied"}))
    with pytest.raises(Denied, match="needs the role editor on tag 2026-prompt"):
        Client(server.url).tags()


def test_a_request_that_failed_is_found_by_its_id(server):
    """It is kept, and shown where the server is to blame; a stranger's text is no id."""
    server.will((500, {}, {"detail": "Internal error!", "request_id": "4fd1a2"}))
    with pytest.raises(ServerFailed, match=r"request 4fd1a2\)$") as failed:
        Client(server.url).tags()
    assert failed.value.request_id == "4fd1a2"
    server.will((503, {"X-Request-Id": "9-a"}, b"away"))
    with pytest.raises(ServerAway, match=r"503, request 9-a") as away:
        Client(server.url, policy=QUICK).tags()
    assert away.value.request_id == "9-a"
    server.will((404, {}, {"detail": "no tag", "request_id": "x\n\x1b[31m" * 9}))
    with pytest.raises(Denied.__mro__[1], match=r"\(404 from \S+\)$") as absent:
        Client(server.url).tags()
    assert absent.value.request_id == ""


async def test_who_asks_too_often_comes_again_when_told_to(server):
    """However often it is told, as long as patience lasts; then the error says what it is."""
    later = (429, {"Retry-After": "1"}, {"detail": "Too many requests.", "code": "x"})
    server.will(later, (200, {}, TAGS))
    Client(server.url, policy=QUICK).tags()
    assert len(server.shown) == 2
    hurried = Policy(attempts=3, first=0.001, cap=0.002, patience=0.5)
    with running() as other:
        server.will(later)
        with pytest.raises(TooOften, match="Too many requests"):
            Client((server.url, other.url), policy=hurried).tags()
        with pytest.raises(TooOften, match="Too many requests"):
            await Producer((server.url, other.url), period="", policy=hurried).stream([SEGMENT])
        assert not other.shown, "the next replica is not flooded in its place"


def test_nothing_shows_a_token(server, tmp_path, monkeypatch):
    """No repr, no error, no traceback, no pickle."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    by_file = access_of({"CONDSTORE_TOKEN_FILE": str(file)})
    by_file.credential.header()
    settings = Settings.from_environ({"CONDSTORE_TOKEN": SECRET, "BUFFER_TOKEN": SECRET})
    client = Client(server.url, token=SECRET, policy=QUICK)
    server.will((500, {}, b"no"))
    with pytest.raises(ServerFailed) as failed:
        client.tags()
    told = [by_file, settings, known(), client, vars(client), failed.value, vars(failed.value)]
    lines = traceback.format_exception(failed.value)
    assert "nobody-may" not in " ".join([*map(repr, told), *map(str, told), *lines])
    for one in (by_file, settings, known().credential):
        with pytest.raises(TypeError, match="not written down"):
            pickle.dumps(one)


async def test_an_answer_that_is_no_http_shows_no_token_in_its_causes():
    """What the library below raises knows the request with all its headers."""

    async def babble(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 abc\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        producer = Producer(f"http://127.0.0.1:{port}", token=SECRET, period="", policy=ONCE)
        with pytest.raises(ServerAway) as failed:
            await producer.stream([SEGMENT])
    causes = [failed.value]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    assert len(causes) > 1
    assert SECRET not in f"{causes!r} {list(map(str, causes))} {list(map(vars, causes))}"


@pytest.mark.parametrize("token", ["a b", "\u00e9", f"{SECRET}\x01", "x" * 20_000, "a\nX-Other: b"])
def test_what_is_no_token_is_wrong_use_and_not_shown(token, tmp_path):
    """Neither as a variable, nor as an argument, nor in a file; the variable is named."""
    file = tmp_path / "token"
    file.write_text(token if "\n" not in token else "a b")
    asked = [
        ("token=", functools.partial(Client, token=token)),
        ("token=", functools.partial(Producer, token=token)),
        ("CONDSTORE_TOKEN_FILE", access_of({"CONDSTORE_TOKEN_FILE": str(file)}).credential.header),
    ]
    if "\n" not in token:
        asked.append(("CONDSTORE_TOKEN", functools.partial(known, token)))
    for name, use in asked:
        with pytest.raises(UsageError, match=name) as refused:
            use()
        assert token[:3] not in str(refused.value).replace(str(file), "")


def test_a_token_file_that_is_not_there_is_named(tmp_path):
    """So is one that is empty, and a variable that is set twice."""
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.write_text("\n")
    for path, words in ((missing, "No such file"), (empty, "holds no token")):
        credential = access_of({"CONDSTORE_TOKEN_FILE": str(path)}).credential
        with pytest.raises(UsageError, match=words):
            credential.header()
    with pytest.raises(UsageError, match="both set"):
        access_of({"CONDSTORE_TOKEN_FILE": str(empty), "CONDSTORE_TOKEN": "x"})


def test_a_token_in_the_clear_is_warned_of_once():
    """To another machine over plain http: once a process; to this one, or over https, never."""
    access = known()
    for url in ("http://localhost:5000", "http://127.0.0.9", "https://conditions.example"):
        access.shown_to(url)
    with pytest.warns(TokenInTheClear, match=r"conditions\.example.*https.*CONDSTORE_CA"):
        access.shown_to("http://conditions.example:5000")
    access.shown_to("http://conditions.example:5000")
    access.shown_to("http://b.example:5000")
    assert Access().shown_to("http://c.example") is None


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    """Make a CA and a certificate of it for this machine."""
    return certificates.issue(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def private(issued):
    """Run a scripted server with that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    with running(context) as server:
        yield server


async def test_a_ca_of_ones_own_is_heeded_by_all(private, issued, monkeypatch):
    """By the client, the producers, verify and completion."""
    monkeypatch.setenv("CONDSTORE_CA", str(issued.ca))
    monkeypatch.setenv("CONDSTORE_URL", private.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert Client(private.url, token=SECRET).tags() == ()
    completing.tags("")
    private.will((201, {}, {"code": "RES_CREATE"}))
    await stream(private, token=SECRET)
    assert await post(private, known(CONDSTORE_CA=str(issued.ca))) == [None]
    assert len(private.shown) == 4


async def test_a_certificate_that_proves_nothing_gets_no_token(private):
    """Nobody tries again, and the message says what to do."""
    with pytest.raises(NotTrusted, match=r"self-signed|issuer.*CONDSTORE_CA"):
        Client(private.url, token=SECRET).tags()
    with pytest.raises(NotTrusted, match="CONDSTORE_CA"):
        await stream(private, token=SECRET)
    (error,) = await post(private)
    assert isinstance(error, NotTrusted)
    assert not private.shown


def test_a_file_that_is_no_certificate_is_wrong_use(private, tmp_path, monkeypatch):
    """Missing, or of another kind."""
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    for path in (tmp_path / "missing.pem", other):
        monkeypatch.setenv("CONDSTORE_CA", str(path))
        with pytest.raises(UsageError, match="CONDSTORE_CA"):
            Client(private.url).tags()


async def test_plain_http_on_a_port_of_tls_says_so(server):
    """And not that something is not permitted, whichever library is asked."""
    url = server.url.replace("http:", "https:")
    with pytest.raises(ServerAway, match="no TLS: "):
        Client(url, policy=QUICK).tags()
    async with connected((url,), 1, QUICK, Timeouts(), NOBODY, "DB_BURL") as exchange:
        with pytest.raises(ServerAway, match="no TLS: "):
            await exchange.send(Asked("GET", "/ledger/head"))


def test_a_credential_is_what_it_was_made_of():
    """Two of one token are one, and read from nothing it shows nothing."""
    assert known() == known()
    assert known("a") != known("b")
    assert Credential("CONDSTORE_TOKEN").header() is None
    assert Settings.from_environ({"CONDSTORE_TOKEN": ""}) == Settings.from_environ({})
