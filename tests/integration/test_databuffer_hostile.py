"""Hostile callers of a databuffer that asks for its secret; afterwards it answers and is whole."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import hmac
import json
import re
import resource
import socket
import time
from urllib.parse import urlsplit

import pytest
from load import ask
from servers import TIER_SECRET, bearer, databuffer, databuffer_at, eventually, open_deleted
from volume_oracle import VolumeOracle, snapshot

MIB = 1 << 20
SEGMENT = b'{"h":[1.5,2.5,-3],"t":[968654552,0.5]}'
WRONG = "a-wrong-secret-that-must-not-be-seen-in-any-log"
SIGNED = "5ec7e7" * 10 + "5ec7"
AUTH = f"Authorization: Bearer {TIER_SECRET}\r\n".encode()
ENTRY = {"type": "t.x", "actor": "a", "data": {}, "keys": []}


@pytest.fixture(scope="module")
def tier(tmp_path_factory):
    """A databuffer of short patience; at the end it answers, is whole, and has said no secret."""
    folder = tmp_path_factory.mktemp("hostile")
    limits = {"HEADER_TIMEOUT": "1", "BODY_TIMEOUT": "1", "MIN_BODY_RATE": "2000"}
    with databuffer(folder, BUFFER_TOKEN=TIER_SECRET, LOG_LEVEL="debug", **limits) as running:
        assert ask("POST", f"{running.url}/sendF", SEGMENT, bearer()).status == 201
        running.folder = folder
        yield running
        answered = ask("POST", f"{running.url}/ledger", ENTRY, bearer())
        assert answered.status == 201
        metrics = ask("GET", f"{running.url}/metrics").body.decode()
        assert running.stop() == 0
        VolumeOracle(folder / "volume").check()
        for text in (running.log.read_text(), metrics):
            assert not re.search(f"{TIER_SECRET}|{WRONG}|{SIGNED}|signature=|Traceback", text)


@pytest.fixture
def unharmed(tier):
    """Check that the volume is as it was before the test, and that the tier answers."""
    before = snapshot(tier.folder / "volume")
    yield tier
    assert ask("GET", f"{tier.url}/stat", headers=bearer()).status == 200
    eventually(lambda: not open_deleted(tier.process.pid, tier.folder))
    assert snapshot(tier.folder / "volume") == before


def connect(url):
    """Return a socket to the server."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def heard(connection):
    """Return all that comes until the server closes."""
    answered = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            answered += piece
    return answered


def said(url, *pieces):
    """Send bytes as they are, and return all that comes back."""
    with connect(url) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        return heard(connection)


