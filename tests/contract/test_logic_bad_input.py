"""Bad input to every route: a clear JSON error, the right status, and nothing changed."""

import socket
from urllib.parse import urlsplit

import pytest
from logic_pair import pair

LONG = "9" * 5000
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers with a tag `X` that holds one IOV."""
    with pair(tmp_path_factory.mktemp("bad"), MAX_SEGMENT_BYTES="100000") as running:
        assert running.post("/api/v1/global-tags", '{"name":"X"}').status == 201
        assert running.post("/stream?tag=X&type=Beam&major=5", b"x").status == 201
        yield running


def lsn(both):
    """Return the LSN that the replica shows."""
    return both.get("/api/v1/global-tags")["lsn"]


SEGMENTS = [
    "", "{", "null", "[]", "1", '{"h":[1]}', '{"t":[0,1]}', '{"h":[],"t":[0,1]}',
    '{"h":[NaN],"t":[0,1]}', '{"h":[Infinity],"t":[0,1]}', '{"h":[1e999],"t":[0,1]}',
    '{"h":["1"],"t":[0,1]}', '{"h":[true],"t":[0,1]}', '{"h":[null],"t":[0,1]}',
    '{"h":[1],"t":[0,0]}', '{"h":[1],"t":[0,-1]}', '{"h":[1],"t":[-1,1]}', '{"h":[1],"t":[0]}',
    '{"h":[1,2,3],"t":[0,2,1]}', '{"h":[1,2,3],"t":[0,1,1]}', '{"h":[1],"t":"0,1"}',
    '{"h":{"a":1},"t":[0,1]}', f'{{"h":[1],"t":[{LONG},1]}}', '{"h":[1],"t":[1e300,1]}',
    f'{{"h":[1],"t":[{2**63},1]}}', DEEP, "\xff\xfe", '{"h":[1],"t":[0,1]} x',
]  # fmt: skip


@pytest.mark.parametrize("body", SEGMENTS, ids=range(len(SEGMENTS)))
def test_a_malformed_segment_is_400(both, body):
    """Whatever is wrong with it, it is the caller's mistake, and nothing is stored."""
    before = lsn(both)
    refused = both.post("/stream", body.encode("latin-1"))
    assert refused.status == (413 if body is DEEP else 400), refused.data
    assert refused.json()["detail"]
    assert refused.json()["code"]
    assert lsn(both) == before


QUERIES = [
    "type=a/b", "type=", "type=" + "x" * 300, "type=B&major=", "type=B&major=x",
    "type=B&major=-1", f"type=B&major={2**63}", f"type=B&major={LONG[:3000]}",
    "type=B&major=1.5", "type=B&major=1&minor=-1", "type=B&major=1&major_end=0",
    "type=B&major=1&major_end=1", "type=B&major=1&minor_end=3", "type=B&major=1&major_end=x",
    "major=1", "type=B&tag=X", "type=B&minor=4", "type=B&major=1&tag=a%2Fb",
    "type=B&major=1&tag=..", "type=B&major=1&tag=X&name=", "type=B&major=1&tag=X&name=%00",
    "type=%FF", "type=B&major=%D9%A3",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_malformed_query_is_400(both, query):
    """Names, moments and intervals that cannot be are refused by field."""
    before = lsn(both)
    refused = both.post(f"/stream?{query}", b'{"h":[1],"t":[0,1]}')
    assert refused.status == 400, refused.data
    assert refused.json()["field"]
    assert lsn(both) == before


@pytest.mark.parametrize(
    "path", ["/freezeds", "/api/v1/global-tags", "/api/v1/global-tags/X/freeze"]
)
@pytest.mark.parametrize(
    "body",
    ["{", "[]", "null", "1", '"x"', '{"user":1,"name":1}', '{"user":"u","token":[],"name":[]}',
     '{"user":null,"name":null}', '{"name":"a b","token":1}', '{"name":"","token":{}}', DEEP],
)  # fmt: skip
def test_a_malformed_object_is_400(both, path, body):
    """Not JSON, not an object, a field of the wrong type."""
    before = lsn(both)
    refused = both.post(path, body)
    assert refused.status == 400, refused.data
    assert refused.json()["code"]
    assert lsn(both) == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/global-tags/nobody", 404),
        ("/api/v1/global-tags/nobody/payloads?major=1", 404),
        ("/api/v1/global-tags/a%20b", 400),
        ("/api/v1/global-tags/..%2f..%2fetc", 404),
        ("/api/v1/global-tags/X/payloads", 400),
        ("/api/v1/global-tags/X/payloads?major=a", 400),
        ("/api/v1/global-tags/X/payloads?major=1&minor=1e3", 400),
        ("/api/v1/global-tags/X/payloads?major=1&type=Nothing", 404),
        ("/api/v1/global-tags/X/payloads?major=1&type=a%2Fb", 400),
        ("/api/v1/payloads/sha256/xyz", 400),
        ("/api/v1/payloads/sha256/" + "A" * 64, 400),
        ("/api/v1/payloads/sha256/..%2f..%2fledger", 404),
        ("/nowhere", 404),
        ("/stream", 405),
        ("/api/v1/payloads", 405),
    ],
)
def test_a_read_of_what_is_not_there_is_json(both, path, status):
    """404 for what is not there, 400 for what cannot be, 405 for the wrong method."""
    refused = both.ask("GET", path)
    assert refused.status == status
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.json()["detail"]
    assert refused.json()["code"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "There is nothing at /nowhere."),
        ("GET", "/api/v1/{x}", 404, "There is nothing at /api/v1/{x}."),
        ("PATCH", "/api/v1/global-tags", 405, "/api/v1/global-tags does not take PATCH"),
    ],
)
def test_what_is_not_served_is_told_in_our_words(both, method, path, status, words):
    """The path or the method, and no advice to check the spelling; no cache keeps it."""
    refused = both.ask(method, path)
    assert refused.status == status
    assert refused.json()["detail"].startswith(words)
    assert refused.headers["Cache-Control"] == "no-store"


