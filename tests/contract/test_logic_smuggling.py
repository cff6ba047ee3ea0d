"""Requests within requests: each is refused, or answered once; no doubt outlives a connection."""

import json
import re

import pytest
from dripping import connect, raw, status
from logic_pair import pair

MADE = b'{"name":"smuggled"}'
HIDDEN = (
    b"POST /api/v1/global-tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(MADE), MADE)
)
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKS = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers."""
    with pair(
        tmp_path_factory.mktemp("smuggling"), HEADER_TIMEOUT="3", BODY_TIMEOUT="3"
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_got_through(both):
    """Check that no hidden request was served, and that the tier still answers."""
    yield
    assert both.ask("GET", "/api/v1/global-tags/smuggled").status == 404
    assert both.ask("GET", "/livez").status == 200


def answers(answered):
    """Return the status of each answer that came back."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", answered)]


def post(*fields, version=b"HTTP/1.1", target=b"/api/v1/payload-types"):
    """Return the head of a request with these fields."""
    lines = [b"POST %b %b" % (target, version), b"Host: x", *fields, b"", b""]
    return b"\r\n".join(lines)


DOUBTFUL = {
    "CL.TE": post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + CHUNKS,
    "TE.CL": post(b"Transfer-Encoding: chunked", b"Content-Length: 5") + CHUNKS,
    "CL-CL": post(b"Content-Length: 0", b"Content-Length: 9"),
    "CL-CL-same": post(b"Content-Length: 0", b"Content-Length: 0"),
    "CL-list": post(b"Content-Length: 0, 0"),
    "CL-plus": post(b"Content-Length: +0"),
    "CL-minus": post(b"Content-Length: -1"),
    "CL-hex": post(b"Content-Length: 0x0"),
    "CL-point": post(b"Content-Length: 0.0"),
    "CL-nothing": post(b"Content-Length: "),
    "CL-underscore": post(b"Content-Length: 1_0"),
    "CL-arabic": post("Content-Length: \u0660".encode()),
    "CL-space-before-colon": post(b"Content-Length : 0"),
    "TE-space-before-colon": post(b"Transfer-Encoding : chunked") + CHUNKS,
    "TE-tab-before-colon": post(b"Transfer-Encoding\t: chunked") + CHUNKS,
    "TE-TE": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKS,
    "TE-TE-identity": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKS,
    "TE-list": post(b"Transfer-Encoding: chunked, chunked") + CHUNKS,
    "TE-unknown": post(b"Transfer-Encoding: xchunked") + CHUNKS,
    "TE-gzip": post(b"Transfer-Encoding: gzip") + CHUNKS,
    "TE-not-last": post(b"Transfer-Encoding: chunked, identity") + CHUNKS,
    "TE-quoted": post(b'Transfer-Encoding: "chunked"') + CHUNKS,
    "TE-parameter": post(b"Transfer-Encoding: chunked;x=y") + CHUNKS,
    "TE-obs-fold": post(b"Transfer-Encoding:\r\n chunked") + CHUNKS,
    "TE-obs-fold-tab": post(b"Transfer-Encoding: x\r\n\tchunked") + CHUNKS,
    "TE-vertical-tab": post(b"Transfer-Encoding: \x0bchunked") + CHUNKS,
    "TE-NUL": post(b"Transfer-Encoding: chunked\x00") + CHUNKS,
    "TE-1.0": post(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + CHUNKS,
    "host-host": post(b"Host: y"),
    "bare-LF": post().replace(b"\r\n", b"\n"),
    "bare-LF-in-a-head": post(b"A: b\nContent-Length: 0"),
    "bare-LF-at-the-end": b"POST /livez HTTP/1.1\r\nHost: x\r\n\n",
    "bare-CR": post(b"A: b\rContent-Length: 0"),
    "field-without-name": post(b": 0"),
    "field-without-colon": post(b"Content-Length 0"),
    "space-first": post().replace(b"\r\nHost", b"\r\n Host"),
    "NUL-in-a-name": post(b"A\x00: b"),
    "two-spaces": b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "tab-in-the-line": b"GET\t/livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-version": b"GET /livez\r\nHost: x\r\n\r\n",
    "version-0.9": b"GET /livez HTTP/0.9\r\nHost: x\r\n\r\n",
    "version-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "chunk-size-plus": post(b"Transfer-Encoding: chunked") + b"+0\r\n\r\n",
    "chunk-size-0x": post(b"Transfer-Encoding: chunked") + b"0x0\r\n\r\n",
    "chunk-size-underscore": post(b"Transfer-Encoding: chunked") + b"0_0\r\n\r\n",
    "chunk-size-minus": post(b"Transfer-Encoding: chunked") + b"-1\r\n\r\n",
    "chunk-size-space": post(b"Transfer-Encoding: chunked") + b"0 \r\n\r\n",
    "chunk-bare-LF": post(b"Transfer-Encoding: chunked") + b"0\n\r\n\r\n",
    "chunk-too-long": post(b"Transfer-Encoding: chunked") + b"1\r\nab\r\n0\r\n\r\n",
    "chunk-ext-bare-LF": post(b"Transfer-Encoding: chunked") + b"0;a\nb\r\n\r\n",
    "chunk-ext-bare-CR": post(b"Transfer-Encoding: chunked") + b"0;a\rb\r\n\r\n",
    "trailer-that-frames": post(b"Transfer-Encoding: chunked") + b"0\r\nContent-Length: 9\r\n\r\n",
}


@pytest.mark.parametrize("sent", DOUBTFUL.values(), ids=DOUBTFUL)
def test_where_framing_is_in_doubt_the_connection_closes(both, sent):
    """One refusal, a 4xx or 501, and what follows is not heard."""
    answered = raw(both.logic.url, sent + HIDDEN)
    (only,) = answers(answered)
    assert only in {400, 501}, answered
    assert b"Connection: close" in answered


@pytest.mark.parametrize(
    "chunks",
    [
        b"13;ext=1\r\n" + MADE + b"\r\n0\r\n\r\n",
        b'13;ext="a;b"\r\n' + MADE + b"\r\n0;last\r\n\r\n",
        b"00013\r\n" + MADE + b"\r\n0\r\nX-Trailer: POST / HTTP/1.1\r\n\r\n",
        b"3\r\n" + MADE[:3] + b"\r\n10\r\n" + MADE[3:] + b"\r\n0\r\n\r\n",
    ],
    ids=["extension", "quoted-extension", "trailer", "pieces"],
)
def test_chunks_as_they_may_be_are_one_body(both, chunks):
    """Extensions and trailers are passed over; the next request begins behind them."""
    name = MADE.replace(b"smuggled", b"Abcdefgh")
    sent = post(b"Transfer-Encoding: chunked") + chunks.replace(MADE, name)
    sent = sent.replace(MADE[:3], name[:3]).replace(MADE[3:], name[3:])
    answered = raw(both.logic.url, sent + LAST)
    assert answers(answered)[0] in {200, 201}
    assert answers(answered)[1:] == [200]


def test_pipelined_requests_are_answered_in_their_order(both):
    """Each once, with and without bodies, in however many pieces they come."""
    made = b'{"name":"Piped"}'
    nowhere = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    pipeline = (LIVE + post(b"Content-Length: %d" % len(made)) + made + nowhere) * 40
    expected = [200, 200, 404] * 40 + [200]
    expected[1] = 201
    with connect(both.logic.url) as connection:
        for start in range(0, len(pipeline), 997):
            connection.sendall(pipeline[start : start + 997])
        connection.sendall(LAST)
        answered = b""
        while piece := connection.recv(65536):
            answered += piece
    assert answers(answered) == expected


REFUSED = {
    "not-there": b"POST /nowhere HTTP/1.1\r\nHost: x\r\n",
    "method": b"DELETE /livez HTTP/1.1\r\nHost: x\r\n",
    "get-with-a-body": b"GET /livez HTTP/1.1\r\nHost: x\r\n",
    "head-with-a-body": b"HEAD /livez HTTP/1.1\r\nHost: x\r\n",
    "packed": b"POST /api/v1/global-tags HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n",
    "no-json": b"POST /api/v1/global-tags HTTP/1.1\r\nHost: x\r\n",
    "query": b"POST /stream?type=a/b HTTP/1.1\r\nHost: x\r\n",
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("before", [b"", b"z" * 70_000], ids=["short", "long"])
@pytest.mark.parametrize("head", REFUSED.values(), ids=REFUSED)
def test_a_body_that_nobody_read_is_no_request(both, head, before, framing):
    """A request in its midst is not served: it is read over, or the connection closes."""
    body = before + HIDDEN
    if framing == "length":
        sent = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    else:
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
    found = answers(raw(both.logic.url, sent + LAST))
    assert len(found) <= 2
    assert found[1:] in ([], [200])


def test_a_body_that_is_too_large_is_no_request(both):
    """It is refused by its length; what was sent of it is not heard."""
    length = b"Content-Length: 99999999"
    sent = post(length, target=b"/api/v1/global-tags") + b" " * 65_536 + HIDDEN * 10
    answered = raw(both.logic.url, sent)
    assert answers(answered) == [413]
    assert b"Connection: close" in answered


def test_a_body_that_breaks_off_is_no_request(both):
    """What came of it is not taken for the next one."""
    with connect(both.logic.url) as connection:
        connection.sendall(post(b"Content-Length: 500") + HIDDEN)
        answered = b""
        while piece := connection.recv(65536):
            answered += piece
    assert answers(answered) == [408]


TARGETS = {
    "absolute": (b"GET http://elsewhere.example/livez HTTP/1.1", 200),
    "absolute-https": (b"GET https://x/livez HTTP/1.1", 200),
    "absolute-unknown": (b"GET http://elsewhere.example/nowhere HTTP/1.1", 404),
    "authority": (b"GET elsewhere.example:80 HTTP/1.1", 400),
    "connect": (b"CONNECT elsewhere.example:443 HTTP/1.1", None),
    "asterisk": (b"GET * HTTP/1.1", 400),
    "options-asterisk": (b"OPTIONS * HTTP/1.1", None),
    "fragment": (b"GET /livez#x HTTP/1.1", None),
    "up": (b"GET /api/../livez HTTP/1.1", 404),
    "up-encoded": (b"GET /api/%2e%2e/livez HTTP/1.1", 404),
    "double-slash": (b"GET //livez HTTP/1.1", None),
    "backslash": (b"GET /\\livez HTTP/1.1", None),
    "encoded-NUL": (b"GET /livez%00 HTTP/1.1", 404),
    "encoded-CRLF": (b"GET /livez%0d%0aX:%20y HTTP/1.1", 404),
    "raw-8-bit": (b"GET /liv\xffez HTTP/1.1", 400),
}


@pytest.mark.parametrize(("line", "expected"), TARGETS.values(), ids=TARGETS)
def test_whatever_the_target_is_it_is_answered_once(both, line, expected):
    """An absolute one is a path here, whoever's; nothing is asked of others, nothing is 5xx."""
    (only,) = answers(raw(both.logic.url, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n"))
    assert only == expected if expected else only < 500


SPOOFED = [
    b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil.example", b"X-Forwarded-Port: 1",
    b"X-Forwarded-For: 6.6.6.6", b"Forwarded: for=6.6.6.6;proto=https;host=evil.example",
    b"X-Forwarded-Ssl: on", b"X-Forwarded-Protocol: ssl", b"X_Forwarded_For: 6.6.6.6",
    b"SCRIPT_NAME: /api", b"Script-Name: /api", b"PATH_INFO: /nowhere", b"REMOTE_ADDR: 6.6.6.6",
    b"REMOTE_USER: admin",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings",
]  # fmt: skip


@pytest.mark.parametrize("field", SPOOFED, ids=range(len(SPOOFED)))
def test_no_field_changes_where_or_by_whom_we_are_asked(both, field):
    """The page that shows its own address shows it as it was asked for, and only that."""
    sent = b"GET /api/v1/docs HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\n" + field
    answered = raw(both.logic.url, sent + b"\r\n\r\n")
    assert status(answered) == 200
    assert b"http://here.example" in answered
    assert b"evil" not in answered


def test_the_proxy_protocol_is_not_spoken(both):
    """A line before the request that names another caller is no HTTP."""
    sent = b"PROXY TCP4 6.6.6.6 127.0.0.1 1 2\r\n" + LAST
    assert answers(raw(both.logic.url, sent)) == [400]


def test_what_is_refused_is_refused_in_json(both):
    """With a code, and the id that the log has."""
    answered = raw(both.logic.url, DOUBTFUL["CL.TE"])
    assert json.loads(answered.partition(b"\r\n\r\n")[2]).keys() == {"detail", "code", "request_id"}