def statuses(answered):
    """Return the statuses of answers that came one after another."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answered)]


# Heads -----------------------------------------------------------------------------------------


def test_a_silent_connection_is_closed(unharmed):
    """HEADER_TIMEOUT after it was made, without a word."""
    with connect(unharmed.url) as silent:
        begun = time.monotonic()
        assert heard(silent) == b""
        assert 0.5 < time.monotonic() - begun < 9


@pytest.mark.parametrize("first", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_head_that_drips_is_given_up(unharmed, first):
    """A byte now and then does not buy time, neither for the first request nor for a later one."""
    with connect(unharmed.url) as slow:
        slow.sendall(first)
        if first:
            assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
        begun = time.monotonic()
        slow.settimeout(0.1)
        answered = b""
        for byte in b"GET /stat HTTP/1.1\r\nX-Slow: " + b"a" * 100:
            with contextlib.suppress(TimeoutError):
                answered += slow.recv(65536)
                break
            slow.sendall(bytes([byte]))
        assert statuses(answered) == [408]
        assert json.loads(answered.partition(b"\r\n\r\n")[2])["code"] == "too_slow"
        assert 0.5 < time.monotonic() - begun < 9


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(5000)),
        b"X-Long: " + b"y" * 200_000 + b"\r\n",
        b"X" * 200_000 + b": y\r\n",
        b"Cookie: " + b"a=b; " * 50_000 + b"\r\n",
        b"Authorization: Bearer " + WRONG.encode() + b"\x00\r\n",
        b"Authorization : Bearer " + WRONG.encode() + b"\r\n",
        b"Authorization: Bearer\r\n " + WRONG.encode() + b"\r\n",
        b"Bad Header " + WRONG.encode() + b"\r\n",
    ],
    ids=["many", "long", "long name", "cookies", "nul", "space", "folded", "none"],
)
def test_a_flood_of_headers_is_refused(unharmed, head):
    """Too many, too long, or no headers: 400 or 401, and what they held is not logged."""
    answered = said(unharmed.url, b"GET /stat HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    assert statuses(answered) in ([400], [401])
    assert WRONG.encode() not in answered


def test_bad_credentials_in_every_place_are_not_logged(unharmed):
    """Neither a wrong secret, nor one in a URL, nor the signature of a link."""
    digest = hashlib.sha256(b"x").hexdigest()
    link = f"/blobs/sha256/{digest}?expires={int(time.time()) + 60}&signature={SIGNED}zz"
    for target, headers, status in (
        ("/stat", bearer(WRONG), 401),
        (f"/stat?token={WRONG}", {}, 401),
        (f"/ledger?after={WRONG}", bearer(), 400),
        (link, {}, 403),
        (link, bearer(), 404),
        (f"/nothing?access_token={TIER_SECRET}", bearer(), 404),
    ):
        assert ask("GET", unharmed.url + target, headers=headers).status == status, target


def test_an_expired_link_is_not_logged_either(unharmed):
    """It was signed well: who reads logs must not get one that is still good."""
    path = f"/blobs/sha256/{hashlib.sha256(SEGMENT).hexdigest()}"
    key = hmac.digest(TIER_SECRET.encode(), b"condstore payload link", "sha256")
    for ahead, status in ((60, 200), (-60, 403)):
        expires = int(time.time()) + ahead
        signed = hmac.digest(key, f"GET\n{path}\n{expires}".encode(), "sha256").hex()
        link = f"{unharmed.url}{path}?expires={expires}&signature={signed}"
        assert ask("GET", link).status == status
        assert signed not in unharmed.log.read_text()


# Bodies ----------------------------------------------------------------------------------------


def post(target, length, extra=b""):
    """Return the head of a request with a body."""
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n%b\r\n" % (
        *(target.encode(), AUTH, length, extra),
    )


@pytest.mark.parametrize("target", ["/blobs", "/ledger", "/sendF", "/upddsc", "/blobs/missing"])
def test_a_body_that_drips_is_given_up(unharmed, target):
    """A byte now and then is below MIN_BODY_RATE: 408 when the patience for silence is used up."""
    with connect(unharmed.url) as slow:
        slow.sendall(post(target, 1000))
        begun = time.monotonic()
        slow.settimeout(0.1)
        answered = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                answered += slow.recv(65536)
                break
            slow.sendall(b"[")
        assert statuses(answered) == [408]
        assert "2000 bytes" in json.loads(answered.partition(b"\r\n\r\n")[2])["detail"]
        assert 0.5 < time.monotonic() - begun < 9


def test_a_body_that_is_slow_but_steady_is_taken(tier):
    """Above MIN_BODY_RATE one may take as long as it takes."""
    with connect(tier.url) as steady:
        steady.sendall(post("/blobs", 12_000))
        for _ in range(12):
            time.sleep(0.2)  # the sender's pace is what is tested
            steady.sendall(b"s" * 1000)
        assert steady.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_forty_dripping_senders_hold_up_nobody(tmp_path):
    """They have sent a large part, more of them than there are places, and go on byte by byte."""
    with databuffer(tmp_path, WRITE_WAIT="10") as running, contextlib.ExitStack() as slow:
        drips = [slow.enter_context(connect(running.url)) for _ in range(40)]
        for connection in drips:
            connection.sendall(post("/blobs", 10 * MIB) + bytes(2 * MIB))
        eventually(lambda: len(open_deleted(running.process.pid, tmp_path)) == 40)
        for number in range(5):
            for connection in drips:
                connection.sendall(b"drip")
            for target, body in (("/blobs", b"%d" % number), ("/sendF", SEGMENT)):
                begun = time.monotonic()
                assert ask("POST", running.url + target, body).status == 201
                assert time.monotonic() - begun < 9
        large = ask("POST", f"{running.url}/blobs", b"large" * MIB)
        assert large.status == 201


def test_a_refused_body_is_not_asked_for(unharmed):
    """Who waits to be invited to send is told at once that he may not, or what is wrong."""
    head = b"POST /blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n"
    for extra, status in (
        (b"", 401),
        (AUTH + b"Content-Encoding: gzip\r\n", 415),
        (AUTH, 100),
    ):
        with connect(unharmed.url) as polite:
            polite.sendall(head + extra + b"\r\n")
            assert statuses(polite.recv(65536)) == [status]


def test_an_invited_body_is_taken(tier):
    """Expect: 100-continue works for those who may."""
    with connect(tier.url) as polite:
        polite.sendall(post("/blobs", 10, b"Expect: 100-continue\r\n"))
        assert statuses(polite.recv(65536)) == [100]
        polite.sendall(b"0123456789")
        answered = polite.recv(65536)
        assert statuses(answered) == [201]


BOMB = gzip.compress(bytes(8 * MIB))
LISTS = b'{"type":"t.x","actor":"a","data":{"x":[' + b"[]," * 600_000 + b'1]},"keys":[]}'
NUMBERS = b'{"type":"t.x","actor":"a","data":{"x":[' + b"1," * 6_100_000 + b'1]},"keys":[]}'
DEEP = b'{"type":"t.x","actor":"a","data":{"x":' + b"[" * 90_000 + b"]" * 90_000 + b"}}"
QUESTION = b'{"digests":[' + b'"x",' * 600_000 + b'"x"]}'


@pytest.mark.parametrize(
    ("target", "body", "extra", "status"),
    [
        ("/blobs", BOMB, b"Content-Encoding: gzip\r\n", 415),
        ("/sendF", BOMB, b"Content-Encoding: deflate\r\n", 415),
        ("/ledger", BOMB, b"Content-Encoding: gzip, identity\r\n", 415),
        ("/ledger", LISTS, b"", 413),
        ("/ledger", NUMBERS, b"", 413),
        ("/ledger", DEEP, b"", 400),
        ("/ledger", b"[" * 400_000, b"", 400),
        ("/ledger", b"[" * 600_000, b"", 413),
        ("/sendF", b'{"h":[' + b"[]," * 100_000 + b'1],"t":[1,1]}', b"", 413),
        ("/sendF", b'{"a":' * 50_000, b"", 413),
        ("/upddsc", b"[" * 60_000, b"", 400),
        ("/blobs/missing", QUESTION, b"", 413),
        ("/blobs/missing", b"[" * 100_000, b"", 413),
    ],
)
def test_what_would_become_huge_is_refused(unharmed, target, body, extra, status):
    """Packed, nested or teeming bodies: refused by their bytes, before they are objects."""
    answered = said(unharmed.url, post(target, len(body), extra + b"Connection: close\r\n") + body)
    assert statuses(answered) == [status], answered[:300]


@pytest.mark.parametrize(
    "packed",
    [
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Encoding: x-gzip\r\n",
    ],
)
def test_a_body_packed_on_its_way_is_refused_too(unharmed, packed):
    """However it is said: nothing is unpacked, and nothing is kept packed by mistake."""
    head = b"POST /blobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + AUTH + packed
    answered = said(unharmed.url, head + b"\r\n3\r\nabc\r\n0\r\n\r\n")
    assert statuses(answered) == [415]


def test_a_large_decision_still_passes(tier):
    """A quarter of a million payload IOVs in one entry, as columns."""
    count = 250_000
    digests = [f"sha256:{number:064x}" for number in range(count)]
    columns = {
        "start_major": list(range(count)),
        "start_minor": [0] * count,
        "end_major": list(range(1, count + 1)),
        "name": [f"beam_{number}.json" for number in range(count)],
        "digest": digests,
        "size": [1000] * count,
    }
    answer = ask("POST", f"{tier.url}/ledger", ENTRY | {"data": columns}, bearer(), timeout=60)
    assert answer.status == 201, answer.body[:300]


# Smuggling and pipelining ----------------------------------------------------------------------

HIDDEN = b"POST /cleanall HTTP/1.1\r\nHost: x\r\n" + AUTH + b"Content-Length: 0\r\n\r\n"
FRAMES = {
    "both": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "both, turned": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n",
    "a list of lengths": b"Content-Length: 0, 5\r\n",
    "a signed length": b"Content-Length: +5\r\n",
    "a hexadecimal length": b"Content-Length: 0x5\r\n",
    "a length with a space": b"Content-Length : 5\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "chunked and then not": b"Transfer-Encoding: chunked, identity\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "a tab before": b"Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n",
    "bare line feed": b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_smuggled_request_is_not_answered(unharmed, frame):
    """Where two parties could see different ends of a body, the connection ends here."""
    body = b"0\r\n\r\n" + HIDDEN
    head = b"POST /upddsc HTTP/1.1\r\nHost: x\r\n" + AUTH + FRAMES[frame] + b"\r\n"
    answered = statuses(said(unharmed.url, head + body))
    assert len(answered) <= 1, answered
    assert all(400 <= status < 500 for status in answered)


def test_every_request_of_a_pipeline_is_looked_at(unharmed):
    """One that shows the secret does not vouch for the next on the same connection."""
    one = b"GET /stat HTTP/1.1\r\nHost: x\r\n"
    pipeline = [one + AUTH + b"\r\n"] * 40 + [one + b"\r\n"] + [HIDDEN] * 3
    assert statuses(said(unharmed.url, b"".join(pipeline))) == [200] * 40 + [401]


def test_a_body_that_looks_like_requests_is_a_body(unharmed):
    """Its length says where it ends; a refused one is not read as what comes next."""
    head = b"POST /upddsc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    assert statuses(said(unharmed.url, head + HIDDEN + HIDDEN)) == [401]
    answered = said(
        unharmed.url, post("/upddsc", len(HIDDEN)) + HIDDEN, b"GET /nothing HTTP/1.0\r\n\r\n"
    )
    assert statuses(answered)[0] == 400


ODD = [
    "/blobs/sha256/../../ledger/ledger.json",
    "/blobs/sha256/..%2f..%2fledger%2fledger.json",
    "/blobs/../../../../../../etc/passwd",
    "/state/../adm/StatDesc.json",
    "/state/..%2fadm%2fStatDesc",
    "/state/..%5cadm",
    "/state/%2e%2e%2fledger%2fledger",
    "/state/a%00b",
    "/state/'%3BDROP%20TABLE--",
    "/state/%7B%7B7*7%7D%7D",
    "//etc/passwd",
    "/livez/../stat",
    "/livez%2f..%2fstat",
    "/metrics;/stat",
    "/LIVEZ",
]


@pytest.mark.parametrize("headers", [{}, bearer()], ids=["no secret", "the secret"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS"])
def test_odd_paths_open_nothing(unharmed, method, headers):
    """Neither files nor, by way of an open route, a closed one."""
    for target in ODD:
        parts = urlsplit(unharmed.url)
        shown = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{shown}Connection: close\r\n\r\n"
        answered = said(f"http://{parts.netloc}", head.encode())
        (status,) = statuses(answered)
        expected = {400, 404, 405} if headers else {401, 400}
        if headers and target in {"/livez/../stat"}:
            expected |= {200}  # as a browser would shorten it
        assert status in expected, (target, answered[:200])
        assert b"root:" not in answered


# Crowds ----------------------------------------------------------------------------------------


def test_two_thousand_connections(tmp_path):
    """Above MAX_CONNECTIONS they are told 503 at once; who is in goes on; then there is room."""
    limits = {"MAX_CONNECTIONS": "500", "HEADER_TIMEOUT": "30", "BUFFER_TOKEN": TIER_SECRET}
    with databuffer(tmp_path, **limits) as running, contextlib.ExitStack() as crowd:
        inside = crowd.enter_context(connect(running.url))
        asked = b"GET /stat HTTP/1.1\r\nHost: x\r\n" + AUTH + b"\r\n"
        inside.sendall(asked)
        assert statuses(inside.recv(65536)) == [200]
        begun = time.monotonic()
        others = [crowd.enter_context(connect(running.url)) for _ in range(2000)]
        turned = 0
        for other in others[499:]:
            answered = heard(other)
            assert statuses(answered) == [503]
            assert b"\r\nRetry-After: 1\r\n" in answered
            turned += 1
        assert turned == 1501
        assert time.monotonic() - begun < 25
        inside.sendall(asked)
        assert statuses(inside.recv(65536)) == [200]
        for other in others:
            other.close()
        eventually(lambda: ask("GET", f"{running.url}/livez").status == 200)
        metrics = ask("GET", f"{running.url}/metrics").body.decode()
        assert "databuffer_connections_turned_away_total 15" in metrics
        assert running.log.read_text().count("turned away") <= 3
        assert running.stop() == 0


def test_fewer_files_than_connections(tmp_path):
    """Where the process may have few files it has fewer connections, and never runs out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    running = databuffer_at(tmp_path, HEADER_TIMEOUT="30")
    running.command = ["prlimit", "--nofile=600:600", *running.command]
    with contextlib.ExitStack() as crowd:
        running.start()
        crowd.callback(running.stop)
        others = [crowd.enter_context(connect(running.url)) for _ in range(700)]
        eventually(lambda: statuses(heard(others[-1])) == [503])
        for other in others:
            other.close()
        eventually(lambda: ask("POST", f"{running.url}/blobs", b"content").status == 201)
        assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)
    log = running.log.read_text()
    assert "MAX_CONNECTIONS is 108: the process may have 600 open files" in log
    assert "no connection can be taken" not in log
    assert "Too many open files" not in log