def test_a_body_larger_than_allowed_is_413(both):
    """A segment beyond MAX_SEGMENT_BYTES is refused, announced or not."""
    before = lsn(both)
    body = b'{"h":[' + b"1," * 60_000 + b'1],"t":[0,1]}'
    assert both.post("/stream", body, Connection="close").status == 413
    pieces = [body[i : i + 1000] for i in range(0, len(body), 1000)]
    refused = both.http.request("POST", f"{both.logic.url}/stream", body=iter(pieces), chunked=True)
    assert refused.status == 413
    assert lsn(both) == before


@pytest.mark.parametrize("told", ["x", "-1", "1.5", "9" * 30])
def test_a_malformed_min_lsn_is_400(both, told):
    """X-Min-LSN is a number."""
    assert both.ask("GET", "/api/v1/global-tags", X_Min_LSN=told).status == 400


@pytest.mark.parametrize("key", ["", "k" * 201, "caf\xe9", "auto:mine"])
def test_a_malformed_idempotency_key_is_400(both, key):
    """1 to 200 printable ASCII characters, not as the replicas' own begin: those name no caller."""
    refused = both.post("/stream", '{"h":[1],"t":[0,1]}', Idempotency_Key=key)
    assert refused.status == 400
    assert both.get("/bufstat")["n_itm"] == 0


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 90000 + b"\r\n\r\n", 431),
        (b"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
        (b"GET /api//v1/global-tags HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_what_is_no_http_is_refused_in_json(both, raw, status):
    """Never a page, never our fault, never a redirect."""
    address = urlsplit(both.logic.url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(raw)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            if b"}" in answer:
                break
    assert int(answer.split()[1]) == status, answer
    assert b"application/json" in answer
    assert b'"code":' in answer


def test_a_key_that_comes_back_with_another_payload_is_no_success(both):
    """Nothing is acknowledged that is not stored: other bytes, another interval, another name."""
    both.post("/api/v1/global-tags", '{"name":"keyed"}')
    first = both.post("/stream?tag=keyed&type=T&major=1&major_end=2", b"one", Idempotency_Key="k9")
    again = both.post("/stream?tag=keyed&type=T&major=1&major_end=2", b"one", Idempotency_Key="k9")
    assert (first.status, again.status, again.data) == (201, 201, first.data)
    for query, body in (
        ("major=1&major_end=2", b"two"),
        ("major=5&major_end=9", b"one"),
        ("major=1&major_end=2&name=other", b"one"),
    ):
        url = f"/stream?tag=keyed&type=T&{query}"
        refused = both.post(url, body, Idempotency_Key="k9")
        assert (refused.status, refused.json()["code"]) == (409, "idempotency_key_reused")
    assert both.get("/api/v1/global-tags/keyed")["payload_iov_count"] == 1


@pytest.mark.parametrize("path", ["/api/v1/global-tags", "/api/cdb_rest/gt", "/stream"])
def test_what_methods_there_are_is_told_without_a_page(both, path):
    """OPTIONS answers in a header; there is no body of whatever type."""
    answer = both.ask("OPTIONS", path)
    assert (answer.status, answer.data) == (200, b"")
    assert "POST" in answer.headers["Allow"]
    assert "Content-Type" not in answer.headers