@pytest.mark.parametrize("size", [100_000, 8 * MIB])
def test_a_reader_that_takes_nothing_is_let_go(tmp_path, size):
    """After ten times BODY_TIMEOUT in which not a byte could be sent."""
    with databuffer(tmp_path, BODY_TIMEOUT="0.1", MIN_BODY_RATE="0") as running:
        digest = ask("POST", f"{running.url}/blobs", bytes(size)).json["digest"]
        parts = urlsplit(running.url)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((parts.hostname, parts.port))
            deaf.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % _path(digest))
            begun = time.monotonic()
            eventually(lambda: "databuffer_connections 1.0" in _metrics(running), within=20)
            assert time.monotonic() - begun > 0.8
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def _path(digest):
    return f"blobs/{digest.replace(':', '/')}".encode()


def _metrics(running):
    return ask("GET", f"{running.url}/metrics").body.decode()


def test_afterwards_the_ledger_reads_as_one(tier):
    """Every line follows the one before it, whatever was tried."""
    entries = [json.loads(line) for line in _lines(tier.url)]
    assert [entry["lsn"] for entry in entries] == list(range(1, len(entries) + 1))


def _lines(url):
    answer = ask("GET", f"{url}/ledger?limit=10000", headers=bearer())
    assert answer.status == 200
    return answer.body.splitlines()
